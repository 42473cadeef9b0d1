import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeJwt } from "jose";
import sql from "sql-template-tag";
import {
  assertRefusal,
  type Call,
  startTestServer,
  stoppedClock,
  type TestServer,
  type Tokens,
} from "../test-server.ts";

const clock = stoppedClock();
const day = 86_400;
let server: TestServer;

before(async () => {
  server = await startTestServer({ clock });
  await server.addUser("alice", { roles: ["editor"] });
});
after(() => server.close());

const refresh = (refreshToken: unknown, more: Call = {}) =>
  server.call("/refresh", { json: { refreshToken }, ...more });

async function turned(refreshToken: string, more: Call = {}): Promise<Tokens> {
  const reply = await refresh(refreshToken, more);
  assert.equal(reply.status, 200, reply.text);
  return reply.json as unknown as Tokens;
}

const refused = (reason: string) => ({ status: 401, error: "invalid_refresh_token", reason });
const keyed = (key: string): Call => ({ headers: { "idempotency-key": key } });

test("DESIGN §6: a refresh is answered with exactly the promised members", async () => {
  const first = await server.login("alice");
  const reply = await refresh(first.refreshToken);
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get("cache-control"), "no-store");
  const { accessToken, refreshToken, ...rest } = reply.json as unknown as Tokens;
  const { sessionId } = first;
  assert.deepEqual(rest, { tokenType: "Bearer", expiresIn: 600, refreshExpiresIn: 14 * day, sessionId });
  assert.notEqual(refreshToken, first.refreshToken);
  const claims = decodeJwt(accessToken);
  assert.equal(claims.sub, first.user.id);
  assert.equal(claims.sid, sessionId);
  assert.deepEqual(claims.roles, ["editor"]);
  assert.equal((await server.call("/me", { token: accessToken })).status, 200);
});

test("64 refreshes at once with one token: 64 answers 200, one successor", async () => {
  const { refreshToken } = await server.login("alice");
  const replies = await Promise.all(Array.from({ length: 64 }, () => turned(refreshToken)));
  assert.equal(new Set(replies.map((reply) => reply.refreshToken)).size, 1);
  const [{ refreshToken: successor } = { refreshToken: "" }] = replies;
  await turned(successor);
});

test("reason malformed: an access token, an ID token, a secret of a resource, and anything else that we never made", async () => {
  const { accessToken, idToken } = await server.login("alice");
  const { secret } = await server.addResource("Not a refresh token");
  for (const token of [
    accessToken,
    idToken,
    secret,
    "",
    "krt_",
    "\0",
    "\ud800",
    "krt_".padEnd(98, "A"),
    "krt_".padEnd(98, "é"),
  ]) {
    assertRefusal(await refresh(token), refused("malformed"));
  }
});

test("reason expired: the session was idle too long", async () => {
  const { refreshToken } = await server.login("alice");
  clock.pass(14 * day);
  const { refreshToken: next } = await turned(refreshToken);
  clock.pass(14 * day + 1);
  assertRefusal(await refresh(next), refused("expired"));
});

test("reason expired: the absolute end, fixed at sign-in, is reached; no token promises to live beyond it", async () => {
  const short = await startTestServer({ clock, settings: { appIdleSeconds: 900, appAbsoluteSeconds: 1000 } });
  try {
    await short.addUser("bob");
    const { refreshToken } = await short.login("bob");
    clock.pass(700);
    const { json } = await short.call("/refresh", { json: { refreshToken } });
    assert.equal(json.expiresIn, 300);
    assert.equal(json.refreshExpiresIn, 300);
    clock.pass(300);
    const last = await short.call("/refresh", { json: { refreshToken: json.refreshToken } });
    assertRefusal(last, refused("expired"));
  } finally {
    await short.close();
  }
});

test("reason revoked: the user or the operator ended the session", async () => {
  const byUser = await server.login("alice");
  await server.call("/logout", { json: {}, token: byUser.accessToken });
  assertRefusal(await refresh(byUser.refreshToken), refused("revoked"));
  const byOperator = await server.login("alice");
  await server.app.sessions.end(byOperator.sessionId, { actor: "operator", reason: "ended_by_operator" });
  assertRefusal(await refresh(byOperator.refreshToken), refused("revoked"));
});

test("RFC 9700 §4.14.2: reason reused: an old token after the grace ends the session, for thief and owner", async () => {
  const { refreshToken: stolen, accessToken } = await server.login("alice");
  const { refreshToken: current } = await turned(stolen);
  clock.pass(30);
  assert.equal((await turned(stolen)).refreshToken, current, "the last moment of the grace");
  clock.pass(1);
  assertRefusal(await refresh(stolen), refused("reused"));
  assertRefusal(await refresh(current), refused("reused"));
  assertRefusal(await server.call("/me", { token: accessToken }), { status: 401, error: "invalid_token" });
});

test("reason unknown: a token of a session that this database does not have, or not yet", async () => {
  const { refreshToken, sessionId } = await server.login("alice");
  const bytes = Buffer.from(sessionId.replaceAll("-", ""), "hex");
  const [before] = await server.database.all(
    sql`SELECT generation, digest FROM sessions WHERE id = ${bytes}`,
  );
  const { refreshToken: next } = await turned(refreshToken);
  await server.database.batch([
    sql`UPDATE sessions SET generation = ${before?.generation}, digest = ${before?.digest},
        recent = ${Buffer.alloc(0)} WHERE id = ${bytes}`,
  ]);
  assertRefusal(await refresh(next), refused("unknown"));
  await turned(refreshToken);
  await server.database.batch([sql`DELETE FROM sessions WHERE id = ${bytes}`]);
  assertRefusal(await refresh(refreshToken), refused("unknown"));
});

