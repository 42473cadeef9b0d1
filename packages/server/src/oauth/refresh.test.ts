import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { decodeJwt } from "jose";
import { limits } from "../primitives/limits.ts";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { addClient, assertOauthError, keyOf, letIn, type TestClient, tokensOf } from "./test-grants.ts";

const ORDERS = "https://orders.example/api";
const STOCK = "https://stock.example/api";
const clock = stoppedClock();
let server: TestServer;
let web: TestClient;
let native: TestClient;
let userId: string;

before(async () => {
  server = await startTestServer({ clock, settings: { scopes: ["read", "write"] } });
  web = await addClient(server, "web");
  native = await addClient(server, "native", { redirect_uris: ["http://127.0.0.1/cb"] });
  await addClient(server, "resource", { keyturn_resources: [ORDERS, STOCK] });
  userId = (await server.addUser("alice", { name: "Alice", email: "alice@example.com" })).id;
});
after(() => server.close());

const start = (client: TestClient, more = {}) => letIn(server, client, { userId, ...more });

describe("what a refresh gives", () => {
  test("RFC 6749 §6: a refresh token for its successor and an access token of the same grant", async () => {
    const { refreshToken, session } = await start(web, { scope: "read write" });
    const first = tokensOf(await web.refresh(refreshToken));
    assert.notEqual(first.refreshToken, refreshToken);
    assert.equal(first.json.token_type, "Bearer");
    assert.equal(first.json.scope, "read write");
    const { sub, client_id, sid, aud, scope, auth_time, amr } = first.claims;
    assert.deepEqual(
      { sub, client_id, sid, aud, scope, amr },
      {
        sub: userId,
        client_id: web.id,
        sid: session.id,
        aud: server.app.settings.audience,
        scope: "read write",
        amr: ["pwd"],
      },
    );
    assert.equal(auth_time, Math.floor(session.authenticatedAt / 1000));
    assert.equal(first.idToken, undefined, "no ID token without openid");
    tokensOf(await web.refresh(first.refreshToken));
  });

  test("OpenID Connect Core §12.2: an ID token of the same sign-in: iss, sub, aud, auth_time, and no nonce", async () => {
    const { refreshToken, session } = await start(web, { scope: "openid profile email" });
    clock.pass(60);
    const { idToken = "" } = tokensOf(await web.refresh(refreshToken));
    const { iss, sub, aud, auth_time, nonce, sid, at_hash, name, email } = decodeJwt(idToken);
    assert.deepEqual(
      { iss, sub, aud, sid },
      { iss: server.issuer, sub: userId, aud: web.id, sid: session.id },
    );
    assert.equal(auth_time, Math.floor(session.authenticatedAt / 1000));
    assert.equal(nonce, undefined);
    assert.ok(at_hash);
    assert.deepEqual({ name, email }, { name: "Alice", email: "alice@example.com" });
  });

  test("OpenID Connect Core §8: a pairwise client's tokens name the user its own way, the same each time", async () => {
    const pairwise = await addClient(server, "web", { subject_type: "pairwise" });
    const { refreshToken } = await start(pairwise, { scope: "openid" });
    const one = tokensOf(await pairwise.refresh(refreshToken));
    const two = tokensOf(await pairwise.refresh(one.refreshToken));
    assert.notEqual(one.claims.sub, userId);
    assert.equal(one.claims.sub, two.claims.sub);
    assert.equal(decodeJwt(one.idToken ?? "").sub, one.claims.sub);
  });
});

