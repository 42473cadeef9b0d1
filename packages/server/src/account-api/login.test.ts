import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import sql from "sql-template-tag";
import { assertRefusal, startTestServer, type TestServer, type Tokens } from "../test-server.ts";

let server: TestServer;
const right = "correct horse battery";
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

before(async () => {
  server = await startTestServer({ settings: { trustedProxies: 1 } });
  await server.addUser("alice", { email: "alice@example.com", name: "Alice Doe", roles: ["editor"] });
});
after(() => server.close());

let caller = 0;
/** A sign-in from an address of its own, so that one test's guesses do not limit another's. */
const tryLogin = (json: unknown, headers: Record<string, string> = {}) =>
  server.call("/login", { json, headers: { "x-forwarded-for": `198.51.100.${++caller}`, ...headers } });

test("DESIGN §6: a sign-in is answered with exactly the promised members", async () => {
  const reply = await tryLogin({ username: "alice", password: right, device: "Alice's laptop" });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get("cache-control"), "no-store");
  assert.equal(reply.headers.get("content-type"), "application/json");
  assert.equal(reply.headers.get("set-cookie"), null);
  assert.equal(
    reply.headers.get("strict-transport-security"),
    null,
    "HSTS is for https only (RFC 6797 §7.2)",
  );
  const { accessToken, refreshToken, idToken, sessionId, user, ...rest } = reply.json as unknown as Tokens;
  assert.deepEqual(rest, { tokenType: "Bearer", expiresIn: 600, refreshExpiresIn: 14 * 86_400 });
  assert.match(refreshToken, /^krt_[A-Za-z0-9_-]{94}$/);
  assert.match(sessionId, uuid);
  assert.match(String(user.createdAt), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const { createdAt: _, ...shown } = user;
  assert.match(user.id, uuid);
  assert.deepEqual(shown, {
    id: user.id,
    username: "alice",
    email: "alice@example.com",
    emailVerified: false,
    name: "Alice Doe",
    roles: ["editor"],
  });
  assert.equal(decodeProtectedHeader(accessToken).typ, "at+jwt");
  assert.equal(decodeProtectedHeader(idToken).typ, "JWT");
});

test("the tutorial's bug: the identity in every token is the user's id, never undefined", async () => {
  const { accessToken, idToken, user, sessionId } = await server.login("alice");
  for (const token of [accessToken, idToken]) {
    const claims = decodeJwt(token);
    assert.equal(claims.sub, user.id);
    assert.equal(claims.sid, sessionId);
    assert.equal(claims.iss, server.issuer);
  }
  assert.equal(decodeJwt(accessToken).aud, server.issuer);
  assert.equal(decodeJwt(idToken).aud, "first-party", "an ID token is for the client, never for an API");
  assert.deepEqual(decodeJwt(accessToken).roles, ["editor"]);
  const verified = await server.app.guard.verify(accessToken);
  assert.ok(verified.ok);
  assert.equal(verified.identity.subject, user.id);
  const me = await server.call("/me", { token: accessToken });
  assert.equal(me.json.id, user.id);
});

test("the username field takes the e-mail address, in any case", async () => {
  for (const username of ["alice@example.com", "ALICE@Example.COM", "Alice"]) {
    const reply = await tryLogin({ username, password: right });
    assert.equal(reply.status, 200, username);
  }
});

test("ASVS V6.3.8: unknown user, wrong password, disabled user, no password: one answer, to the byte", async () => {
  const disabled = await server.addUser("disabled");
  await server.app.users.disable(disabled.id, { actor: "operator" });
  const without = await server.addUser("without");
  await server.database.batch([
    sql`DELETE FROM credentials WHERE user_id = ${Buffer.from(without.id.replaceAll("-", ""), "hex")}`,
  ]);
  const attempts = [
    { username: "nobody", password: right },
    { username: "nobody@example.com", password: right },
    { username: "alice", password: "wrong password" },
    { username: "alice@example.com", password: "wrong password" },
    { username: "disabled", password: right },
    { username: "without", password: right },
    { username: "a b", password: right },
    { username: "x".repeat(254), password: right },
    { username: "nul\0nul", password: right },
    { username: "\ud800", password: right },
    { username: "alice", password: "\udfff lone surrogate" },
    { username: "alice", password: `${right}\0` },
  ];
  const before = await server.rows();
  const answers = new Set<string>();
  for (const attempt of attempts) {
    const reply = await tryLogin(attempt);
    assertRefusal(reply, { status: 401, error: "invalid_credentials" });
    const headers = [...reply.headers].filter(([name]) => name !== "date");
    answers.add(`${reply.text} ${JSON.stringify(headers)}`);
  }
  assert.equal(answers.size, 1);
  assert.equal(await server.rows(), before);
});

