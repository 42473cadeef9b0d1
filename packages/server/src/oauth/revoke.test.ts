import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTestServer, type TestServer } from "../test-server.ts";
import { addClient, assertOauthError, letIn, type TestClient, tokensOf } from "./test-grants.ts";

let server: TestServer;
let web: TestClient;
let native: TestClient;
let userId: string;

before(async () => {
  server = await startTestServer({ settings: { scopes: ["read"] } });
  web = await addClient(server, "web");
  native = await addClient(server, "native", { redirect_uris: ["http://127.0.0.1/cb"] });
  userId = (await server.addUser("alice")).id;
});
after(() => server.close());

async function tokens(client = web) {
  const started = await letIn(server, client, { userId, scope: "openid read" });
  return { ...started, ...tokensOf(await client.refresh(started.refreshToken)) };
}

async function assertOver(client: TestClient, given: Awaited<ReturnType<typeof tokens>>) {
  assertOauthError(await client.refresh(given.refreshToken), "invalid_grant");
  assert.equal((await server.app.guard.verify(given.accessToken)).ok, false, "guards hear of it at once");
  const session = await server.app.sessions.find(given.session.id);
  assert.equal(session?.endReason, "revoked_by_client");
}

test("RFC 7009 §2.1: a refresh token takes its session and its access tokens with it, of public clients too", async () => {
  for (const client of [web, native]) {
    const given = await tokens(client);
    const reply = await client.revoke(given.refreshToken, { token_type_hint: "refresh_token" });
    assert.equal(reply.status, 200);
    // What a client takes that reads JSON alone.
    assert.deepEqual([reply.text, reply.headers.get("content-type")], ["{}", "application/json"]);
    await assertOver(client, given);
  }
});

test("RFC 7009 §2.1: an access token takes its session with it, whatever the hint says", async () => {
  for (const token_type_hint of ["access_token", "refresh_token", "nonsense", undefined]) {
    const given = await tokens();
    assert.equal((await web.revoke(given.accessToken, { token_type_hint })).status, 200);
    await assertOver(web, given);
  }
});

test("a refresh token that was replaced still gives its session back", async () => {
  const started = await letIn(server, web, { userId });
  const next = tokensOf(await web.refresh(started.refreshToken));
  assert.equal((await web.revoke(started.refreshToken)).status, 200);
  assertOauthError(await web.refresh(next.refreshToken), "invalid_grant");
});

test("a revocation in the middle of refreshes: each is answered or refused, and nothing lives on", async () => {
  const given = await tokens();
  const refreshes = Array.from({ length: 16 }, () => web.refresh(given.refreshToken));
  const [revoked, ...replies] = await Promise.all([web.revoke(given.accessToken), ...refreshes]);
  assert.equal(revoked?.status, 200);
  for (const reply of replies) {
    if (reply.status !== 200) assertOauthError(reply, "invalid_grant");
    else {
      const next = tokensOf(reply);
      assertOauthError(await web.refresh(next.refreshToken), "invalid_grant");
      assert.equal((await web.introspect(next.accessToken)).text, '{"active":false}');
    }
  }
  await assertOver(web, given);
});

test("RFC 7009 §2.2: unknown, forged, expired, revoked already: 200, and nothing happens", async () => {
  const given = await tokens();
  await web.revoke(given.refreshToken);
  const before = await server.rows();
  const others = [
    given.refreshToken,
    given.accessToken,
    given.idToken ?? "",
    "x",
    "krt_x",
    "\u0000",
    "a.b.c",
  ];
  for (const token of others) assert.equal((await web.revoke(token)).status, 200);
  assert.equal(await server.rows(), before);
  assertOauthError(await web.post("/oauth/revoke", {}), "invalid_request");
});

test("RFC 7009 §2.1: nobody revokes another client's tokens, nor the first-party API's", async () => {
  const given = await tokens();
  const login = await server.login("alice");
  const other = await addClient(server, "web");
  const before = await server.rows();
  for (const client of [other, native]) {
    for (const token of [given.refreshToken, given.accessToken, login.refreshToken, login.accessToken]) {
      assert.equal((await client.revoke(token)).status, 200);
    }
  }
  assert.equal(await server.rows(), before);
  tokensOf(await web.refresh(given.refreshToken));
});

test("a service's token is over when it is revoked", async () => {
  const service = await addClient(server, "service", { scope: "read" });
  const { accessToken } = tokensOf(await service.token({ grant_type: "client_credentials" }));
  assert.equal((await service.introspect(accessToken)).json.active, true);
  assert.equal((await service.revoke(accessToken)).status, 200);
  assert.equal((await service.introspect(accessToken)).text, '{"active":false}');
  assert.equal((await server.app.guard.verify(accessToken)).ok, false);
});

test("sessions that were let in from it end with the browser's, and an audit event names the client's act", async () => {
  const given = await tokens();
  await web.revoke(given.accessToken);
  const events = await server.app.audit.list({ sessionId: given.session.id });
  const ended = events.find(({ type }) => type === "session.ended");
  assert.equal(ended?.actor, "client");
  assert.deepEqual(ended?.detail, { reason: "revoked_by_client" });
});
