import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { assertRefusal, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { app, callRegistration, isKnown, noted, register } from "./test-registration.ts";

const clock = stoppedClock();
let server: TestServer;

before(async () => {
  server = await startTestServer({ clock, settings: { dynamicRegistration: "open" } });
});
after(() => server.close());
beforeEach(() => server.forgetLimits());

describe("RFC 7592: a client looks after its registration", () => {
  test("§2.1: reads it; the token stays good, the secret is not shown again", async () => {
    const made = await register(server, app);
    const { client_secret: _, client_secret_expires_at: __, ...shown } = made;
    for (let times = 0; times < 2; times++) {
      const reply = await callRegistration(server, made);
      assert.equal(reply.status, 200);
      assert.deepEqual(reply.json, shown);
    }
  });

  test("§2.1: without its token nobody reads, changes or deletes it; the same answer for a client that is not there", async () => {
    const made = await register(server, app);
    const other = await register(server, app);
    const path = new URL(made.registration_client_uri).pathname;
    for (const method of ["GET", "PUT", "DELETE"]) {
      const json = method === "PUT" ? { json: { ...app, client_id: made.client_id } } : {};
      assertRefusal(await server.call(path, { method, ...json }), { status: 401, error: "missing_token" });
      for (const token of [other.registration_access_token, "x", `${made.registration_access_token}x`]) {
        const reply = await server.call(path, { method, token, ...json });
        assertRefusal(reply, { status: 401, error: "invalid_token" });
        const missing = await server.call("/oauth/register/c-0", { method, token, ...json });
        assert.deepEqual(missing.json, reply.json);
      }
    }
    const operators = await server.addResource("API");
    assertRefusal(await server.call(`/oauth/register/${operators.id}`, { token: operators.secret }), {
      status: 401,
    });
    assert.equal((await callRegistration(server, made)).status, 200);
  });

  test("§2.2: replaces it, and what is left out goes", async () => {
    const made = await register(server, { ...app, tos_uri: "https://app.example/tos", scope: "openid" });
    const { client_id, client_secret } = made;
    const json = {
      client_id,
      client_secret,
      redirect_uris: ["https://app.example/new"],
      client_name: "New",
      tos_uri: null,
    };
    const reply = await callRegistration(server, made, { method: "PUT", json });
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual(
      [reply.json.redirect_uris, reply.json.client_name],
      [["https://app.example/new"], "New"],
    );
    assert.equal(reply.json.tos_uri, undefined);
    assert.equal(reply.json.scope, undefined);
    assert.equal(reply.json.client_secret, undefined, "it keeps the one that it has");
    assert.ok(await isKnown(server, { client_id, client_secret: client_secret ?? "" }));
    assert.deepEqual((await callRegistration(server, made)).json, reply.json);
  });

  test("§2.2: one that needs a secret from now on gets it, one that needs none has none any more", async () => {
    const made = await register(server, { ...app, token_endpoint_auth_method: "none" });
    const json = { ...app, client_id: made.client_id };
    const secret =
      noted(server, await callRegistration(server, made, { method: "PUT", json })).client_secret ?? "";
    assert.ok(await isKnown(server, { client_id: made.client_id, client_secret: secret }));
    const open = await callRegistration(server, made, {
      method: "PUT",
      json: { ...json, token_endpoint_auth_method: "none" },
    });
    assert.equal(open.status, 200);
    assert.equal(await isKnown(server, { client_id: made.client_id, client_secret: secret }), false);
  });

  test("§2.2: names itself and no other, sets no secret of its own, and sends nothing that the server makes", async () => {
    const made = await register(server, app);
    const other = await register(server, app);
    const good = { ...app, client_id: made.client_id };
    const wrong = [
      app,
      { ...good, client_id: other.client_id },
      { ...good, client_secret: other.client_secret },
      { ...good, client_secret: "kts_my-own-secret-of-some-length-or-other" },
      { ...good, registration_access_token: made.registration_access_token },
      { ...good, registration_client_uri: made.registration_client_uri },
      { ...good, client_id_issued_at: made.client_id_issued_at },
      { ...good, client_secret_expires_at: 0 },
    ];
    for (const json of wrong) {
      const reply = await callRegistration(server, made, { method: "PUT", json });
      assertRefusal(reply, { status: 400, error: "invalid_client_metadata" });
    }
    const { client_secret: _, client_secret_expires_at: __, ...shown } = made;
    assert.deepEqual((await callRegistration(server, made)).json, shown);
  });

  test("a registration cannot grow into what its first one could not be", async () => {
    const made = await register(server, app);
    const json = {
      ...app,
      client_id: made.client_id,
      grant_types: ["authorization_code", "client_credentials"],
    };
    const reply = await callRegistration(server, made, { method: "PUT", json });
    assert.deepEqual(reply.json.grant_types, ["authorization_code"]);
  });

  test("§2.3: deletes it once; its id and token are nobody's then", async () => {
    const made = await register(server, { ...app, token_endpoint_auth_method: "none" });
    assert.ok(await isKnown(server, { client_id: made.client_id }));
    const all = await Promise.all([1, 2, 3].map(() => callRegistration(server, made, { method: "DELETE" })));
    assert.deepEqual(all.map(({ status }) => status).sort(), [204, 401, 401]);
    assertRefusal(await callRegistration(server, made), { status: 401, error: "invalid_token" });
    assert.equal(await isKnown(server, { client_id: made.client_id }), false);
  });

  test("goes on when registration is switched off", async () => {
    const made = await register(server, app);
    const later = await startTestServer({ clock, beside: { ...server, place: server.place } });
    try {
      assertRefusal(await later.call("/oauth/register", { json: app }), { status: 404 });
      const path = new URL(made.registration_client_uri).pathname;
      assert.equal((await later.call(path, { token: made.registration_access_token })).status, 200);
    } finally {
      await later.close();
    }
  });
});