describe("less than what was granted", () => {
  test("RFC 6749 §6: a narrower scope is for this access token, and the session keeps its own", async () => {
    const { refreshToken } = await start(web, { scope: "openid read write" });
    const narrow = tokensOf(await web.refresh(refreshToken, { scope: "read" }));
    assert.equal(narrow.claims.scope, "read");
    assert.equal(narrow.json.scope, "read");
    assert.equal(narrow.idToken, undefined);
    assert.equal(tokensOf(await web.refresh(narrow.refreshToken)).json.scope, "openid read write");
  });

  test("RFC 6749 §6: more than was granted is invalid_scope, and the token has not been used", async () => {
    const { refreshToken } = await start(web, { scope: "read" });
    const before = await server.rows();
    for (const scope of ["write", "read write", "READ", "read  write"]) {
      assertOauthError(await web.refresh(refreshToken, { scope }), "invalid_scope");
    }
    assert.equal(await server.rows(), before);
    tokensOf(await web.refresh(refreshToken, { scope: "read read" }));
  });

  test("RFC 8707 §2.2: one of the granted resources, or all of them", async () => {
    const { refreshToken } = await start(web, { scope: "read", resources: [ORDERS, STOCK] });
    const both = tokensOf(await web.refresh(refreshToken));
    assert.deepEqual(both.claims.aud, [ORDERS, STOCK]);
    const one = tokensOf(await web.refresh(both.refreshToken, { resource: STOCK }));
    assert.equal(one.claims.aud, STOCK);
    const again = tokensOf(await web.refresh(one.refreshToken, { resource: [STOCK, ORDERS, STOCK] }));
    assert.deepEqual(again.claims.aud, [STOCK, ORDERS]);
  });

  test("RFC 8707 §2.2: a resource that was not granted is invalid_target, compared as it is written; nothing is used", async () => {
    const { refreshToken } = await start(web, { scope: "read", resources: [ORDERS] });
    const before = await server.rows();
    for (const resource of [STOCK, `${ORDERS}/`, ORDERS.toUpperCase(), "x", [ORDERS, STOCK]]) {
      assertOauthError(await web.refresh(refreshToken, { resource }), "invalid_target");
    }
    assert.equal(await server.rows(), before);
    tokensOf(await web.refresh(refreshToken));
  });

  test("the audience of the settings may be named where no resource was granted", async () => {
    const { refreshToken } = await start(web, { scope: "read" });
    const { audience } = server.app.settings;
    assert.equal(tokensOf(await web.refresh(refreshToken, { resource: audience })).claims.aud, audience);
  });

  test("roles are those at the one resource that the token is for; at several, those that hold everywhere", async () => {
    const user = await server.addUser("rita", { roles: ["guest"] });
    const by = { actor: "operator" } as const;
    await server.app.grants.grant(user.id, { role: "clerk", resource: STOCK }, by);
    const { refreshToken } = await letIn(server, web, { userId: user.id, resources: [ORDERS, STOCK] });
    const fields: [{ resource?: string }, string[]][] = [
      [{ resource: STOCK }, ["clerk", "guest"]],
      [{ resource: ORDERS }, ["guest"]],
      [{}, ["guest"]],
    ];
    // At once: one batch, one row, and each request gets its own.
    const replies = await Promise.all(fields.map(([more]) => web.refresh(refreshToken, { ...more })));
    assert.deepEqual(
      replies.map((reply) => tokensOf(reply).claims.roles),
      fields.map(([, roles]) => roles),
    );
  });

  test("a client that is registered for less by now gets no more than that", async () => {
    const client = await addClient(server, "web", { scope: "read write" });
    const { refreshToken } = await start(client, { scope: "read write" });
    const { refreshToken: next } = tokensOf(await client.refresh(refreshToken));
    clock.pass(1);
    await client.change({ scope: "read" });
    assert.equal(tokensOf(await client.refresh(next)).json.scope, "read");
  });
});

