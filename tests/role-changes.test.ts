import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { type Client, createClient } from "@keyturn/client";
import { createGuard, type Guard } from "@keyturn/guard";
import { protect } from "@keyturn/guard/node";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { call, type KeyturnServer, password, startKeyturn } from "./keyturn-process.ts";
import { createStage } from "./stage.ts";

/** A role changes by the command line; an API that only follows the feed, and the client, go along. */

const stage = createStage();
after(() => stage.clear());

let keyturn: KeyturnServer;
/** Asks for the permission `orders:write`. */
let api: string;
let guard: Guard;

before(async () => {
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  keyturn = await startKeyturn(stage, { database: place.url });
  const { RESOURCE_ID: id, RESOURCE_SECRET: secret } = await keyturn.addResource("orders");
  guard = createGuard({ issuer: keyturn.issuer, audience: keyturn.issuer, resource: { id, secret } });
  stage.onClear(() => guard.close());
  await guard.ready();
  const handler = protect(guard, (_request, response) => response.end("in"), {
    permissions: ["orders:write"],
  });
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  stage.onClear(() => server.close());
  api = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`;
  await keyturn.cli(["role", "add", "clerk", "--permission", "orders:write"]);
});

async function signIn(username: string) {
  const client = createClient({ issuer: keyturn.url, apis: [new URL(api).origin], dpop: false });
  stage.onClear(() => client.close());
  const ends: string[] = [];
  client.on("signedOut", ({ reason }) => ends.push(reason));
  const session = await client.signIn({ username, password });
  // What somebody who kept the token of before would send.
  const { accessToken } = await keyturn.login(username);
  return { client, ends, session, accessToken };
}

const statusOf = async (client: Client) => (await client.fetch(api)).status;

/** Asks until the answer is this one; in how many milliseconds it came. Nothing else than `before` may come first. */
async function until(status: number, before: number, ask: () => Promise<number>): Promise<number> {
  const since = performance.now();
  for (;;) {
    const askedAt = performance.now();
    const found = await ask();
    if (found === status) return askedAt - since;
    assert.equal(found, before);
    assert.ok(performance.now() - since < 1000, `still ${found} after a second`);
  }
}

const changes = [
  { what: "a role is given", setUp: [], act: ["role", "grant", "USER", "clerk"], from: 403, to: 200 },
  {
    what: "a role is taken away",
    setUp: [["role", "grant", "USER", "clerk"]],
    act: ["role", "revoke", "USER", "clerk"],
    from: 200,
    to: 403,
  },
  {
    what: "a role gets a permission",
    setUp: [
      ["role", "add", "USER-role"],
      ["role", "grant", "USER", "USER-role"],
    ],
    act: ["role", "set", "USER-role", "--permission", "orders:write"],
    from: 403,
    to: 200,
  },
] as const;

for (const [index, { what, setUp, act, from, to }] of changes.entries()) {
  test(`${what} in another process: the API knows within a second, and nobody is signed out`, async (context) => {
    const username = `user${index}`;
    const own = (args: readonly string[]) => args.map((arg) => arg.replace("USER", username));
    await keyturn.register(`${username}-bystander`);
    const bystander = await keyturn.login(`${username}-bystander`);
    await keyturn.register(username);
    for (const args of setUp) await keyturn.cli(own(args));
    const { client, ends, session, accessToken } = await signIn(username);
    assert.equal(await statusOf(client), from);
    assert.equal((await call(api, { token: accessToken })).status, from);
    await keyturn.cli(own(act));
    const old = await until(401, from, async () => (await call(api, { token: accessToken })).status);
    const renewed = await until(to, from, () => statusOf(client));
    context.diagnostic(
      `the old token was refused after ${old.toFixed(0)} ms, the new rights felt after ${renewed.toFixed(0)} ms`,
    );
    assert.deepEqual(ends, []);
    assert.deepEqual((await client.session())?.sessionId, session.sessionId);
    assert.equal(await statusOf(client), to);
    assert.equal((await call(api, { token: bystander.accessToken })).status, 403, "good, without the right");
  });
}
