import assert from "node:assert/strict";
import { createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { after, before, test } from "node:test";
import sql from "sql-template-tag";
import { assertRefusal, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { accessTokenHash } from "../tokens/id-token.ts";
import {
  addClient,
  authorizePath,
  type Browser,
  claimsOf,
  codeFor,
  exchange,
  headerOf,
  pkce,
  postForm,
  query,
  requestOf,
  signedIn,
  type TestClient,
} from "./test-oauth.ts";

/** What a code is good for, and what it is not: the grant, its races and its thieves. */

const clock = stoppedClock();
let server: TestServer;
let shop: TestClient;
let spa: TestClient;
let alice: Browser;
before(async () => {
  server = await startTestServer({ clock });
  await server.addUser("alice", { name: "Alice Moreau", email: "alice@code.example" });
  shop = await addClient(server);
  spa = await addClient(server, {
    name: "Garden",
    type: "spa",
    metadata: { redirect_uris: ["https://spa.example/"] },
  });
  alice = await signedIn(server, "alice");
});
after(() => server.close());

const refresh = (client: TestClient, token: unknown) =>
  server.app.turning.turn({ token: String(token), clientId: client.client.id });
const sessionsOf = async () => (await server.app.sessions.list()).filter(({ kind }) => kind === "client");

test("OpenID Connect Core §3.1.3.3: a code gives an access token, a refresh token and an ID token with nonce, auth_time, acr, amr, at_hash and sid", async () => {
  const { code, verifier } = await codeFor(server, {
    test: shop,
    browser: alice,
    more: { nonce: "a nonce", scope: "openid profile email offline_access" },
  });
  const reply = await exchange(server, shop, { code, code_verifier: verifier });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.headers.get("cache-control"), "no-store");
  const { access_token, id_token, refresh_token, scope, token_type, expires_in } = reply.json;
  assert.equal(token_type, "Bearer");
  assert.equal(expires_in, 600);
  assert.equal(scope, "openid profile email offline_access");
  const [session] = await sessionsOf();
  assert.ok(session);
  const user = await server.app.users.find("alice");
  const id = claimsOf(id_token);
  assert.deepEqual(
    { ...id, exp: 0, at_hash: "", sid: "" },
    {
      iss: server.issuer,
      sub: user?.id,
      aud: shop.client.id,
      exp: 0,
      iat: Math.floor(clock.now() / 1000),
      auth_time: Math.floor(session.authenticatedAt / 1000),
      nonce: "a nonce",
      acr: "urn:keyturn:1fa",
      amr: ["pwd"],
      at_hash: "",
      sid: "",
      preferred_username: "alice",
      name: "Alice Moreau",
      email: "alice@code.example",
      email_verified: false,
    },
  );
  assert.equal(id.sid, session.id);
  assert.equal(id.at_hash, accessTokenHash(String(access_token), "RS256"));
  const access = claimsOf(access_token);
  assert.equal(access.client_id, shop.client.id);
  assert.equal(access.aud, server.app.settings.audience);
  assert.equal(headerOf(access_token).typ, "at+jwt");
  assert.equal((await refresh(shop, refresh_token)).outcome, "turned");
});

test("OpenID Connect Registration §2: the ID token is signed with RS256 when the client says nothing, by a key that is made when it is first needed", async () => {
  const own = await startTestServer();
  await own.addUser("alice");
  const algorithms = () => own.app.signingKeys.jwks().keys.map(({ alg }) => alg);
  assert.deepEqual([...new Set(algorithms())], ["ES256"], "no start pays for it");
  const test = await addClient(own);
  const second = await startTestServer({ beside: own });
  try {
    const { code, verifier } = await codeFor(own, { test, browser: await signedIn(own, "alice") });
    const { json } = await exchange(own, test, { code, code_verifier: verifier });
    const { kid, alg } = headerOf(json.id_token);
    assert.equal(alg, "RS256");
    const { keys } = (await own.call("/.well-known/jwks.json")).json as unknown as { keys: JsonWebKey[] };
    const jwk = keys.find((key) => key.kid === kid);
    const [head, body, signature = ""] = String(json.id_token).split(".");
    const key = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
    assert.ok(verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url")));
    // The other node signs with the same key, without having made one.
    const more = await codeFor(second, { test, browser: await signedIn(second, "alice") });
    const other = await exchange(second, test, { code: more.code, code_verifier: more.verifier });
    assert.equal(headerOf(other.json.id_token).kid, kid);
    assert.equal(algorithms().filter((one) => one === "RS256").length, 2, "a current and a next one");
  } finally {
    await second.close();
    await own.close();
  }
});

test("two nodes that need a key at the same moment make one", async () => {
  const own = await startTestServer();
  const second = await startTestServer({ beside: own });
  try {
    await Promise.all([own, second, own, second].map(({ app }) => app.signingKeys.ensure("EdDSA")));
    const kids = [own, second].map(({ app }) => app.signingKeys.current("EdDSA").id);
    assert.equal(kids[0], kids[1]);
  } finally {
    await second.close();
    await own.close();
  }
});

test("RFC 6749 §4.1.2: a code that is used a second time is refused, and what it gave is over, in the log and in the feed", async () => {
  const { code, verifier } = await codeFor(server, { test: shop, browser: alice });
  const first = await exchange(server, shop, { code, code_verifier: verifier });
  assert.equal(first.status, 200);
  assertRefusal(await exchange(server, shop, { code, code_verifier: verifier }), {
    status: 400,
    error: "invalid_grant",
  });
  assert.deepEqual(await refresh(shop, first.json.refresh_token), { outcome: "refused", reason: "revoked" });
  const id = String(claimsOf(first.json.access_token).sid);
  assert.equal((await server.app.sessions.find(id))?.endReason, "code_reused");
  const events = await server.app.audit.list({ sessionId: id });
  assert.deepEqual(
    events.map(({ type }) => type),
    ["code.reused", "session.started"],
  );
  const verified = await server.app.guard.verify(String(first.json.access_token));
  assert.equal(verified.ok, false);
  // Long after it would have expired, too.
  const later = await codeFor(server, { test: shop, browser: alice });
  const used = await exchange(server, shop, { code: later.code, code_verifier: later.verifier });
  clock.pass(300);
  await exchange(server, shop, { code: later.code, code_verifier: later.verifier });
  assert.equal((await refresh(shop, used.json.refresh_token)).outcome, "refused");
});

test("of twenty requests at once with one code one wins, and no loser ends what the winner has", async () => {
  const { code, verifier } = await codeFor(server, { test: shop, browser: alice });
  const found = await server.app.oauth.codes.find(code);
  assert.ok(found);
  const by = { client: shop.client, keyThumbprint: undefined, ip: "127.0.0.1", userAgent: "test" };
  const started = await Promise.all(
    Array.from({ length: 20 }, () => server.app.oauth.codes.start(found, by)),
  );
  const winners = started.filter((one) => one !== undefined);
  assert.equal(winners.length, 1);
  assert.equal((await refresh(shop, winners[0]?.credential)).outcome, "turned");
  const { code: other, verifier: itsVerifier } = await codeFor(server, { test: shop, browser: alice });
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => exchange(server, shop, { code: other, code_verifier: itsVerifier })),
  );
  assert.equal(replies.filter(({ status }) => status === 200).length, 1);
  for (const reply of replies.filter(({ status }) => status !== 200)) {
    assertRefusal(reply, { status: 400, error: "invalid_grant" });
  }
  assert.ok(verifier);
});

