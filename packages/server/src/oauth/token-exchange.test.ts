import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import {
  ACCESS_TOKEN,
  addClient,
  assertOauthError,
  EXCHANGE_GRANT,
  type Fields,
  keyOf,
  letIn,
  type TestClient,
  tokensOf,
} from "./test-grants.ts";

const ORDERS = "https://orders.example/api";
const STOCK = "https://stock.example/api";
const clock = stoppedClock();
const operator = { actor: "operator" } as const;
let server: TestServer;
let web: TestClient;
let orders: TestClient;
let stock: TestClient;
let userId: string;

before(async () => {
  server = await startTestServer({ clock, settings: { scopes: ["read", "write"] } });
  web = await addClient(server, "web");
  const grant_types = [EXCHANGE_GRANT, "client_credentials"] as const;
  orders = await addClient(server, "resource", {
    keyturn_resources: [ORDERS],
    grant_types: [...grant_types],
    keyturn_exchange_resources: [STOCK],
  });
  stock = await addClient(server, "resource", { keyturn_resources: [STOCK], grant_types: [EXCHANGE_GRANT] });
  userId = (await server.addUser("alice")).id;
});
after(() => server.close());

async function subject(more: object = {}, client = web) {
  const grant = { userId, scope: "openid read write", resources: [ORDERS], ...more };
  const { refreshToken, session } = await letIn(server, client, grant);
  return { session, ...tokensOf(await client.refresh(refreshToken)) };
}

const exchange = (client: TestClient, token: string, more: Fields = {}, headers = {}) =>
  client.token(
    { grant_type: EXCHANGE_GRANT, subject_token: token, subject_token_type: ACCESS_TOKEN, ...more },
    headers,
  );

test("RFC 8693 §1.1: an API gets a token for the next one, on behalf of the user, and is named as the one who acts", async () => {
  await server.app.grants.grant(userId, { role: "clerk", resource: STOCK }, operator);
  const { accessToken, session, claims: before } = await subject();
  const { claims, json } = tokensOf(await exchange(orders, accessToken, { resource: STOCK, scope: "read" }));
  assert.equal(json.issued_token_type, ACCESS_TOKEN);
  assert.equal(json.refresh_token, undefined);
  assert.equal(json.id_token, undefined);
  const { sub, aud, client_id, sid, act, scope, roles, auth_time, amr } = claims;
  assert.deepEqual(
    { sub, aud, client_id, sid, act, scope, roles, auth_time, amr },
    {
      sub: userId,
      aud: STOCK,
      client_id: orders.id,
      sid: session.id,
      act: { sub: orders.id },
      scope: "read",
      roles: ["clerk"],
      auth_time: before.auth_time,
      amr: ["pwd"],
    },
  );
  assert.equal((await stock.introspect(String(json.access_token))).json.active, true);
});

test("RFC 8693 §4.1: who acted before is within who acts now, five of them at most", async () => {
  const { accessToken } = await subject();
  const first = tokensOf(await exchange(orders, accessToken, { audience: STOCK }));
  let { accessToken: token, claims } = tokensOf(await exchange(stock, first.accessToken));
  assert.deepEqual(claims.act, { sub: stock.id, act: { sub: orders.id } });
  for (let depth = 2; depth < 5; depth++) token = tokensOf(await exchange(stock, token)).accessToken;
  assertOauthError(await exchange(stock, token), "invalid_request");
});

test("RFC 8693 §2.1: with an actor_token its subject is the one who acts; it has to be the client's own", async () => {
  const { accessToken } = await subject();
  const own = tokensOf(await orders.token({ grant_type: "client_credentials" }));
  const actor = (token: string) => ({ actor_token: token, actor_token_type: ACCESS_TOKEN });
  const { claims } = tokensOf(await exchange(orders, accessToken, actor(own.accessToken)));
  assert.deepEqual(claims.act, { sub: orders.id });
  assertOauthError(await exchange(orders, accessToken, actor(accessToken)), "invalid_request");
  assertOauthError(await exchange(orders, accessToken, { actor_token: own.accessToken }), "invalid_request");
  assertOauthError(
    await exchange(orders, accessToken, { actor_token_type: ACCESS_TOKEN }),
    "invalid_request",
  );
});

test("without a word on scope and resource: what the subject's token has, but for what is about the person", async () => {
  const { accessToken } = await subject();
  const { claims } = tokensOf(await exchange(orders, accessToken));
  assert.equal(claims.aud, ORDERS);
  assert.equal(claims.scope, "read write");
});

test("never more: not in scope, not for a resource that neither the token nor the operator names", async () => {
  const { accessToken } = await subject({ scope: "read" });
  for (const scope of ["write", "read write", "openid", "READ"]) {
    assertOauthError(await exchange(orders, accessToken, { scope }), "invalid_scope");
  }
  const { audience } = server.app.settings;
  for (const resource of [audience, "https://unknown.example", `${STOCK}/`, [STOCK, audience]]) {
    assertOauthError(await exchange(orders, accessToken, { resource }), "invalid_target");
  }
  const unregistered = await addClient(server, "resource", {
    grant_types: [EXCHANGE_GRANT],
    keyturn_resources: ["https://third.example"],
    keyturn_exchange_resources: ["https://not-there.example"],
  });
  const third = await subject({ resources: ["https://third.example"] });
  const nowhere = await exchange(unregistered, third.accessToken, { resource: "https://not-there.example" });
  assertOauthError(nowhere, "invalid_target");
});

