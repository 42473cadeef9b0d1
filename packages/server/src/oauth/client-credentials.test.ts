import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { raw } from "sql-template-tag";
import { idOfService } from "../sessions/starting.ts";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { addClient, assertOauthError, keyOf, type TestClient, tokensOf } from "./test-grants.ts";

const ORDERS = "https://orders.example/api";
const clock = stoppedClock();
let server: TestServer;
let service: TestClient;

before(async () => {
  server = await startTestServer({ clock, settings: { scopes: ["read"] } });
  service = await addClient(server, "service");
  await addClient(server, "resource", { keyturn_resources: [ORDERS], scope: "orders.read orders.write" });
});
after(() => server.close());

const ask = (more = {}, client = service, headers = {}) =>
  client.token({ grant_type: "client_credentials", ...more }, headers);

test("RFC 6749 §4.4: a token of the client's own; RFC 9068 §2.2: sub is the client, and nothing is said of a sign-in", async () => {
  const { claims, json } = tokensOf(await ask({ scope: "read" }));
  const { sub, client_id, aud, scope, auth_time, amr, acr, roles, sid } = claims;
  assert.deepEqual(
    { sub, client_id, aud, scope, auth_time, amr, acr, roles },
    {
      sub: service.id,
      client_id: service.id,
      aud: server.app.settings.audience,
      scope: "read",
      auth_time: undefined,
      amr: undefined,
      acr: undefined,
      roles: undefined,
    },
  );
  // RFC 6749 §4.4.3: "A refresh token SHOULD NOT be included."
  assert.equal(json.refresh_token, undefined);
  assert.equal(json.id_token, undefined);
  assert.equal(json.expires_in, server.app.settings.accessTokenSeconds);
  const session = await server.app.sessions.find(String(sid));
  assert.equal(session?.kind, "service");
  assert.equal(session?.expiresAt, Number(claims.exp) * 1000);
  assert.equal(session?.userId, idOfService(service.id));
});

test("RFC 8707 §2: for the resources that it asks for, with their scopes and no others", async () => {
  const both = tokensOf(await ask({ resource: ORDERS, scope: "orders.read read" }));
  assert.equal(both.claims.aud, ORDERS);
  assert.equal(both.json.scope, "orders.read");
  const { audience } = server.app.settings;
  const two = tokensOf(await ask({ resource: [audience, ORDERS], scope: "orders.read read" }));
  assert.deepEqual(two.claims.aud, [audience, ORDERS]);
  assert.equal(two.json.scope, "orders.read read");
  for (const resource of ["https://unknown.example", `${ORDERS}/`, "x", `${ORDERS}#x`, `${ORDERS}\u0000`]) {
    assertOauthError(await ask({ resource }), "invalid_target");
  }
});

test("RFC 6749 §3.3: no more than it is registered for; by default that; and no scope that is about a person", async () => {
  const limited = await addClient(server, "service", { scope: "orders.read openid" });
  assert.equal(tokensOf(await ask({ resource: ORDERS }, limited)).json.scope, "orders.read");
  assert.equal(tokensOf(await ask({ scope: "orders.read orders.write" }, limited)).json.scope, "orders.read");
  assertOauthError(await ask({ scope: "orders.write" }, limited), "invalid_scope");
  assertOauthError(await ask({ scope: "openid profile offline_access" }, limited), "invalid_scope");
  assert.equal(tokensOf(await ask()).json.scope, "");
});

test("RFC 6749 §4.4: refused to clients that are not registered for it, and to public ones at registration", async () => {
  assertOauthError(await ask({}, await addClient(server, "web")), "unauthorized_client");
  const added = await server.app.clients.add(
    {
      name: "Public",
      type: "service",
      metadata: { token_endpoint_auth_method: "none", grant_types: ["client_credentials"] },
    },
    { actor: "operator" },
  );
  assert.equal(added.outcome, "invalid");
});

test("RFC 9449 §5: bound to the key whose proof came along", async () => {
  const key = await keyOf(server, clock);
  const { claims, json } = tokensOf(await ask({}, service, await key.proof()));
  assert.deepEqual(claims.cnf, { jkt: key.thumbprint });
  assert.equal(json.token_type, "DPoP");
});

test("each token can be listed and revoked by the operator; no user has it, and no user's list shows it", async () => {
  const user = await server.addUser("alice");
  const { claims, accessToken } = tokensOf(await ask());
  const listed = await server.app.sessions.list({ alive: true });
  assert.ok(listed.some(({ id, kind }) => id === claims.sid && kind === "service"));
  assert.deepEqual(await server.app.sessions.list({ userId: user.id }), []);
  await server.app.sessions.end(String(claims.sid), { actor: "operator", reason: "ended_by_operator" });
  assert.equal((await service.introspect(accessToken)).text, '{"active":false}');
});

test("a service's token opens nothing of the first-party API, and no claims of a user", async () => {
  const { accessToken } = tokensOf(await ask());
  for (const path of ["/me", "/sessions", "/oauth/userinfo"]) {
    assert.equal((await server.call(path, { token: accessToken })).status, 403, path);
  }
});

test("a client that is removed or changed while it asks gets no session", async () => {
  const client = await addClient(server, "service");
  const asks = (clientId: string, clientVersion: number) =>
    server.app.sessions.startService({
      clientId,
      clientVersion,
      scope: "",
      resources: [],
      expiresAt: clock.now() + 1000,
    });
  const { updatedAt } = client.client;
  assert.equal(await asks(client.id, updatedAt - 1), undefined);
  assert.equal(await asks("nobody", updatedAt), undefined);
  assert.ok(await asks(client.id, updatedAt));
});

test("an hour after their end the sessions of services are deleted, a thousand at a time, and others kept", async () => {
  const user = await server.addUser("bob");
  await server.login("bob");
  tokensOf(await ask());
  const count = async () =>
    (
      await server.place.database.all<{ n: number }>(
        raw("SELECT count(*) AS n FROM sessions WHERE kind = 'service'"),
      )
    )[0]?.n ?? 0;
  assert.ok(Number(await count()) > 0);
  clock.pass(server.app.settings.accessTokenSeconds + 3601);
  await server.app.sessions.deleteOver(clock.now() - 30 * 24 * 3600 * 1000);
  assert.equal(Number(await count()), 0);
  assert.equal((await server.app.sessions.list({ userId: user.id })).length, 1);
});