describe("who may refresh", () => {
  test("RFC 6749 §6: refuses a refresh token issued to another client, and ends nothing", async () => {
    const { refreshToken } = await start(web);
    const other = await addClient(server, "web");
    const before = await server.rows();
    assertOauthError(await other.refresh(refreshToken), "invalid_grant");
    assertOauthError(await native.refresh(refreshToken), "invalid_grant");
    assert.equal(await server.rows(), before);
    tokensOf(await web.refresh(refreshToken));
  });

  test("a client's refresh token does not pass at /refresh, nor a first-party one at the token endpoint", async () => {
    const { refreshToken } = await start(web);
    const own = await server.login("alice");
    const refused = await server.call("/refresh", { json: { refreshToken } });
    assert.equal(refused.status, 401);
    assert.equal(refused.json.reason, "unknown");
    assertOauthError(await web.refresh(own.refreshToken), "invalid_grant");
    tokensOf(await web.refresh(refreshToken));
    assert.equal((await server.call("/refresh", { json: { refreshToken: own.refreshToken } })).status, 200);
  });

  test("RFC 6749 §5.2: a wrong secret is invalid_client with a challenge, and a client that is not registered for it unauthorized_client", async () => {
    const { refreshToken } = await start(web);
    const wrong = await server.call("/oauth/token", {
      method: "POST",
      body: `grant_type=refresh_token&refresh_token=${refreshToken}&client_id=${web.id}&client_secret=kts_wrong`,
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assertOauthError(wrong, "invalid_client", 401);
    assert.match(wrong.headers.get("www-authenticate") ?? "", /^Basic /);
    const service = await addClient(server, "service");
    assertOauthError(await service.refresh(refreshToken), "unauthorized_client");
  });

  test("a secret that was changed is refused at once, though the client was seen a moment ago, also by another node", async () => {
    const client = await addClient(server, "web");
    const beside = await startTestServer({ beside: server, clock });
    const there = (fields: object) =>
      beside.call("/oauth/token", {
        method: "POST",
        body: new URLSearchParams({
          ...fields,
          client_id: client.id,
          client_secret: client.secret ?? "",
        }).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded" },
      });
    const { refreshToken } = await start(client);
    const fields = (token: string) => ({ grant_type: "refresh_token", refresh_token: token });
    const { refreshToken: second } = tokensOf(await client.refresh(refreshToken));
    const { refreshToken: third } = tokensOf(await there(fields(second)));
    clock.pass(1);
    const made = await server.app.clients.newSecret(client.id, { actor: "operator" });
    assert.ok(made.outcome === "renewed");
    const { secret } = made;
    server.secrets.add(secret);
    assertOauthError(await client.refresh(third), "invalid_client", 401);
    assertOauthError(await there(fields(third)), "invalid_client", 401);
    const renewed = await there({ ...fields(third), client_secret: secret });
    assertOauthError(renewed, "invalid_client", 401);
    await beside.stop(1);
  });

  test("a client that was removed is refused, though it was seen a moment ago", async () => {
    const client = await addClient(server, "web");
    const { refreshToken } = await start(client);
    const next = tokensOf(await client.refresh(refreshToken));
    await client.remove();
    assertOauthError(await client.refresh(next.refreshToken), "invalid_client", 401);
  });

  test("a client that may no longer use the grant is refused, and one that was changed otherwise goes on", async () => {
    const client = await addClient(server, "web");
    const first = await start(client);
    const { refreshToken } = tokensOf(await client.refresh(first.refreshToken));
    clock.pass(1);
    await client.change({ client_uri: "https://client.example/" });
    const next = tokensOf(await client.refresh(refreshToken));
    clock.pass(1);
    await client.change({ grant_types: ["authorization_code"] });
    assertOauthError(await client.refresh(next.refreshToken), "unauthorized_client");
  });
});

describe("used twice", () => {
  test("64 refreshes at once, one successor and no error", async () => {
    const { refreshToken } = await start(web);
    const replies = await Promise.all(Array.from({ length: 64 }, () => web.refresh(refreshToken)));
    assert.equal(new Set(replies.map((reply) => tokensOf(reply).refreshToken)).size, 1);
  });

  test("64 refreshes at once of a session that is bound to a key, each with its proof: one successor and no error", async () => {
    const key = await keyOf(server, clock);
    const { refreshToken } = await start(native, { keyThumbprint: key.thumbprint });
    const replies = await Promise.all(
      Array.from({ length: 64 }, async () => native.refresh(refreshToken, {}, await key.proof())),
    );
    assert.equal(new Set(replies.map((reply) => tokensOf(reply).refreshToken)).size, 1);
    assert.ok(replies.every(({ json }) => json.token_type === "DPoP"));
  });

  test("a lost reply is fetched again within the grace, and with the attempt key for a day", async () => {
    const { refreshToken } = await start(web);
    const headers = { "idempotency-key": "attempt-1" };
    const first = tokensOf(await web.refresh(refreshToken, {}, headers));
    clock.pass(20);
    assert.equal(tokensOf(await web.refresh(refreshToken)).refreshToken, first.refreshToken);
    clock.pass(12 * 3600);
    assert.equal(tokensOf(await web.refresh(refreshToken, {}, headers)).refreshToken, first.refreshToken);
    const bad = await web.refresh(refreshToken, {}, { "idempotency-key": "a,b" });
    assertOauthError(bad, "invalid_request");
  });

  test("RFC 9700 §4.14.2: an old token that comes back ends the session, and guards hear of it; the sentence says so", async () => {
    const { refreshToken } = await start(web, { scope: "openid" });
    const next = tokensOf(await web.refresh(refreshToken));
    clock.pass(31);
    // Also when it asks for what was never granted: the theft shows all the same.
    const reused = await web.refresh(refreshToken, { scope: "never-granted" });
    assertOauthError(reused, "invalid_grant");
    assert.match(String(reused.json.error_description), /old refresh token was used again/);
    assertOauthError(await web.refresh(next.refreshToken), "invalid_grant");
    await server.app.revocations.wake();
    const verdict = await server.app.guard.verify(next.accessToken);
    assert.equal(verdict.ok, false);
    assert.equal((await web.introspect(next.accessToken)).text, '{"active":false}');
  });

  test("a session that was ended, one that has expired and one left idle are invalid_grant, each with its sentence", async () => {
    const ended = await start(web);
    await server.app.sessions.end(ended.session.id, { actor: "user", reason: "ended_by_user" });
    const short = await start(web, { expiresAt: clock.now() + 1000 });
    const idle = await start(web);
    clock.pass(2);
    const cases = [
      [ended, /was ended/],
      [short, /has expired/],
    ] as const;
    for (const [{ refreshToken }, sentence] of cases) {
      const reply = await web.refresh(refreshToken);
      assertOauthError(reply, "invalid_grant");
      assert.match(String(reply.json.error_description), sentence);
    }
    clock.pass(server.app.settings.appIdleSeconds);
    assertOauthError(await web.refresh(idle.refreshToken), "invalid_grant");
  });
});

describe("DPoP", () => {
  test("RFC 9449 §5: a public client's bound session asks for a proof by its key, and ends for none that is wrong", async () => {
    const [key, other] = [await keyOf(server, clock), await keyOf(server, clock)];
    const { refreshToken } = await start(native, { keyThumbprint: key.thumbprint });
    assertOauthError(await native.refresh(refreshToken), "invalid_dpop_proof");
    assertOauthError(await native.refresh(refreshToken, {}, await other.proof()), "invalid_dpop_proof");
    assertOauthError(
      await native.refresh(refreshToken, {}, await key.proof("/refresh")),
      "invalid_dpop_proof",
    );
    const { claims } = tokensOf(await native.refresh(refreshToken, {}, await key.proof()));
    assert.deepEqual(claims.cnf, { jkt: key.thumbprint });
  });

  test("RFC 9449 §5: a confidential client may come with another key each time; the access token is bound to that one", async () => {
    const [one, two] = [await keyOf(server, clock), await keyOf(server, clock)];
    const { refreshToken } = await start(web);
    const first = tokensOf(await web.refresh(refreshToken, {}, await one.proof()));
    assert.deepEqual(first.claims.cnf, { jkt: one.thumbprint });
    const second = tokensOf(await web.refresh(first.refreshToken, {}, await two.proof()));
    assert.deepEqual(second.claims.cnf, { jkt: two.thumbprint });
    assert.equal(tokensOf(await web.refresh(second.refreshToken)).json.token_type, "Bearer");
  });

  test("RFC 9449 §5.2: a client that is registered for DPoP gets nothing without a proof", async () => {
    const client = await addClient(server, "web", { dpop_bound_access_tokens: true });
    const { refreshToken } = await start(client);
    assertOauthError(await client.refresh(refreshToken), "invalid_dpop_proof");
    const key = await keyOf(server, clock);
    tokensOf(await client.refresh(refreshToken, {}, await key.proof()));
  });

  test("a client that is registered for DPoP from now on is held to it by its next refresh", async () => {
    const client = await addClient(server, "web");
    const { refreshToken } = await start(client);
    const next = tokensOf(await client.refresh(refreshToken));
    clock.pass(1);
    await client.change({ dpop_bound_access_tokens: true });
    assertOauthError(await client.refresh(next.refreshToken), "invalid_dpop_proof");
  });
});

describe("no routine rotation", () => {
  test("FAPI 2.0 §5.3.2.1: the same token again, its last use noted, and no generation more", async () => {
    const client = await addClient(server, "web", { keyturn_refresh_rotation: false });
    const { refreshToken, session } = await start(client);
    clock.pass(120);
    const replies = await Promise.all(Array.from({ length: 16 }, () => client.refresh(refreshToken)));
    for (const reply of replies) assert.equal(tokensOf(reply).refreshToken, refreshToken);
    const now = await server.app.sessions.find(session.id);
    assert.equal(now?.generation, 0);
    assert.equal(now?.lastUsedAt, clock.now());
    clock.pass(3600);
    tokensOf(await client.refresh(refreshToken));
  });

  test("RFC 9700 §2.2.2: a public client's tokens are replaced, whatever its registration says", async () => {
    const client = await addClient(server, "native", {
      redirect_uris: ["http://127.0.0.1/cb"],
      keyturn_refresh_rotation: false,
    });
    const { refreshToken } = await start(client);
    assert.notEqual(tokensOf(await client.refresh(refreshToken)).refreshToken, refreshToken);
  });

  test("a token that was replaced before the client was switched over still shows a theft", async () => {
    const client = await addClient(server, "web");
    const { refreshToken } = await start(client);
    const next = tokensOf(await client.refresh(refreshToken));
    clock.pass(31);
    await client.change({ keyturn_refresh_rotation: false });
    assertOauthError(await client.refresh(refreshToken), "invalid_grant");
    assertOauthError(await client.refresh(next.refreshToken), "invalid_grant");
  });
});

test("hostile input is refused as what it is, and never with a 500", async () => {
  const { refreshToken } = await start(web);
  const tokens = ["krt_", "x", `${refreshToken}x`, refreshToken.slice(0, -1), "krt_\u0000", "é".repeat(900)];
  for (const token of [...tokens, "k".repeat(limits.refreshTokenCharactersMax + 1)]) {
    assertOauthError(await web.refresh(token), "invalid_grant");
  }
  for (const resource of [
    "\u0000",
    "https://orders.example/\u0000",
    "https://a.example\u0001",
    "\ud83d\ude00",
  ]) {
    // Beside others in one batch, which it must not take along.
    const [bad, good] = await Promise.all([
      web.refresh(refreshToken, { resource }),
      web.refresh((await start(web)).refreshToken),
    ]);
    assertOauthError(bad, "invalid_target");
    tokensOf(good);
  }
  assertOauthError(await web.refresh(refreshToken, { scope: "\u0000" }), "invalid_scope");
  assertOauthError(await web.token({ grant_type: "refresh_token" }), "invalid_request");
  assertOauthError(await web.token({ grant_type: "refresh_token", refresh_token: "" }), "invalid_request");
  const twice = { grant_type: "refresh_token", refresh_token: [refreshToken, refreshToken] };
  assertOauthError(await web.token(twice), "invalid_request");
  assertOauthError(await web.token({ grant_type: "password" }), "unsupported_grant_type");
  tokensOf(await web.refresh(refreshToken));
});
