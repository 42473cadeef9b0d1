import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { startTestServer, type TestServer } from "../test-server.ts";
import { addClient, FORM, keyOf, letIn, type TestClient, tokensOf } from "./test-grants.ts";

const ORDERS = "https://orders.example/api";
let server: TestServer;
let web: TestClient;
let userId: string;

before(async () => {
  server = await startTestServer({ settings: { scopes: ["read"] } });
  web = await addClient(server, "web");
  await addClient(server, "resource", { keyturn_resources: [ORDERS] });
  userId = (await server.addUser("alice", { name: "Alice", email: "alice@example.com" })).id;
});
after(() => server.close());

async function tokens(scope: string, more: object = {}, client = web) {
  const started = await letIn(server, client, { userId, scope, ...more });
  return { ...started, ...tokensOf(await client.refresh(started.refreshToken)) };
}

const ask = (token: string) => server.call("/oauth/userinfo", { token });

test("OpenID Connect Core §5.4: the claims of the scopes that were granted, and no others", async () => {
  const cases: [string, object][] = [
    ["openid", { sub: userId }],
    ["openid profile", { sub: userId, preferred_username: "alice", name: "Alice" }],
    ["openid email", { sub: userId, email: "alice@example.com", email_verified: false }],
  ];
  for (const [scope, expected] of cases) {
    const reply = await ask((await tokens(scope)).accessToken);
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual(reply.json, expected);
  }
});

test("OpenID Connect Core §5.3.1: by GET and by POST; RFC 6750 §2.2: with the token in the form; pages of any origin", async () => {
  const { accessToken } = await tokens("openid");
  const origin = { origin: "https://app.example" };
  const posted = await server.call("/oauth/userinfo", {
    method: "POST",
    token: accessToken,
    headers: origin,
  });
  assert.deepEqual(posted.json, { sub: userId });
  assert.equal(posted.headers.get("access-control-allow-origin"), "*");
  const form = await server.call("/oauth/userinfo", { body: `access_token=${accessToken}`, headers: FORM });
  assert.deepEqual(form.json, { sub: userId });
  const empty = await server.call("/oauth/userinfo", { body: "", token: accessToken, headers: FORM });
  assert.deepEqual(empty.json, { sub: userId });
});

test("RFC 6750 §3: no token, a bad one, two at once, one without openid: each its challenge", async () => {
  const { accessToken } = await tokens("openid");
  const none = await server.call("/oauth/userinfo");
  assert.equal(none.status, 401);
  assert.doesNotMatch(none.headers.get("www-authenticate") ?? "", /error/);
  const bad = await ask("x.y.z");
  assert.equal(bad.status, 401);
  assert.match(bad.headers.get("www-authenticate") ?? "", /^Bearer .*error="invalid_token"/);
  const both = await server.call("/oauth/userinfo", {
    body: `access_token=${accessToken}`,
    token: accessToken,
    headers: FORM,
  });
  assert.equal(both.status, 400);
  assert.equal(both.json.error, "invalid_request");
  const lacking = await ask((await tokens("read")).accessToken);
  assert.equal(lacking.status, 403);
  assert.equal(lacking.json.error, "insufficient_scope");
  assert.match(lacking.headers.get("www-authenticate") ?? "", /error="insufficient_scope"/);
  const byQuery = await server.call(`/oauth/userinfo?access_token=${accessToken}`);
  assert.equal(byQuery.status, 401, "RFC 9700 §4.3.2: not in the address, where logs keep it");
});

test("a token for another API alone is refused; one for it and the default audience, or the default one, is good", async () => {
  const elsewhere = await tokens("openid", { resources: [ORDERS] });
  assert.equal((await ask(elsewhere.accessToken)).status, 401);
  const both = await tokens("openid", { resources: [ORDERS, server.app.settings.audience] });
  assert.equal((await ask(both.accessToken)).status, 200);
});

test("of a session that is over, of a user who is disabled, of a client that was removed: invalid_token", async () => {
  const ended = await tokens("openid");
  await server.app.sessions.end(ended.session.id, { actor: "user", reason: "ended_by_user" });
  const client = await addClient(server, "web");
  const orphan = await tokens("openid", {}, client);
  await client.remove();
  const user = await server.addUser("bob");
  const disabled = await tokens("openid", { userId: user.id });
  await server.app.users.disable(user.id, { actor: "operator" });
  for (const { accessToken } of [ended, orphan, disabled]) {
    const reply = await ask(accessToken);
    assert.equal(reply.status, 401);
    assert.match(reply.headers.get("www-authenticate") ?? "", /invalid_token/);
  }
});

test("OpenID Connect Core §5.3.2: signed for a client that registered an algorithm, with iss and aud", async () => {
  const client = await addClient(server, "web", { userinfo_signed_response_alg: "RS256" });
  const { accessToken } = await tokens("openid email", {}, client);
  const reply = await ask(accessToken);
  assert.equal(reply.headers.get("content-type"), "application/jwt");
  const jwks = (await server.call("/.well-known/jwks.json")).json as unknown as JSONWebKeySet;
  const { payload } = await jwtVerify(reply.text, createLocalJWKSet(jwks), {
    issuer: server.issuer,
    audience: client.id,
    algorithms: ["RS256"],
  });
  assert.equal(payload.sub, userId);
  assert.equal(payload.email, "alice@example.com");
});

test("OpenID Connect Core §5.3.2: sub is exactly that of the ID token, pairwise where the client's are", async () => {
  const client = await addClient(server, "web", { subject_type: "pairwise" });
  const { accessToken, claims } = await tokens("openid", {}, client);
  const { sub } = (await ask(accessToken)).json;
  assert.equal(sub, claims.sub);
  assert.notEqual(sub, userId);
});

test("RFC 9449 §7.1: a bound token with a proof by its key, and not as a Bearer token", async () => {
  const key = await keyOf(server);
  const started = await letIn(server, web, { userId, scope: "openid" });
  const { accessToken } = tokensOf(await web.refresh(started.refreshToken, {}, await key.proof()));
  assert.equal((await ask(accessToken)).status, 401);
  const ath = createHash("sha256").update(accessToken).digest("base64url");
  const proof = await key.prove("GET", "/oauth/userinfo", { ath });
  const reply = await server.call("/oauth/userinfo", {
    headers: { authorization: `DPoP ${accessToken}`, dpop: proof },
  });
  assert.equal(reply.status, 200, reply.text);
  const unbound = await key.prove("GET", "/oauth/userinfo");
  const refused = await server.call("/oauth/userinfo", {
    headers: { authorization: `DPoP ${accessToken}`, dpop: unbound },
  });
  assert.equal(refused.status, 401);
});

test("a client's token opens the user's claims here, and nothing of the first-party API", async () => {
  const { accessToken } = await tokens("openid");
  const me = await server.call("/me", { token: accessToken });
  assert.equal(me.status, 403);
  assert.equal(me.json.error, "insufficient_scope");
});
