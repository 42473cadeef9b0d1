import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, SignJWT } from "jose";
import { browserAt } from "../test-browser.ts";
import {
  assertRefusal,
  startTestServer,
  stoppedClock,
  type TestServer,
  type Tokens,
} from "../test-server.ts";
import { addTotp } from "../users/factors/test-factors.ts";
import { testLetters } from "../users/mailing/test-letters.ts";

const clock = stoppedClock();
const password = "correct horse battery";
let server: TestServer;
let users = 0;

before(async () => {
  server = await startTestServer({ clock, holdsMail: true });
});
after(() => server.close());

type Claims = Readonly<Record<string, unknown>>;

/** A client with a key of its own, whose clock may be wrong. */
async function device({ at = server, skewSeconds = 0 } = {}) {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwk = await exportJWK(publicKey);
  let jtis = 0;

  function prove(method: string, path: string, claims: Claims = {}): Promise<string> {
    const payload = {
      jti: `${Math.random()}-${++jtis}`,
      htm: method,
      htu: at.issuer + path,
      iat: Math.floor(clock.now() / 1000) + skewSeconds,
      ...claims,
    };
    return new SignJWT(payload).setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk }).sign(privateKey);
  }

  async function post(
    path: string,
    json: unknown,
    more: { claims?: Claims; headers?: Record<string, string> } = {},
  ) {
    const proof = await prove("POST", path, more.claims);
    return at.call(path, { json, headers: { dpop: proof, ...more.headers } });
  }

  return {
    prove,
    post,
    thumbprint: await calculateJwkThumbprint(jwk),
    login: (username: string, more = {}) => post("/login", { username, password }, more),
    refresh: (refreshToken: string, more = {}) => post("/refresh", { refreshToken }, more),
    nonceProof: (method: string, path: string, nonce: string) => prove(method, path, { nonce }),
  };
}

async function newUser(at = server): Promise<string> {
  const username = `bound-${++users}`;
  await at.addUser(username);
  return username;
}

async function bound() {
  const own = await device();
  const username = await newUser();
  const reply = await own.login(username);
  assert.equal(reply.status, 200, reply.text);
  return { own, username, tokens: reply.json as unknown as Tokens, reply };
}

const turn = (refreshToken: string, headers: Record<string, string> = {}) =>
  server.call("/refresh", { json: { refreshToken }, headers });

describe("a session that was signed in with a proof", () => {
  test("RFC 9449 §5: is bound to the key, refreshes with proofs by it, and is handed a nonce", async () => {
    const { own, tokens, reply } = await bound();
    assert.match(reply.headers.get("dpop-nonce") ?? "", /^[\w-]{30}$/);
    const session = await server.app.sessions.find(tokens.sessionId);
    assert.equal(session?.keyThumbprint, own.thumbprint);
    const turned = await own.refresh(tokens.refreshToken);
    assert.equal(turned.status, 200, turned.text);
    assert.match(turned.headers.get("dpop-nonce") ?? "", /^[\w-]{30}$/);
    assert.equal((await own.refresh(String(turned.json.refreshToken))).status, 200);
  });

  test("signing in by mail binds it too; the ticket of a letter is bound to no key", async () => {
    const own = await device();
    const username = `by-mail-${++users}`;
    const email = `${username}@example.com`;
    await server.addUser(username, { email, emailVerified: true });
    const { ticket } = (await server.call("/login/email", { json: { email } })).json;
    const { database, secrets, app } = server;
    const { composeCodeLetter: compose } = app.mailing;
    const { code } = await testLetters({ database, compose, secrets }).one();
    const reply = await own.post("/login/email/confirm", { ticket, code });
    assert.equal(reply.status, 200, reply.text);
    const session = await server.app.sessions.find(String(reply.json.sessionId));
    assert.equal(session?.keyThumbprint, own.thumbprint);
    assertRefusal(await turn(String(reply.json.refreshToken)), { status: 400, error: "invalid_dpop_proof" });
  });

  test("its access token stays a Bearer token for every API, unless the settings say otherwise", async () => {
    const { tokens } = await bound();
    assert.equal(tokens.tokenType, "Bearer");
    assert.equal(decodeJwt(tokens.accessToken).cnf, undefined);
    assert.equal((await server.call("/me", { token: tokens.accessToken })).status, 200);
  });

  test("a stolen refresh token is worth nothing without the key: refused, and nobody is signed out", async () => {
    const { own, tokens } = await bound();
    const thief = await device();
    const before = await server.rows();
    for (const reply of [await turn(tokens.refreshToken), await thief.refresh(tokens.refreshToken)]) {
      assertRefusal(reply, { status: 400, error: "invalid_dpop_proof" });
    }
    assert.equal(await server.rows(), before);
    const turned = await own.refresh(tokens.refreshToken);
    assert.equal(turned.status, 200);
    // An old one too: without the key it shows no theft, for its thief could do nothing with it.
    clock.pass(3600);
    assertRefusal(await thief.refresh(tokens.refreshToken), { status: 400, error: "invalid_dpop_proof" });
    assert.equal((await own.refresh(String(turned.json.refreshToken))).status, 200);
  });

  test("with the key, an old token that comes back late still ends the session", async () => {
    const { own, tokens } = await bound();
    await own.refresh(tokens.refreshToken);
    clock.pass(31);
    const late = await own.refresh(tokens.refreshToken);
    assertRefusal(late, { status: 401, error: "invalid_refresh_token", reason: "reused" });
  });

  test("a lost reply is asked for again with the same attempt key and a new proof", async () => {
    const { own, tokens } = await bound();
    const headers = { "idempotency-key": "attempt-of-this-device" };
    const lost = await own.refresh(tokens.refreshToken, { headers });
    clock.pass(3600);
    const again = await own.refresh(tokens.refreshToken, { headers });
    assert.equal(again.status, 200, again.text);
    assert.equal(again.json.refreshToken, lost.json.refreshToken);
  });

  test("RFC 7009 §2.1: whoever holds the refresh token may sign out, without a proof", async () => {
    const { tokens } = await bound();
    const reply = await server.call("/logout", { json: { refreshToken: tokens.refreshToken } });
    assert.equal(reply.status, 204);
    assert.equal((await server.call("/me", { token: tokens.accessToken })).status, 401);
  });
});