test("never longer: the new token ends with the subject's", async () => {
  const { accessToken, claims: before } = await subject();
  clock.pass(300);
  const { claims, json } = tokensOf(await exchange(orders, accessToken));
  assert.equal(claims.exp, before.exp);
  assert.equal(json.expires_in, server.app.settings.accessTokenSeconds - 300);
});

test("the session of the subject ends: what was got in exchange is over, and nothing more is to be had", async () => {
  const { accessToken, session } = await subject();
  const { accessToken: got } = tokensOf(await exchange(orders, accessToken, { resource: STOCK }));
  await server.app.sessions.end(session.id, { actor: "user", reason: "ended_by_user" });
  assert.equal((await stock.introspect(got)).text, '{"active":false}');
  assertOauthError(await exchange(orders, accessToken), "invalid_request");
  assertOauthError(await exchange(stock, got), "invalid_request");
});

test("only by the API that the token is for, or by the client that it was issued to", async () => {
  const { accessToken } = await subject();
  const stranger = await addClient(server, "web", {
    grant_types: ["authorization_code", EXCHANGE_GRANT],
  });
  assertOauthError(await exchange(stock, accessToken), "access_denied");
  assertOauthError(await exchange(stranger, accessToken), "access_denied");
  assertOauthError(await exchange(web, accessToken), "unauthorized_client");
  const grant_types = ["authorization_code", "refresh_token", EXCHANGE_GRANT] as const;
  const own = await addClient(server, "web", { grant_types: [...grant_types] });
  const theirs = await subject({}, own);
  const { claims } = tokensOf(await exchange(own, theirs.accessToken, { scope: "read" }));
  assert.deepEqual(claims.act, { sub: own.id });
  const native = await addClient(server, "native", {
    redirect_uris: ["http://127.0.0.1/cb"],
    grant_types: ["authorization_code", EXCHANGE_GRANT],
  });
  assertOauthError(await exchange(native, accessToken), "unauthorized_client");
});

test("RFC 8693 §1.1: impersonation, where nothing says who acts, is for clients that the operator lets do it", async () => {
  const { accessToken } = await subject();
  await orders.change({ keyturn_may_impersonate: true });
  const { claims } = tokensOf(await exchange(orders, accessToken));
  assert.equal(claims.act, undefined);
  clock.pass(1);
  await orders.change({ keyturn_may_impersonate: false });
  assert.deepEqual(tokensOf(await exchange(orders, accessToken)).claims.act, { sub: orders.id });
});

test("what was got in exchange for a token of the account's owner opens nothing of the account", async () => {
  const api = await addClient(server, "resource", { grant_types: [EXCHANGE_GRANT] });
  const login = await server.login("alice");
  assert.equal((await server.call("/me", { token: login.accessToken })).status, 200);
  const { accessToken } = tokensOf(await exchange(api, login.accessToken));
  for (const path of ["/me", "/sessions"]) {
    assert.equal((await server.call(path, { token: accessToken })).status, 403);
  }
});

test("it cannot be revoked by itself: that is said, and the subject's session goes on", async () => {
  const { accessToken } = await subject();
  const got = tokensOf(await exchange(orders, accessToken));
  const before = await server.rows();
  assertOauthError(await orders.revoke(got.accessToken), "unsupported_token_type");
  assert.equal(await server.rows(), before);
});

test("RFC 9449: a client's own bound token needs its key; what was called with one needs none, and binds to its own", async () => {
  const [key, own] = [await keyOf(server, clock), await keyOf(server, clock)];
  const { refreshToken } = await letIn(server, web, { userId, scope: "read", resources: [ORDERS] });
  const bound = tokensOf(await web.refresh(refreshToken, {}, await key.proof()));
  const { claims } = tokensOf(await exchange(orders, bound.accessToken, {}, await own.proof()));
  assert.deepEqual(claims.cnf, { jkt: own.thumbprint });
  const both = tokensOf(await exchange(orders, bound.accessToken, {}, await own.proof()));
  assertOauthError(await exchange(orders, both.accessToken), "invalid_dpop_proof");
  tokensOf(await exchange(orders, both.accessToken, {}, await own.proof()));
});

test("RFC 8693 §2.2.2: tokens and types that are no good are invalid_request, and never a 500", async () => {
  const { accessToken, refreshToken, idToken = "" } = await subject();
  for (const token of [refreshToken, idToken, `${accessToken}x`, "x", "\u0000"]) {
    assertOauthError(await exchange(orders, token), "invalid_request");
  }
  const wrong: Fields[] = [
    { subject_token: undefined },
    { subject_token_type: undefined },
    { subject_token_type: "urn:ietf:params:oauth:token-type:refresh_token" },
    { subject_token_type: "urn:ietf:params:oauth:token-type:saml2" },
    { requested_token_type: "urn:ietf:params:oauth:token-type:refresh_token" },
    { requested_token_type: "urn:ietf:params:oauth:token-type:id_token" },
  ];
  for (const more of wrong) assertOauthError(await exchange(orders, accessToken, more), "invalid_request");
  clock.pass(server.app.settings.accessTokenSeconds);
  assertOauthError(await exchange(orders, accessToken), "invalid_request");
});

test("each exchange is in the audit log: by whom, of which client's token, for what", async () => {
  const { accessToken, session } = await subject();
  await exchange(orders, accessToken, { resource: STOCK, scope: "read" });
  const events = await server.app.audit.list({ sessionId: session.id });
  const found = events.find(({ type }) => type === "token.exchanged");
  assert.equal(found?.clientId, orders.id);
  assert.deepEqual(found?.detail, { of: web.id, resources: STOCK, scope: "read", actor: orders.id });
});