test("RFC 7636 §4.6, RFC 6749 §4.1.3: another verifier, client or redirect URI is refused, and neither uses the code up nor ends what it gave", async () => {
  const thief = await addClient(server, { name: "Thief" });
  const { code, verifier } = await codeFor(server, { test: shop, browser: alice });
  const attempts = async () => {
    const wrong: readonly [TestClient, Record<string, string>][] = [
      [shop, { code_verifier: pkce().verifier }],
      [shop, { code_verifier: `${verifier}=` }],
      [shop, { code_verifier: verifier.slice(1) }],
      [shop, { code_verifier: verifier, redirect_uri: `${shop.redirectUri}/` }],
      [thief, { code_verifier: verifier }],
      [spa, { code_verifier: verifier }],
    ];
    for (const [client, more] of wrong) {
      const reply = await exchange(server, client, { code, ...more });
      assertRefusal(reply, { status: 400, error: "invalid_grant" });
    }
  };
  await attempts();
  const good = await exchange(server, shop, { code, code_verifier: verifier });
  assert.equal(good.status, 200, good.text);
  // Who saw the code in a log cannot sign its owner out.
  await attempts();
  assert.equal((await refresh(shop, good.json.refresh_token)).outcome, "turned");
});

test("a request without a code or a verifier, with one that is none, or with an expired one is refused", async () => {
  const { code, verifier } = await codeFor(server, { test: shop, browser: alice });
  const send = (parameters: Record<string, string | undefined>) => exchange(server, shop, parameters);
  assertRefusal(await send({ code_verifier: verifier }), { status: 400, error: "invalid_request" });
  assertRefusal(await send({ code }), { status: 400, error: "invalid_request" });
  for (const bad of ["x", `${code}A`, code.slice(1), "'; --", "\u0000", "a".repeat(5000)]) {
    assertRefusal(await send({ code: bad, code_verifier: verifier }), {
      status: 400,
      error: "invalid_grant",
    });
  }
  clock.pass(60);
  assertRefusal(await send({ code, code_verifier: verifier }), { status: 400, error: "invalid_grant" });
});

