import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { limits } from "../primitives/limits.ts";
import { browserAt } from "../test-browser.ts";
import { assertRefusal, type Reply, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { addPasskey, addTotp, codeAt } from "../users/factors/test-factors.ts";
import type { User } from "../users/user.ts";

const PASSWORD = "correct horse battery";
const clock = stoppedClock();
let server: TestServer;
let count = 0;
let user: User;
before(async () => {
  server = await startTestServer({ clock });
});
after(() => server.close());
beforeEach(async () => {
  // Nothing of one test is left for the next: its codes are used, its limits are full.
  clock.pass(86_400);
  user = await server.addUser(`alice${++count}`);
});

const login = (more: object = {}) =>
  server.call("/login", { json: { username: user.username, password: PASSWORD, ...more } });
const finish = (json: object, call: Parameters<TestServer["call"]>[1] = {}) =>
  server.call("/login/second-factor", { json, ...call });

async function ticketOf(reply: Promise<Reply> = login()): Promise<string> {
  const { status, json } = await reply;
  assert.equal(status, 401);
  assert.match(String(json.error), /^second_factor_(required|enrolment_required)$/);
  const ticket = String(json.ticket);
  server.secrets.add(ticket);
  return ticket;
}

function claims(token: unknown): Record<string, unknown> {
  return JSON.parse(Buffer.from(String(token).split(".")[1] ?? "", "base64url").toString());
}

const events = async () => (await server.app.audit.list({ userId: user.id })).map(({ type }) => type);

test("without a second factor a password signs in, and the tokens say one factor", async () => {
  const reply = await login();
  assert.equal(reply.status, 200);
  for (const token of [reply.json.accessToken, reply.json.idToken]) {
    const { acr, amr, auth_time } = claims(token);
    assert.deepEqual([acr, amr], ["urn:keyturn:1fa", ["pwd"]]);
    assert.equal(auth_time, Math.floor(clock.now() / 1000));
  }
});

test("OWASP ASVS 6.3.3: with one, a password alone gives a ticket and no token; a code then signs in", async () => {
  const totp = await addTotp(server, user);
  clock.pass(30);
  const first = await login();
  assert.equal(first.status, 401);
  assert.deepEqual(
    [first.json.error, first.json.methods, first.json.expiresIn],
    ["second_factor_required", ["totp", "recovery_code"], 600],
  );
  assert.doesNotMatch(first.text, /accessToken|refreshToken|sessionId/);
  assert.equal(first.headers.get("set-cookie"), null);
  const ticket = String(first.json.ticket);
  server.secrets.add(ticket);
  const reply = await finish({ ticket, code: await totp.code(30) });
  assert.equal(reply.status, 200, reply.text);
  const { acr, amr } = claims(reply.json.accessToken);
  assert.deepEqual([acr, amr], ["urn:keyturn:2fa", ["pwd", "otp", "mfa"]]);
  assert.equal(claims(reply.json.idToken).acr, "urn:keyturn:2fa");
  const refreshed = await server.call("/refresh", { json: { refreshToken: reply.json.refreshToken } });
  assert.equal(claims(refreshed.json.accessToken).acr, "urn:keyturn:2fa");
});

test("a ticket is no session: nothing takes it for a token, a cookie or a refresh token", async () => {
  await addTotp(server, user);
  const ticket = await ticketOf();
  assertRefusal(await server.call("/me", { token: ticket }), { status: 401, error: "invalid_token" });
  assertRefusal(await server.call("/session", { headers: { cookie: `keyturn=${ticket}` } }), {
    status: 401,
    error: "invalid_session",
    reason: "unknown",
  });
  const refresh = await server.call("/refresh", { json: { refreshToken: ticket } });
  assert.equal(refresh.status, 401);
});

test("RFC 6238 §5.2: a code works once: of 20 sign-ins at once with one code, one gets in", async () => {
  const totp = await addTotp(server, user);
  clock.pass(30);
  const code = await totp.code(30);
  const tickets: string[] = [];
  for (let index = 0; index < 20; index++) tickets.push(await ticketOf());
  const taken = await Promise.all(
    tickets.map((ticket, index) =>
      server.app.factors.secondStep.finish({ ticket, code, ip: `192.0.2.${index}` }),
    ),
  );
  const outcomes = taken.map(({ outcome }) => outcome).sort();
  assert.deepEqual(outcomes, ["signed_in", ...Array.from({ length: 19 }, () => "wrong_code")]);
});

test("a ticket works once: of 20 at once with one ticket and a code each, one gets in", async () => {
  const { recoveryCodes } = await addTotp(server, user);
  const ticket = await ticketOf();
  const codes = [...recoveryCodes, ...recoveryCodes];
  const replies = await Promise.all(codes.map((code) => finish({ ticket, recoveryCode: code })));
  assert.equal(replies.filter(({ status }) => status === 200).length, 1);
  assert.equal(
    (await events()).filter((type) => type === "recovery_code.used").length,
    1,
    "no other code is lost",
  );
  assertRefusal(await finish({ ticket, recoveryCode: recoveryCodes[9] }), {
    status: 401,
    error: "invalid_ticket",
  });
});

test("a recovery code has 120 bits, works once, in any spelling, is told in the audit log, and is not stored", async () => {
  const { recoveryCodes } = await addTotp(server, user);
  assert.equal(recoveryCodes.length, limits.recoveryCodes);
  assert.equal(new Set(recoveryCodes).size, limits.recoveryCodes);
  const [code = ""] = recoveryCodes;
  assert.match(code, /^([0-9a-hjkmnp-tv-z]{4}-){5}[0-9a-hjkmnp-tv-z]{4}$/);
  const typed = code.toUpperCase().replaceAll("-", " ");
  const ticket = await ticketOf();
  assert.equal((await finish({ ticket, recoveryCode: typed })).status, 200);
  assertRefusal(await finish({ ticket: await ticketOf(), recoveryCode: code }), {
    status: 401,
    error: "wrong_code",
  });
  const [used] = (await server.app.audit.list({ userId: user.id })).filter(
    ({ type }) => type === "recovery_code.used",
  );
  assert.equal(used?.detail?.left, 9);
  assert.equal((await server.app.factors.ownedBy(user.id)).recoveryCodes, 9);
});

test("codes of now and one step around it are taken, of two steps away are not", async () => {
  for (const [away, status] of [
    [-2, 401],
    [-1, 200],
    [0, 200],
    [1, 200],
    [2, 401],
  ] as const) {
    user = await server.addUser(`edge${++count}`);
    const totp = await addTotp(server, user);
    clock.pass(300);
    const reply = await finish({ ticket: await ticketOf(), code: await totp.code(300 + away * 30) });
    assert.equal(reply.status, status, `${away} steps away`);
    clock.pass(600);
  }
});

test("a code older than the last one used is refused, though its time is not over", async () => {
  const totp = await addTotp(server, user);
  clock.pass(300);
  assert.equal((await finish({ ticket: await ticketOf(), code: await totp.code(330) })).status, 200);
  assertRefusal(await finish({ ticket: await ticketOf(), code: await totp.code(300) }), {
    status: 401,
    error: "wrong_code",
  });
});

test("a ticket lives for ten minutes and five tries", async () => {
  const totp = await addTotp(server, user);
  const old = await ticketOf();
  clock.pass(599);
  assertRefusal(await finish({ ticket: old, code: "000000" }), { status: 401, error: "wrong_code" });
  clock.pass(1);
  assertRefusal(await finish({ ticket: old, code: await totp.code(600) }), {
    status: 401,
    error: "invalid_ticket",
  });
  const tried = await ticketOf();
  for (let tries = 0; tries < limits.ticketTriesMax; tries++) {
    assertRefusal(await finish({ ticket: tried, code: "000000" }), { status: 401, error: "wrong_code" });
  }
  assertRefusal(await finish({ ticket: tried, code: await totp.code(600) }), {
    status: 401,
    error: "invalid_ticket",
  });
  // The account is not locked: its owner begins anew.
  assert.equal((await finish({ ticket: await ticketOf(), code: await totp.code(600) })).status, 200);
});

test("guesses at codes are slowed down over all tickets of an account, and only for a while", async () => {
  const totp = await addTotp(server, user);
  clock.pass(300);
  let limited: Reply | undefined;
  for (let tries = 0; tries < 12 && limited === undefined; tries++) {
    if (tries % 4 === 0) clock.pass(1);
    const reply = await finish({ ticket: await ticketOf(), code: "000000" });
    if (reply.status === 429) limited = reply;
  }
  assert.ok(limited, "there is a limit");
  const wait = Number(limited.headers.get("retry-after"));
  assert.ok(wait > 0 && wait <= 60);
  assert.ok((await events()).includes("second_factor.limited"));
  clock.pass(wait);
  const at = Math.round((clock.now() - 1_800_000_000_000) / 1000);
  assert.ok(at > 0);
  assert.equal(
    (await finish({ ticket: await ticketOf(), code: await codeAt(totp.secret, clock.now()) })).status,
    200,
  );
});

test("a ticket of one user takes no code of another", async () => {
  const other = await server.addUser(`mallory${count}`);
  const theirs = await addTotp(server, other);
  await addTotp(server, user);
  clock.pass(60);
  const ticket = await ticketOf();
  for (const code of [await theirs.code(60), theirs.recoveryCodes[0]]) {
    assertRefusal(await finish({ ticket, code }), { status: 401, error: "wrong_code" });
  }
});

test("a password that was changed meanwhile, or a user disabled, ends the tickets that it opened", async () => {
  const totp = await addTotp(server, user);
  clock.pass(60);
  const ticket = await ticketOf();
  clock.pass(1);
  const by = { actor: "operator" } as const;
  await server.app.users.setPassword(user.id, { password: PASSWORD, endSessions: true }, by);
  assertRefusal(await finish({ ticket, code: await totp.code(60) }), {
    status: 401,
    error: "invalid_ticket",
  });
  const again = await ticketOf();
  await server.app.users.disable(user.id, by);
  assertRefusal(await finish({ ticket: again, code: await totp.code(60) }), {
    status: 401,
    error: "invalid_ticket",
  });
});

test("a browser's sign-in goes on in cookie mode, and another site cannot finish it", async () => {
  const totp = await addTotp(server, user);
  clock.pass(60);
  const browser = browserAt(server);
  const ticket = await ticketOf(browser.signIn(user.username));
  assert.ok(!browser.jar.has("keyturn"));
  const code = await totp.code(60);
  assertRefusal(await finish({ ticket, code }, { headers: { "sec-fetch-site": "cross-site" } }), {
    status: 403,
    error: "cross_site_request",
  });
  const reply = await browser.call("/login/second-factor", { json: { ticket, code } });
  assert.deepEqual(Object.keys(reply.json).sort(), ["sessionId", "user"]);
  assert.equal((await browser.session()).status, 200);
});

test("POST /login/second-factor takes exactly one proof", async () => {
  await addTotp(server, user);
  const ticket = await ticketOf();
  for (const json of [{ ticket }, { ticket, code: "123456", recoveryCode: "x" }, { ticket: "", code: "1" }]) {
    assertRefusal(await finish(json), { status: 400, error: "invalid_request" });
  }
});

test("a lost device: an operator takes the factors away, and the password signs in alone again", async () => {
  await addTotp(server, user);
  await addPasskey(server, user);
  const by = { actor: "operator" } as const;
  assert.equal(await server.app.factors.managing.removeTotp(user.id, by), true);
  assert.equal(await server.app.factors.managing.removeTotp(user.id, by), false);
  assert.equal(await server.app.factors.managing.removePasskeys(user.id, by), true);
  assert.equal((await server.app.factors.ownedBy(user.id)).recoveryCodes, 0);
  assert.equal((await login()).status, 200);
});

test("step-up: a session that proves itself again has a new auth_time, and no other id for an app", async () => {
  const { json } = await login();
  const before = claims(json.accessToken);
  clock.pass(300);
  const wrong = await server.call("/step-up", {
    token: String(json.accessToken),
    json: { password: "wrong" },
  });
  assertRefusal(wrong, { status: 403, error: "wrong_proof" });
  const reply = await server.call("/step-up", {
    token: String(json.accessToken),
    json: { password: PASSWORD },
  });
  assert.equal(reply.status, 200, reply.text);
  const now = claims(reply.json.accessToken);
  assert.equal(Number(now.auth_time) - Number(before.auth_time), 300);
  assert.equal(now.sid, before.sid);
  assert.equal(reply.json.acr, "urn:keyturn:1fa");
  const refreshed = await server.call("/refresh", { json: { refreshToken: json.refreshToken } });
  assert.equal(claims(refreshed.json.accessToken).auth_time, now.auth_time, "a refresh tells the same");
  assert.ok((await events()).includes("session.proven_again"));
  const session = await server.app.sessions.find(String(json.sessionId));
  assert.equal(
    Number(session?.authenticatedAt) - Number(session?.createdAt),
    300_000,
    "it began when it began",
  );
});

test("step-up: who has a second factor proves both; a browser goes on under a new session and cookie", async () => {
  const browser = browserAt(server);
  const signedIn = await browser.signIn(user.username);
  const totp = await addTotp(server, user);
  clock.pass(60);
  assertRefusal(await browser.call("/step-up", { json: { password: PASSWORD } }), {
    status: 403,
    error: "wrong_proof",
  });
  const reply = await browser.call("/step-up", { json: { password: PASSWORD, code: await totp.code(60) } });
  assert.equal(reply.status, 200, reply.text);
  assert.notEqual(reply.json.sessionId, signedIn.json.sessionId);
  assert.deepEqual(claims(reply.json.accessToken).amr, ["pwd", "otp", "mfa"]);
  const { json } = await browser.session();
  assert.equal(json.sessionId, reply.json.sessionId);
  assert.equal(claims(json.accessToken).acr, "urn:keyturn:2fa");
  const old = await server.app.sessions.find(String(signedIn.json.sessionId));
  assert.equal(old?.endReason, "replaced");
});

test("step-up: of 20 at once with one code, one is proven", async () => {
  const { json } = await login();
  const totp = await addTotp(server, user);
  clock.pass(60);
  const proof = { password: PASSWORD, code: await totp.code(60) };
  const replies = await Promise.all(
    Array.from({ length: 20 }, () =>
      server.call("/step-up", { token: String(json.accessToken), json: proof }),
    ),
  );
  assert.equal(replies.filter(({ status }) => status === 200).length, 1);
});

test("RFC 9470: an API that asks for a recent sign-in is satisfied by a step-up", async () => {
  const { json } = await login();
  clock.pass(301);
  const verify = (token: unknown) => server.app.guard.verify(String(token), { maxAuthAgeSeconds: 300 });
  const refreshed = await server.call("/refresh", { json: { refreshToken: json.refreshToken } });
  assert.equal((await verify(refreshed.json.accessToken)).ok, false, "a refresh is no sign-in");
  const token = String(refreshed.json.accessToken);
  const proven = await server.call("/step-up", { token, json: { password: PASSWORD } });
  assert.equal((await verify(proven.json.accessToken)).ok, true);
});

test("who has a second factor changes the password only after a proof of both, however right the password is", async () => {
  const { json } = await login();
  const totp = await addTotp(server, user);
  clock.pass(60);
  const token = String(json.accessToken);
  const change = { currentPassword: PASSWORD, newPassword: "another horse battery" };
  server.secrets.add(change.newPassword);
  assertRefusal(await server.call("/password", { token, json: change }), {
    status: 403,
    error: "step_up_required",
  });
  await server.call("/step-up", { token, json: { password: PASSWORD, code: await totp.code(60) } });
  assert.equal((await server.call("/password", { token, json: change })).status, 200);
});