test("RFC 6585 §4: guessing is answered 429 with Retry-After, also for the right password and for a name that is nobody's", async () => {
  await server.addUser("target");
  for (const username of ["target", "nobodys-name"]) {
    const headers = { "x-forwarded-for": `203.0.113.${++caller}` };
    const guess = (password: string) => tryLogin({ username, password }, headers);
    for (let i = 0; i < 10; i++) {
      assertRefusal(await guess("wrong password"), { status: 401, error: "invalid_credentials" });
    }
    const limited = await guess(right);
    assertRefusal(limited, { status: 429, error: "too_many_attempts" });
    assert.match(limited.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  }
  const elsewhere = await tryLogin({ username: "target", password: right });
  assert.equal(elsewhere.status, 200, "another address is not locked out");
});

test("with no proxy of ours in front, X-Forwarded-For changes nothing", async () => {
  const direct = await startTestServer();
  try {
    await direct.addUser("bob");
    for (let i = 0; i < 10; i++) {
      const headers = { "x-forwarded-for": `203.0.113.${i}` };
      await direct.call("/login", { json: { username: "bob", password: "wrong password" }, headers });
    }
    const headers = { "x-forwarded-for": "203.0.113.99" };
    const reply = await direct.call("/login", { json: { username: "bob", password: right }, headers });
    assertRefusal(reply, { status: 429, error: "too_many_attempts" });
  } finally {
    await direct.close();
  }
});

test("the device, address and program of a sign-in stand in the list of sessions", async () => {
  const reply = await tryLogin(
    { username: "alice", password: right, device: "Küche 📱" },
    { "user-agent": `Browser ${"x".repeat(400)}`, "x-forwarded-for": "192.0.2.1, 198.51.100.250" },
  );
  const { accessToken, sessionId } = reply.json as unknown as Tokens;
  const { json } = await server.call("/sessions", { token: accessToken });
  const mine = (json.sessions as Record<string, unknown>[]).find(({ id }) => id === sessionId);
  assert.equal(mine?.device, "Küche 📱");
  assert.equal(mine?.ip, "198.51.100.250", "what the caller wrote further left proves nothing");
  assert.equal(String(mine?.userAgent).length, 300);
});

test("an unknown mode is refused with a sentence, not ignored", async () => {
  const reply = await tryLogin({ username: "alice", password: right, mode: "cookies" });
  assertRefusal(reply, { status: 400, error: "invalid_request" });
  assert.match(String(reply.json.error_description), /^mode: /);
});

test("when too many passwords are being verified the answer is 503 with Retry-After, and nothing is counted", async () => {
  // Hashes that take long enough for the requests to be there before them, also on a busy machine.
  const slow = { passwordHashesConcurrentMax: 1, passwordMemoryKib: 19_456, passwordPasses: 3 };
  const small = await startTestServer({ settings: { trustedProxies: 1, ...slow } });
  try {
    await small.addUser("carol");
    const tries = Array.from({ length: 170 }, (_, i) =>
      small.call("/login", {
        json: { username: `nobody${i}`, password: "wrong password" },
        headers: { "x-forwarded-for": `198.51.100.${i}` },
      }),
    );
    const replies = await Promise.all(tries);
    const busy = replies.filter(({ status }) => status === 503);
    assert.ok(busy.length > 0, "the queue of password hashes was never full");
    for (const reply of busy) {
      assertRefusal(reply, { status: 503, error: "busy" });
      assert.match(reply.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
    }
    assert.deepEqual([...new Set(replies.map(({ status }) => status))].sort(), [401, 503]);
    await small.login("carol");
  } finally {
    await small.close();
  }
});