test("OAuth 2.1 §10.2: the redirect URI may be left out at the token endpoint, for PKCE binds the code", async () => {
  const { code, verifier } = await codeFor(server, { test: shop, browser: alice });
  const reply = await exchange(server, shop, { code, code_verifier: verifier, redirect_uri: undefined });
  assert.equal(reply.status, 200, reply.text);
});

test("who signs out before the code is used lets nobody in", async () => {
  const browser = await signedIn(server, "alice");
  const { code, verifier } = await codeFor(server, { test: shop, browser });
  const page = await browser.open("/sign-out");
  await browser.submit(page, "/sign-out");
  assertRefusal(await exchange(server, shop, { code, code_verifier: verifier }), {
    status: 400,
    error: "invalid_grant",
  });
});

test("what was let in ends with the browser's session, unless offline_access was granted", async () => {
  const browser = await signedIn(server, "alice");
  const online = await codeFor(server, { test: shop, browser });
  const offline = await codeFor(server, { test: shop, browser, more: { scope: "openid offline_access" } });
  const one = await exchange(server, shop, { code: online.code, code_verifier: online.verifier });
  const two = await exchange(server, shop, { code: offline.code, code_verifier: offline.verifier });
  const page = await browser.open("/sign-out");
  await browser.submit(page, "/sign-out");
  assert.deepEqual(await refresh(shop, one.json.refresh_token), { outcome: "refused", reason: "revoked" });
  assert.equal((await refresh(shop, two.json.refresh_token)).outcome, "turned");
});

test("what was let in goes on when the same person signs in anew in the browser, and ends when somebody else does", async () => {
  await server.addUser("bob");
  const browser = await signedIn(server, "alice");
  const given = async () => {
    const { code, verifier } = await codeFor(server, { test: shop, browser });
    return exchange(server, shop, { code, code_verifier: verifier });
  };
  const { json } = await given();
  await browser.signIn("alice");
  const turned = await refresh(shop, json.refresh_token);
  assert.equal(turned.outcome, "turned");
  await browser.signIn("bob");
  const token = turned.outcome === "turned" ? turned.refreshToken : "";
  assert.deepEqual(await refresh(shop, token), { outcome: "refused", reason: "revoked" });
});

test("a client that is not registered for refresh_token gets none, and no offline_access", async () => {
  const test = await addClient(server, { name: "Brief", metadata: { grant_types: ["authorization_code"] } });
  const { code, verifier } = await codeFor(server, {
    test,
    browser: alice,
    more: { scope: "openid offline_access" },
  });
  const { json } = await exchange(server, test, { code, code_verifier: verifier });
  assert.equal(json.refresh_token, undefined);
  assert.equal(json.scope, "openid");
});

test("RFC 8707 §2.2: the access token is for the resources that were granted, or those of them that the request names", async () => {
  const metadata = {
    keyturn_resources: ["https://api.example/one", "https://api.example/two"],
    scope: "read write",
  };
  await server.app.clients.add({ name: "API", type: "resource", metadata }, { actor: "operator" });
  const resource = ["https://api.example/one", "https://api.example/two"];
  const of = async (more: Record<string, string | readonly string[]>) => {
    const { code, verifier } = await codeFor(server, {
      test: shop,
      browser: alice,
      more: { resource, scope: "openid read" },
    });
    return exchange(server, shop, { code, code_verifier: verifier, ...more });
  };
  assert.deepEqual(claimsOf((await of({})).json.access_token).aud, resource);
  const one = await of({ resource: resource[0] ?? "" });
  assert.equal(claimsOf(one.json.access_token).aud, resource[0]);
  assertRefusal(await of({ resource: "https://api.example/three" }), {
    status: 400,
    error: "invalid_target",
  });
  assertRefusal(await of({ resource: "https://api.example/one/" }), { status: 400, error: "invalid_target" });
});