describe("proofs", () => {
  test("a session without a key takes one, and stays without", async () => {
    const own = await device();
    const tokens = await server.login(await newUser());
    const turned = await own.refresh(tokens.refreshToken);
    assert.equal(turned.status, 200);
    assert.equal((await turn(String(turned.json.refreshToken))).status, 200);
  });

  test("RFC 9449 §8: a clock that is wrong by an hour is answered with a nonce, and gets in with it", async () => {
    for (const skewSeconds of [3600, -3600, 30 * 24 * 3600]) {
      const own = await device({ skewSeconds });
      const username = await newUser();
      const first = await own.login(username);
      assertRefusal(first, { status: 400, error: "use_dpop_nonce" });
      const nonce = first.headers.get("dpop-nonce");
      const second = await own.login(username, { claims: { nonce } });
      assert.equal(second.status, 200, second.text);
      const { refreshToken } = second.json;
      const turned = await own.refresh(String(refreshToken), { claims: { nonce } });
      assert.equal(turned.status, 200);
      // The nonce is old by now: a new one is handed out with the refusal.
      clock.pass(301);
      const stale = await own.refresh(String(turned.json.refreshToken), { claims: { nonce } });
      assertRefusal(stale, { status: 400, error: "use_dpop_nonce" });
      const fresh = stale.headers.get("dpop-nonce");
      assert.notEqual(fresh, nonce);
      assert.equal(
        (await own.refresh(String(turned.json.refreshToken), { claims: { nonce: fresh } })).status,
        200,
      );
    }
  });

  test("an attempt that lacks the nonce does not count as a guess at the password", async () => {
    const own = await device({ skewSeconds: 3600 });
    const username = await newUser();
    for (let attempt = 0; attempt < 15; attempt++) assert.equal((await own.login(username)).status, 400);
    assert.equal((await server.call("/login", { json: { username, password } })).status, 200);
  });

  test("a nonce of another node with the same secret is good; one that nobody gave is none", async () => {
    const node = await startTestServer({ clock, beside: server });
    try {
      const own = await device({ skewSeconds: 7200 });
      const username = await newUser();
      const nonce = (await own.login(username)).headers.get("dpop-nonce");
      const proof = await own.prove("POST", "/login", { nonce });
      const there = await node.call("/login", { json: { username, password }, headers: { dpop: proof } });
      assert.equal(there.status, 200, there.text);
    } finally {
      await node.close();
    }
    const own = await device();
    const username = await newUser();
    for (const nonce of ["x", "A".repeat(30)]) {
      assert.equal((await own.login(username, { claims: { nonce } })).status, 200, "the clock is right");
    }
  });

  test("RFC 9449 §4.3: for another method, address, or out of shape they are refused, and nothing is changed", async () => {
    const { own, tokens } = await bound();
    const before = await server.rows();
    const good = await own.prove("POST", "/refresh");
    const cases = [
      await own.prove("GET", "/refresh"),
      await own.prove("POST", "/login"),
      await own.prove("POST", "/refresh", { htu: "https://elsewhere.example/refresh" }),
      await own.prove("POST", "/refresh", { jti: undefined }),
      `${good.slice(0, -4)}AAAA`,
      `${good}, ${good}`,
      "x",
      "a.b.c",
      tokens.accessToken,
      tokens.idToken,
    ];
    for (const dpop of cases) {
      const reply = await turn(tokens.refreshToken, { dpop });
      assertRefusal(reply, { status: 400, error: "invalid_dpop_proof" });
      assert.ok(reply.headers.has("dpop-nonce"));
    }
    assert.equal(await server.rows(), before);
    assert.equal((await turn(tokens.refreshToken, { dpop: good })).status, 200);
  });

  test("signing in with a cookie looks at none: a browser's session is bound to its cookie", async () => {
    const browser = browserAt(server);
    const username = await newUser();
    const reply = await browser.call("/login", {
      json: { username, password, mode: "cookie" },
      headers: { dpop: "x" },
    });
    assert.equal(reply.status, 200);
  });

  test("an issuer with a path is named in full", async () => {
    const under = await startTestServer({ clock, settings: { issuer: "http://localhost:3999/auth" } });
    try {
      await under.addUser("alice");
      const own = await device({ at: under });
      for (const path of ["/login", "/auth/login"]) {
        const proof = await own.prove("POST", "/login");
        const reply = await under.call(path, {
          json: { username: "alice", password },
          headers: { dpop: proof },
        });
        assert.equal(reply.status, 200, reply.text);
      }
    } finally {
      await under.close();
    }
  });
});

