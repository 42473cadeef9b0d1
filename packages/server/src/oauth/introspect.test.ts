import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { basic, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { addClient, assertOauthError, FORM, letIn, type TestClient, tokensOf } from "./test-grants.ts";

const ORDERS = "https://orders.example/api";
const INACTIVE = '{"active":false}';
const clock = stoppedClock();
let server: TestServer;
let web: TestClient;
let orders: TestClient;
let plain: TestClient;
let userId: string;

before(async () => {
  server = await startTestServer({ clock, settings: { scopes: ["read"] } });
  web = await addClient(server, "web");
  orders = await addClient(server, "resource", { keyturn_resources: [ORDERS] });
  plain = await addClient(server, "resource");
  userId = (await server.addUser("alice")).id;
});
after(() => server.close());

async function tokens(client = web, more = {}) {
  const started = await letIn(server, client, { userId, scope: "read", ...more });
  return { ...started, ...tokensOf(await client.refresh(started.refreshToken)) };
}

test("RFC 7662 §2.2: an access token for the resource that asks is active, with what it says", async () => {
  const { accessToken, claims } = await tokens(web, { resources: [ORDERS] });
  const reply = await orders.introspect(accessToken);
  assert.equal(reply.status, 200);
  assert.deepEqual(reply.json, { active: true, token_type: "Bearer", ...claims });
  assert.equal(reply.headers.get("cache-control"), "no-store");
});

test("RFC 7662 §4: a resource learns of tokens for it and of no others; one without identifiers is the settings' audience", async () => {
  const other = await tokens(web, { resources: [ORDERS] });
  const own = await tokens();
  assert.equal((await plain.introspect(other.accessToken)).text, INACTIVE);
  assert.equal((await plain.introspect(own.accessToken)).json.active, true);
  assert.equal((await orders.introspect(own.accessToken)).text, INACTIVE);
  const login = await server.login("alice");
  assert.equal((await plain.introspect(login.accessToken)).json.active, true);
});

test("another client sees its own access tokens, and nobody else's", async () => {
  const { accessToken } = await tokens(web, { resources: [ORDERS] });
  assert.equal((await web.introspect(accessToken)).json.active, true);
  const other = await addClient(server, "web");
  assert.equal((await other.introspect(accessToken)).text, INACTIVE);
});

test("RFC 7662 §2.2: a revoked access token is inactive at once, on the other node too", async () => {
  const { accessToken, session } = await tokens(web, { resources: [ORDERS] });
  const beside = await startTestServer({ beside: server, clock });
  const there = () =>
    beside.call("/oauth/introspect", {
      method: "POST",
      body: `token=${accessToken}`,
      headers: { ...FORM, authorization: basic(orders.id, orders.secret ?? "") },
    });
  assert.equal((await there()).json.active, true);
  await server.app.sessions.end(session.id, { actor: "user", reason: "ended_by_user" });
  assert.equal((await there()).text, INACTIVE);
  assert.equal((await orders.introspect(accessToken)).text, INACTIVE);
  await beside.stop(1);
});

test("what was minted before the roles of its user changed is inactive", async () => {
  const user = await server.addUser("rita");
  const { accessToken } = await tokens(web, { userId: user.id, resources: [ORDERS] });
  clock.pass(2);
  await server.app.users.setRoles(user.id, ["boss"], { actor: "operator" });
  assert.equal((await orders.introspect(accessToken)).text, INACTIVE);
});

test("expired, forged, of another type, another issuer's or no token at all: inactive, and never a 500", async () => {
  const { accessToken, idToken = "" } = await tokens(web, { scope: "openid" });
  const [head = "", payload = "", seal = ""] = accessToken.split(".");
  const json = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const kid = JSON.parse(Buffer.from(head, "base64url").toString()).kid;
  const forged = [
    `${head}.${payload}.${seal.slice(0, -4)}AAAA`,
    `${json({ alg: "none", typ: "at+jwt", kid })}.${payload}.${seal}`,
    `${json({ alg: "HS256", typ: "at+jwt", kid })}.${payload}.${seal}`,
    `${json({ alg: "ES256", typ: "JWT", kid })}.${payload}.${seal}`,
    `${json({ alg: "ES256", typ: "at+jwt", kid, crit: ["b64"] })}.${payload}.${seal}`,
    `${head}.${json({ sub: "x" })}.${seal}`,
    idToken,
    `${head}.${payload}`,
    "..",
    "eyJ",
    "\u0000",
    "x".repeat(8000),
    "krt_x",
  ];
  for (const token of forged) assert.equal((await web.introspect(token)).text, INACTIVE);
  clock.pass(server.app.settings.accessTokenSeconds);
  assert.equal((await web.introspect(accessToken)).text, INACTIVE);
  assertOauthError(await web.post("/oauth/introspect", {}), "invalid_request");
});

test("RFC 7662 §2.1: a client of which only the id is known may not ask", async () => {
  const native = await addClient(server, "native", { redirect_uris: ["http://127.0.0.1/cb"] });
  const { accessToken } = await tokens(native);
  assertOauthError(await native.introspect(accessToken), "invalid_client", 401);
  const wrong = await server.call("/oauth/introspect", {
    method: "POST",
    body: `token=${accessToken}`,
    headers: { ...FORM, authorization: basic(orders.id, "kts_wrong") },
  });
  assertOauthError(wrong, "invalid_client", 401);
});

test("a resource whose secret was changed is refused at once, though another node has just seen the old one", async () => {
  const api = await addClient(server, "resource", { keyturn_resources: ["https://changed.example"] });
  const { accessToken } = await tokens(web, { resources: ["https://changed.example"] });
  const beside = await startTestServer({ beside: server, clock });
  const there = () =>
    beside.call("/oauth/introspect", {
      method: "POST",
      body: `token=${accessToken}`,
      headers: { ...FORM, authorization: basic(api.id, api.secret ?? "") },
    });
  assert.equal((await there()).json.active, true);
  clock.pass(1);
  const renewed = await server.app.clients.newSecret(api.id, { actor: "operator" });
  assert.ok(renewed.outcome === "renewed");
  server.secrets.add(renewed.secret);
  assertOauthError(await there(), "invalid_client", 401);
  assertOauthError(await there(), "invalid_client", 401);
  await beside.stop(1);
});

test("a refresh token is told to its own client, without being spent; replaced, it is inactive", async () => {
  const { refreshToken, session } = await letIn(server, web, { userId, scope: "read" });
  const before = await server.rows();
  const { json } = await web.introspect(refreshToken);
  assert.deepEqual(
    { active: json.active, sub: json.sub, sid: json.sid, scope: json.scope, client_id: json.client_id },
    { active: true, sub: userId, sid: session.id, scope: "read", client_id: web.id },
  );
  assert.equal(json.exp, Math.floor((clock.now() + server.app.settings.appIdleSeconds * 1000) / 1000));
  for (const stranger of [orders, plain, await addClient(server, "web")]) {
    assert.equal((await stranger.introspect(refreshToken)).text, INACTIVE);
  }
  assert.equal(await server.rows(), before.replace(/clients: \d+ rows \w+/, rowsOf(await server.rows())));
  tokensOf(await web.refresh(refreshToken));
  clock.pass(31);
  assert.equal((await web.introspect(refreshToken)).text, INACTIVE);
  await server.app.sessions.end(session.id, { actor: "user", reason: "ended_by_user" });
});

const rowsOf = (rows: string) => /clients: \d+ rows \w+/.exec(rows)?.[0] ?? "";

test("RFC 9701 §5: signed for the resource when its Accept header asks, with the type and the algorithm registered", async () => {
  const signed = await addClient(server, "resource", {
    keyturn_resources: ["https://signed.example"],
    introspection_signed_response_alg: "ES256",
  });
  const { accessToken, claims } = await tokens(web, { resources: ["https://signed.example"] });
  const headers = { accept: "application/token-introspection+jwt" };
  const jwks = (await server.call("/.well-known/jwks.json")).json as unknown as JSONWebKeySet;
  for (const [client, alg, active] of [
    [signed, "ES256", true],
    [orders, "RS256", false],
  ] as const) {
    const reply = await client.introspect(accessToken, headers);
    assert.equal(reply.headers.get("content-type"), "application/token-introspection+jwt");
    const keys =
      alg === "ES256"
        ? jwks
        : ((await server.call("/.well-known/jwks.json")).json as unknown as JSONWebKeySet);
    const { payload, protectedHeader } = await jwtVerify(reply.text, createLocalJWKSet(keys), {
      issuer: server.issuer,
      audience: client.id,
      typ: "token-introspection+jwt",
      currentDate: new Date(clock.now()),
    });
    assert.equal(protectedHeader.alg, alg);
    // RFC 9701 §5: claims of the token are in `token_introspection` and not beside it, so that it passes for no token.
    assert.deepEqual(
      payload.token_introspection,
      active ? { active: true, token_type: "Bearer", ...claims } : { active: false },
    );
    assert.equal(payload.sub, undefined);
    assert.equal(payload.exp, undefined);
  }
  const json = await signed.introspect(accessToken, { accept: "application/json" });
  assert.equal(json.headers.get("content-type"), "application/json");
});
