import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { clientExists } from "../clients/clients.sql.ts";
import { startTestServer, type TestServer } from "../test-server.ts";
import type { User } from "../users/user.ts";

let server: TestServer;
let alice: User;
before(async () => {
  server = await startTestServer();
  alice = await server.addUser("alice");
});
after(() => server.close());

const of = (clientId: string) => ({ userId: alice.id, clientId });

test("what is agreed to only grows, and covers what is within it", async () => {
  const { consents } = server.app.oauth;
  const { database } = server.app;
  const grant = (scopes: string[], resources: string[]) =>
    database.transaction((tx) =>
      consents.grantIn(tx, { ...of("grown"), ip: undefined }, { scopes, resources }),
    );
  assert.equal(
    await consents.covers(of("grown"), { scopes: [], resources: [] }),
    false,
    "nothing was agreed to",
  );
  await grant(["openid", "read"], ["https://one.example/"]);
  await grant(["openid", "write"], ["https://two.example/"]);
  const [consent] = await consents.list(alice.id);
  assert.deepEqual(consent?.scopes, ["openid", "read", "write"]);
  assert.deepEqual(consent?.resources, ["https://one.example/", "https://two.example/"]);
  const covers = (scopes: string[], resources: string[]) =>
    consents.covers(of("grown"), { scopes, resources });
  assert.ok(await covers(["write", "openid"], ["https://one.example/"]));
  assert.equal(await covers(["writ"], []), false);
  assert.equal(await covers(["read"], ["https://one.example"]), false);
});

test("of two who agree at once on different things, both are told apart from what was not agreed to", async () => {
  const { consents } = server.app.oauth;
  const { database } = server.app;
  await Promise.all(
    ["a", "b", "c", "d"].map((scope) =>
      database.transaction((tx) =>
        consents.grantIn(tx, { ...of("race"), ip: undefined }, { scopes: [scope], resources: [] }),
      ),
    ),
  );
  const consent = (await consents.list(alice.id)).find(({ clientId }) => clientId === "race");
  assert.ok(consent?.scopes.every((scope) => ["a", "b", "c", "d"].includes(scope)));
  assert.ok((consent?.scopes.length ?? 0) > 0);
});

test("as statements of another transaction: on its condition, each scope once, and never without end", async () => {
  const { consents } = server.app.oauth;
  const { database } = server.app;
  const add = (scopes: string[], onlyIf = clientExists("nobody")) =>
    database.batch(
      consents.grantStatements(
        { ...of("stated"), ip: undefined, onlyIf },
        { scopes, resources: ["https://one.example/"] },
      ),
    );
  await add(["openid"]);
  assert.equal(await consents.covers(of("stated"), { scopes: [], resources: [] }), false);
  const added = await server.app.clients.add({ name: "Device", type: "service" }, { actor: "operator" });
  assert.ok(added.outcome === "added");
  server.secrets.add(added.secret ?? "");
  const isSo = clientExists(added.client.id);
  await add(["openid"], isSo);
  await add(["openid", "read"], isSo);
  await add(["openid", "read"], isSo);
  const find = async () => (await consents.list(alice.id)).find(({ clientId }) => clientId === "stated");
  assert.deepEqual((await find())?.scopes, ["openid", "read"]);
  assert.deepEqual((await find())?.resources, ["https://one.example/"]);
  for (let count = 0; count < 10; count++) await add([`${count}`.repeat(900)], isSo);
  assert.ok(((await find())?.scopes.join(" ").length ?? 0) < 6000);
  const events = await server.app.audit.list({ userId: alice.id });
  assert.ok(events.some(({ type, clientId }) => type === "consent.granted" && clientId === "stated"));
});

test("withdrawing what was never agreed to is told, and leaves no event", async () => {
  const { consents } = server.app.oauth;
  assert.equal(await consents.withdraw({ ...of("never"), ip: undefined }), false);
  const events = await server.app.audit.list({ userId: alice.id });
  assert.ok(!events.some(({ clientId }) => clientId === "never"));
});