describe("accessTokenBinding: dpop", () => {
  test("RFC 9449 §6.1, §7.1: the access token carries cnf.jkt and opens nothing without its proof", async () => {
    const strict = await startTestServer({ clock, settings: { accessTokenBinding: "dpop" } });
    try {
      await strict.addUser("alice");
      const own = await device({ at: strict });
      const { json } = await own.login("alice");
      const { accessToken, tokenType, refreshToken } = json as unknown as Tokens;
      assert.equal(tokenType, "DPoP");
      assert.deepEqual(decodeJwt(accessToken).cnf, { jkt: own.thumbprint });
      const ath = createHash("sha256").update(accessToken).digest("base64url");
      const ask = (dpop: string, scheme = "DPoP") =>
        strict.call("/me", { headers: { authorization: `${scheme} ${accessToken}`, dpop } });

      const proof = await own.prove("GET", "/me", { ath });
      const good = await ask(proof);
      assert.equal(good.status, 200, good.text);
      const thief = await device({ at: strict });
      for (const reply of [
        await strict.call("/me", { token: accessToken }),
        await ask(proof),
        await ask(await own.prove("GET", "/me")),
        await ask(await own.prove("GET", "/sessions", { ath })),
        await ask(await thief.prove("GET", "/me", { ath })),
        await ask(await own.prove("GET", "/me", { ath }), "Bearer"),
      ]) {
        assertRefusal(reply, { status: 401, error: "invalid_token" });
        assert.match(reply.headers.get("www-authenticate") ?? "", /DPoP/);
      }
      const turned = await own.refresh(refreshToken);
      assert.equal(turned.json.tokenType, "DPoP");
      // A session without a key has Bearer tokens here too.
      const plain = await strict.login("alice");
      assert.equal(plain.tokenType, "Bearer");
      assert.equal((await strict.call("/me", { token: plain.accessToken })).status, 200);
    } finally {
      await strict.close();
    }
  });
});

test("RFC 9449 §5.1: discovery names the algorithms of proofs", async () => {
  const { json } = await server.call("/.well-known/oauth-authorization-server");
  assert.deepEqual(json.dpop_signing_alg_values_supported, ["ES256", "EdDSA", "Ed25519"]);
});

test("a sign-in in two steps is bound to the key of the first, and only that key takes the second", async () => {
  const user = await server.addUser(`two-steps-${++users}`);
  const totp = await addTotp(server, user);
  clock.pass(60);
  const [mine, theirs] = [await device(), await device()];
  const first = await mine.login(user.username);
  assert.equal(first.json.error, "second_factor_required");
  const ticket = String(first.json.ticket);
  server.secrets.add(ticket);
  const second = { ticket, code: await totp.code(60) };
  const over = { status: 401, error: "invalid_ticket" };
  assertRefusal(await theirs.post("/login/second-factor", second), over);
  assertRefusal(await server.call("/login/second-factor", { json: second }), over);
  const reply = await mine.post("/login/second-factor", second);
  assert.equal(reply.status, 200, reply.text);
  const refreshToken = String(reply.json.refreshToken);
  assert.equal((await theirs.refresh(refreshToken)).status, 400);
  assert.equal((await mine.refresh(refreshToken)).status, 200);
});
