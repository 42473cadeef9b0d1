import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import type { Client } from "../clients/client.ts";
import { limits } from "../primitives/limits.ts";
import type { Session } from "../sessions/session.ts";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { addClient, letIn, startReceiver } from "./test-logout.ts";

const clock = stoppedClock(Date.now());
let server: TestServer;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let shop: Client;
let browser: Session;

before(async () => {
  receiver = await startReceiver();
  server = await startTestServer({ clock, settings: { privateHosts: [receiver.host] } });
  await server.addUser("alice");
  shop = await addClient(server, {
    backchannel_logout_uri: receiver.url,
    id_token_signed_response_alg: "ES256",
  });
});
after(async () => {
  await server?.close();
  await receiver?.close();
});

beforeEach(async () => {
  const { sessionId } = await server.login("alice");
  const found = await server.app.sessions.find(sessionId);
  assert.ok(found);
  browser = found;
  receiver.answerWith(200);
});
afterEach(async () => {
  receiver.answerWith(200);
  clock.pass(24 * 60 * 60);
  await server.app.backChannelLogout.run();
  receiver.told.length = 0;
});

const deliver = () => server.app.backChannelLogout.run();
const end = (session: Session) =>
  server.app.sessions.end(session.id, { actor: "user", reason: "signed_out" });
async function stateOf(session: Session) {
  const all = await server.app.backChannelLogout.list();
  return all.find(({ id }) => id === session.id);
}

test("Back-Channel Logout §2.4: the logout token names the session and its user, and is no ID token", async () => {
  const session = await letIn(server, { client: shop, browser });
  await end(session);
  await deliver();
  const [told, ...more] = receiver.told;
  assert.ok(told);
  assert.equal(more.length, 0);
  assert.equal(told.type, "application/x-www-form-urlencoded");
  const keys = createRemoteJWKSet(new URL(`${server.url}/.well-known/jwks.json`));
  const { payload, protectedHeader } = await jwtVerify(told.token, keys, {
    issuer: server.issuer,
    audience: shop.id,
    typ: "logout+jwt",
    currentDate: new Date(clock.now()),
  });
  assert.equal(protectedHeader.alg, shop.metadata.id_token_signed_response_alg);
  assert.equal(payload.sub, session.userId);
  assert.equal(payload.sid, session.id);
  assert.deepEqual(payload.events, { "http://schemas.openid.net/event/backchannel-logout": {} });
  assert.equal(payload.nonce, undefined);
  assert.ok(payload.jti);
  assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 120);
  assert.equal((await stateOf(session))?.state, "told");
});

test("whoever ends a browser's session has told what was let in from it: each client once", async () => {
  const sessions = [
    await letIn(server, { client: shop, browser }),
    await letIn(server, { client: shop, browser }),
  ];
  await end(browser);
  await deliver();
  await deliver();
  assert.equal(receiver.told.length, sessions.length);
});

test("a client without an address for it, and a session of our own API, are told nothing", async () => {
  const quiet = await addClient(server, {});
  await end(await letIn(server, { client: quiet, browser }));
  await end(browser);
  await deliver();
  assert.equal(receiver.told.length, 0);
});

test("§2.8: a client that does not take it is told again, after longer and longer pauses, until it does", async () => {
  const session = await letIn(server, { client: shop, browser });
  await end(session);
  for (const [answer, problem] of [
    [400, "answered 400"],
    [503, "answered 503"],
    [302, "answered 302"],
  ] as const) {
    receiver.answerWith(answer);
    await deliver();
    const state = await stateOf(session);
    assert.deepEqual([state?.state, state?.problem], ["waiting", problem]);
    const before = receiver.told.length;
    await deliver();
    assert.equal(receiver.told.length, before, "not before its time");
    clock.pass(((state?.nextTryAt ?? 0) - clock.now()) / 1000);
  }
  receiver.answerWith("cut");
  await deliver();
  assert.equal((await stateOf(session))?.problem, "network");
  clock.pass(1800);
  receiver.answerWith(204);
  await deliver();
  assert.equal((await stateOf(session))?.state, "told");
});

test("it is given up after a day, and the audit log says so", async () => {
  const session = await letIn(server, { client: shop, browser });
  await end(session);
  receiver.answerWith(500);
  clock.pass(limits.logoutDeliverySecondsMax);
  await deliver();
  assert.equal((await stateOf(session))?.state, "failed");
  const events = await server.app.audit.list({ sessionId: session.id });
  assert.ok(events.some(({ type }) => type === "client.logout_not_delivered"));
});

test("two nodes on one database tell each client once", async () => {
  const other = await startTestServer({ clock, beside: server, settings: { privateHosts: [receiver.host] } });
  const sessions = [];
  for (let n = 0; n < 10; n++) sessions.push(await letIn(server, { client: shop, browser }));
  await end(browser);
  await Promise.all([deliver(), other.app.backChannelLogout.run(), deliver()]);
  await deliver();
  assert.equal(receiver.told.length, sessions.length);
  await other.close();
});

test("an address of this network is not gone to unless the settings allow its host", async (t) => {
  const other = await startReceiver();
  t.after(other.close);
  const inside = await addClient(server, {
    backchannel_logout_uri: other.url,
    id_token_signed_response_alg: "ES256",
  });
  const session = await letIn(server, { client: inside, browser });
  await end(session);
  await deliver();
  assert.equal(other.told.length, 0);
  assert.equal((await stateOf(session))?.state, "waiting");
});