test("the default audience is asked for by its name too", async () => {
  const { code, verifier } = await codeFor(server, { test: shop, browser: alice });
  const resource = server.app.settings.audience;
  const { json } = await exchange(server, shop, { code, code_verifier: verifier, resource });
  assert.equal(claimsOf(json.access_token).aud, resource);
});

test("a code is forgotten when a second use of it would end nothing any more", async () => {
  const { code } = await codeFor(server, { test: shop, browser: alice });
  await server.app.oauth.deletePast();
  assert.ok(await server.app.oauth.codes.find(code));
  clock.pass(60 + 600);
  await server.app.oauth.deletePast();
  assert.equal(await server.app.oauth.codes.find(code), undefined);
});

test("a code that one client was given does nothing at another client's callback, for the verifier is not there", async () => {
  // RFC 9700 §4.5: the attacker puts a code that was meant for somebody else into a flow of their own.
  const victim = await codeFor(server, { test: spa, browser: alice });
  const attacker = pkce();
  const begun = await alice.open(authorizePath(requestOf(spa, attacker.challenge)));
  assert.ok(begun.status === 303 || begun.status === 200);
  const reply = await exchange(server, spa, { code: victim.code, code_verifier: attacker.verifier });
  assertRefusal(reply, { status: 400, error: "invalid_grant" });
});

test("a code cannot be sent twice in one request, nor in the address", async () => {
  const { code, verifier } = await codeFor(server, { test: shop, browser: alice });
  const twice = await exchange(server, shop, { code: [code, code], code_verifier: verifier });
  assertRefusal(twice, { status: 400, error: "invalid_request" });
  const parameters = { grant_type: "authorization_code", code, code_verifier: verifier };
  const inAddress = await postForm(
    server,
    `/oauth/token?${query(parameters)}`,
    {},
    { headers: shop.headers },
  );
  assertRefusal(inAddress, { status: 400, error: "invalid_request" });
});

for (const order of [["removal", "exchange"] as const, ["exchange", "removal"] as const]) {
  test(`a client that is removed while its code is exchanged is left with no session: the ${order[0]} comes first`, async () => {
    const passing = await addClient(server, { name: "Passing" });
    const { id } = passing.client;
    // Its use is noted about once a day; that would wait for the removal too.
    const noted = await codeFor(server, { test: passing, browser: alice });
    await exchange(server, passing, { code: noted.code, code_verifier: noted.verifier });
    const { code, verifier } = await codeFor(server, { test: passing, browser: alice });
    const begin = { removal: Promise.withResolvers<void>(), exchange: Promise.withResolvers<void>() };
    const removal = begin.removal.promise.then(() => server.app.clients.remove(id, { actor: "operator" }));
    const exchanged = begin.exchange.promise.then(() =>
      exchange(server, passing, { code, code_verifier: verifier }),
    );
    // Both come to wait for the row of the code: when it is let go, the first one is served, and the other one after it.
    await server.database.transaction(async (tx) => {
      await tx.all(holdCodesOf(id));
      for (const [before, act] of order.entries()) {
        begin[act].resolve();
        await codeIsWaitedForBy(before + 1);
      }
    });
    assert.ok(await removal);
    const { status, json } = await exchanged;
    if (order[0] === "removal") assert.equal(json.error, "invalid_grant");
    else if (server.database.engine === "postgres") assert.equal(status, 200);
    const alive = (await sessionsOf()).filter((one) => one.clientId === id && one.revokedAt === undefined);
    assert.deepEqual(alive, []);
  });
}

/** On PostgreSQL who waits for a row that was only held is served in order; after an update they would race for it. */
const holdCodesOf = (clientId: string) => {
  const codes = sql`SELECT 1 FROM authorization_codes WHERE client_id = ${clientId} AND used_at IS NULL`;
  return server.database.engine === "postgres" ? sql`${codes} FOR UPDATE` : codes;
};

/** On SQLite they wait in a queue where nobody sees them: a removal is in it at once, an exchange after a while. */
async function codeIsWaitedForBy(count: number): Promise<void> {
  if (server.database.engine === "sqlite") return new Promise((resolve) => setTimeout(resolve, 200));
  let waiting = 0;
  for (let look = 0; look < 400 && waiting < count; look++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    const row = await server.database.one<{ n: number }>(sql`
      SELECT CAST(count(DISTINCT l.pid) AS BIGINT) AS n FROM pg_locks l
        JOIN pg_locks held ON held.pid = l.pid AND held.relation = CAST('authorization_codes' AS regclass)
       WHERE NOT l.granted`);
    waiting = row?.n ?? 0;
  }
  assert.equal(waiting, count, "statements that wait");
}