test("Idempotency-Key: the device that lost the reply gets it again a day later; reason superseded once it has moved on", async () => {
  const { refreshToken: first } = await server.login("alice");
  const { refreshToken: second } = await turned(first, keyed("key-of-first"));
  clock.pass(day - 1);
  assert.equal((await turned(first, keyed("key-of-first"))).refreshToken, second);
  await turned(second, keyed("key-of-second"));
  clock.pass(60);
  assertRefusal(await refresh(first, keyed("key-of-first")), refused("superseded"));
  const { refreshToken: third } = await turned(second, keyed("key-of-second"));
  await turned(third);
});

test("Idempotency-Key: a late retry with another key, or with none, is a theft", async () => {
  for (const retry of [keyed("another key"), {}]) {
    const { refreshToken: first } = await server.login("alice");
    await turned(first, keyed("the key"));
    clock.pass(31);
    assertRefusal(await refresh(first, retry), refused("reused"));
  }
});

test("Idempotency-Key takes 1 to 200 characters, once; anything else is refused and turns nothing", async () => {
  const { refreshToken } = await server.login("alice");
  const before = await server.rows();
  for (const key of ["", " ", "k".repeat(201), "one, two", "caf\u00e9"]) {
    assertRefusal(await refresh(refreshToken, keyed(key)), { status: 400, error: "invalid_request" });
  }
  assert.equal(await server.rows(), before);
  await turned(refreshToken, keyed("k".repeat(200)));
});

test("a token with any character changed is refused without a question to the database, and revokes nobody", async () => {
  const { refreshToken } = await server.login("alice");
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const altered: string[] = [];
  for (let at = 4; at < refreshToken.length; at++) {
    const value = alphabet.indexOf(refreshToken[at] as string);
    for (let bit = 0; bit < 6; bit++) {
      const flipped = alphabet[value ^ (1 << bit)] as string;
      altered.push(refreshToken.slice(0, at) + flipped + refreshToken.slice(at + 1));
    }
  }
  assert.equal(altered.length, 94 * 6);
  const text = refreshToken.slice(4);
  altered.push(
    ...Array.from(refreshToken, (_, length) => refreshToken.slice(0, length)),
    `${refreshToken}A`,
    `${refreshToken}=`,
    `${refreshToken}==`,
    ` ${refreshToken}`,
    `${refreshToken} `,
    `${refreshToken}\n`,
    `${refreshToken}\0`,
    refreshToken.toUpperCase(),
    refreshToken.toLowerCase(),
    `KRT_${text}`,
    `Krt_${text}`,
    text,
    `krt-${text}`,
    `krt_${text.slice(0, 93)}`,
    `krt_${Buffer.from(text, "base64url").toString("base64")}`,
    `krt_${text.replace(/.$/, "+")}`,
    `krt_${text.replace(/.$/, "/")}`,
    `krt_${text.replace(/.$/, "\u00e9")}`,
    `${refreshToken}${refreshToken}`,
  );
  const before = await server.rows();
  const asked = countQuestions();
  for (let start = 0; start < altered.length; start += 50) {
    const replies = await Promise.all(altered.slice(start, start + 50).map((token) => refresh(token)));
    for (const reply of replies) assertRefusal(reply, refused("malformed"));
  }
  assert.equal(asked.count(), 0);
  assert.equal(await server.rows(), before);
  await turned(refreshToken);
});

/** Counts what the server asks of its database for refresh tokens, until asked. */
function countQuestions() {
  const { database } = server.app;
  const original = { ...database };
  let count = 0;
  const counted = <A extends unknown[], R>(ask: (...parts: A) => R) => {
    return (...parts: A): R => {
      if (isAboutSessions(parts)) count++;
      return ask(...parts);
    };
  };
  Object.assign(database, {
    all: counted(original.all),
    one: counted(original.one),
    each: counted(original.each),
    batch: counted(original.batch),
    transaction: counted(original.transaction),
  });
  return {
    count() {
      Object.assign(database, original);
      return count;
    },
  };
}

/** The feed's poll and the jobs ask by the clock; they ask nothing of this. */
/** What runs by the clock asks too: the cleaning, and who is told of what by mail. */
const ofJobs = /OFFSET|DELETE FROM|audit_events|\bmails\b/;
function isAboutSessions([statement]: unknown[]): boolean {
  const texts = (Array.isArray(statement) ? statement : [statement]).map((one) => String(one?.sql));
  return texts.some((text) => /\bsessions\b|\busers\b/.test(text) && !ofJobs.test(text));
}

test("a body without the token, or with another member in its place, is refused with a sentence", async () => {
  const { refreshToken } = await server.login("alice");
  const bodies = [
    {},
    { refresh_token: refreshToken },
    { refreshToken: null },
    { refreshToken: [refreshToken] },
  ];
  for (const json of bodies) {
    const reply = await server.call("/refresh", { json });
    assertRefusal(reply, { status: 400, error: "invalid_request" });
    assert.match(String(reply.json.error_description), /^refreshToken: /);
  }
});

test("a refresh token in the query, the Authorization header or a cookie is not looked at", async () => {
  const { refreshToken } = await server.login("alice");
  const places: [string, Record<string, string>][] = [
    [`/refresh?refreshToken=${refreshToken}`, {}],
    ["/refresh", { authorization: `Bearer ${refreshToken}` }],
    ["/refresh", { cookie: `refreshToken=${refreshToken}` }],
  ];
  for (const [path, headers] of places) {
    assertRefusal(await server.call(path, { json: {}, headers }), { status: 400, error: "invalid_request" });
  }
  await turned(refreshToken);
});
