import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import sql from "sql-template-tag";
import { FORM, testBrowser } from "../pages/test-browser.ts";
import { browserAt } from "../test-browser.ts";
import { assertRefusal, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { createTestAuthenticator } from "../users/factors/test-authenticator.ts";
import { type Asked, addPasskey, addTotp } from "../users/factors/test-factors.ts";
import type { User } from "../users/user.ts";

const clock = stoppedClock();
let server: TestServer;
let count = 0;

before(async () => {
  server = await startTestServer({ clock });
});
after(() => server.close());
beforeEach(async () => {
  clock.pass(86_400);
  await server.forgetLimits();
});

const bytes = ({ id }: User) => Buffer.from(id.replaceAll("-", ""), "hex");
const recover = (username: string, code = "0000-0000-0000-0000-0000-0000", more: object = {}) =>
  server.call("/login/recovery", { json: { username, code, ...more } });
const refusal = { status: 401, error: "recovery_refused" };
const amrOf = (token: unknown) => {
  const { amr, acr } = JSON.parse(Buffer.from(String(token).split(".")[1] ?? "", "base64url").toString());
  return [amr, acr];
};

/** Somebody whose only way in is a passkey. */
async function passkeyOnly() {
  const user = await server.addUser(`lost${++count}`);
  const { recoveryCodes, authenticator } = await addPasskey(server, user);
  for (const code of recoveryCodes) server.secrets.add(code);
  await server.database.batch([sql`DELETE FROM credentials WHERE user_id = ${bytes(user)}`]);
  const [code = "", second = ""] = recoveryCodes;
  return { user, authenticator, code, second, recoveryCodes };
}

test("NIST SP 800-63B-4 §4.2: a saved code signs in once whose only way in is a passkey, as one factor, and is told", async () => {
  const { user, code } = await passkeyOnly();
  const reply = await recover(user.username, code, { device: "library" });
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual(amrOf(reply.json.accessToken), [["otp", "recovery"], "urn:keyturn:1fa"]);
  assert.deepEqual(amrOf(reply.json.idToken), [["otp", "recovery"], "urn:keyturn:1fa"]);
  assertRefusal(await recover(user.username, code), refusal);
  const events = await server.app.audit.list({ userId: user.id });
  const used = events.find(({ type }) => type === "recovery_code.used");
  assert.equal(used?.detail?.left, 9);
  assert.equal(events[0]?.type, "sign_in.failed");
  assert.doesNotMatch(JSON.stringify(events), new RegExp(code.slice(0, 9)));
});

test("of 20 tries at once with one code, one gets in", async () => {
  const { user, code } = await passkeyOnly();
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => recover(user.username, code.toUpperCase().replaceAll("-", " "))),
  );
  assert.equal(replies.filter(({ status }) => status === 200).length, 1);
  assert.equal((await server.app.sessions.list({ userId: user.id })).length, 2);
});

test("who has a password, or a provider that is not disabled, does not come in by a code alone", async () => {
  const withPassword = await server.addUser(`both${++count}`);
  const { recoveryCodes } = await addPasskey(server, withPassword);
  for (const code of recoveryCodes) server.secrets.add(code);
  assertRefusal(await recover(withPassword.username, recoveryCodes[0]), refusal);

  const { user, code } = await passkeyOnly();
  const google = { preset: "google", clientId: "x", secret: "a-secret-of-google" } as const;
  await server.app.providers.add(google, { actor: "operator" });
  const identity = { issuer: "https://accounts.google.com", subject: "1", providerId: "google", label: "" };
  await server.app.identities.link(user.id, identity, { actor: "user" });
  assertRefusal(await recover(user.username, code), refusal);
  await server.app.providers.disable("google", { actor: "operator" });
  assert.equal((await recover(user.username, code)).status, 200);
});

test("a wrong code, a name that nobody has, a disabled user and a user without a passkey are answered alike", async () => {
  const { user, code } = await passkeyOnly();
  const disabled = await passkeyOnly();
  await server.app.users.disable(disabled.user.id, { actor: "operator" });
  const none = await server.addUser(`none${++count}`);
  const replies = [
    await recover(user.username),
    await recover(user.username, "nonsense"),
    await recover("nobody-at-all"),
    await recover("\u0000"),
    await recover(disabled.user.username, disabled.code),
    await recover(none.username),
    await recover(none.username, code),
  ];
  const [first] = replies;
  for (const reply of replies) {
    assertRefusal(reply, refusal);
    assert.equal(reply.text, first?.text);
    assert.equal(reply.headers.get("set-cookie"), null);
  }
  assert.equal((await recover(user.username, code)).status, 200, "nothing was spent by what was wrong");
});

test("guessing is limited by the name that was typed, whether somebody has it or not", async () => {
  const { user, code } = await passkeyOnly();
  for (const name of [user.username, "nobody-of-that-name"]) {
    for (let tries = 0; tries < 10; tries++) assertRefusal(await recover(name), refusal);
    const limited = await recover(name, code);
    assertRefusal(limited, { status: 429, error: "too_many_attempts" });
    assert.ok(Number(limited.headers.get("retry-after")) > 0);
  }
  clock.pass(60);
  assert.equal((await recover(user.username, code)).status, 200);
});

test("who has an app still is asked for its code, and a second code of the same sheet does not do", async () => {
  const { user, code, second } = await passkeyOnly();
  const totp = await addTotp(server, user);
  const first = await recover(user.username, code);
  assert.equal(first.status, 401);
  assert.deepEqual([first.json.error, first.json.methods], ["second_factor_required", ["passkey", "totp"]]);
  const ticket = String(first.json.ticket);
  server.secrets.add(ticket);
  const step = (json: object) => server.call("/login/second-factor", { json: { ticket, ...json } });
  assertRefusal(await step({ recoveryCode: second }), { status: 401, error: "wrong_code" });
  clock.pass(30);
  const done = await step({ code: await totp.code(30) });
  assert.equal(done.status, 200, done.text);
  assert.deepEqual(amrOf(done.json.accessToken), [["otp", "recovery", "otp", "mfa"], "urn:keyturn:2fa"]);
  assertRefusal(await recover(user.username, code), refusal);
});

test("a code is not spent without its ticket: a failure between them leaves the code good", async () => {
  const { user, code } = await passkeyOnly();
  await addTotp(server, user);
  await server.database.batch([sql`ALTER TABLE sign_in_tickets RENAME TO out_of_reach`]);
  const failed = await server.callQuietly("/login/recovery", { json: { username: user.username, code } });
  await server.database.batch([sql`ALTER TABLE out_of_reach RENAME TO sign_in_tickets`]);
  assert.equal(failed.status, 500);
  const events = await server.app.audit.list({ userId: user.id });
  assert.ok(!events.some(({ type }) => type === "recovery_code.used"));
  const replies = await Promise.all(Array.from({ length: 5 }, () => recover(user.username, code)));
  const tickets = replies.filter(({ json }) => json.error === "second_factor_required");
  assert.equal(tickets.length, 1, "and of several at once one gets the ticket");
  for (const { json } of tickets) server.secrets.add(String(json.ticket));
});

test("a code that was mailed is no code of the sheet: after it a recovery code is the second factor", async () => {
  const user = await server.addUser(`mailed${++count}`);
  const { recoveryCodes } = await addPasskey(server, user);
  for (const code of recoveryCodes) server.secrets.add(code);
  const arrived = await server.app.arrivals.arrive(user, { clientId: "first-party", amr: ["otp"] });
  assert.ok(arrived?.outcome === "second_factor_required");
  assert.ok(arrived.methods.includes("recovery_code"));
  server.secrets.add(arrived.ticket);
  const json = { ticket: arrived.ticket, recoveryCode: recoveryCodes[0] };
  assert.equal((await server.call("/login/second-factor", { json })).status, 200);
});

test("where the operator asks two factors of everybody, one code is not enough", async () => {
  const { user, code } = await passkeyOnly();
  const settings = { secondFactor: "required" } as const;
  const strict = await startTestServer({ clock, beside: server, settings });
  const refused = await strict.call("/login/recovery", { json: { username: user.username, code } });
  assertRefusal(refused, refusal);
  await strict.close();
  assert.equal((await recover(user.username, code)).status, 200);
});

test("who came back sets a password and a new passkey and removes the lost one; after 15 minutes no more", async () => {
  const { user, code, second } = await passkeyOnly();
  const browser = browserAt(server);
  const back = () =>
    browser.call("/login/recovery", { json: { username: user.username, code, mode: "cookie" } });
  assert.equal((await back()).status, 200);
  const { passkeys } = (await browser.call("/factors")).json as { passkeys: { id: string }[] };
  const lost = `/factors/passkeys/${passkeys[0]?.id}`;
  assertRefusal(await browser.call(lost, { method: "DELETE" }), { status: 409, error: "last_way_in" });
  const { json } = await browser.call("/factors/challenge", { method: "POST" });
  const found = createTestAuthenticator({ issuer: server.issuer });
  const passkey = found.create({ challenge: (json.options as Asked).challenge });
  assert.equal((await browser.call("/factors/passkeys", { json: { passkey } })).status, 201);
  assert.equal((await browser.call(lost, { method: "DELETE" })).status, 204);
  clock.pass(16 * 60);
  const late = await browser.call("/password/first", { json: { password: "another horse battery" } });
  assertRefusal(late, { status: 403, error: "step_up_required" });
  const again = await browser.call("/login/recovery", {
    json: { username: user.username, code: second, mode: "cookie" },
  });
  assert.equal(again.status, 200, again.text);
  const first = await browser.call("/password/first", { json: { password: "another horse battery" } });
  assert.equal(first.status, 204);
  assertRefusal(await recover(user.username, second), refusal);
});

test("the page does the same, says no more than the API, and leads to an account that urges to get a new way in", async () => {
  const { user, code } = await passkeyOnly();
  const browser = testBrowser(server);
  const signIn = await browser.open("/sign-in");
  assert.match(signIn.text, /<a href="\/recover">Lost your passkey\?<\/a>/);
  const page = await browser.open("/recover");
  assert.equal((await browser.submit(page, "/recover", { username: user.username })).status, 422);
  const wrong = await browser.submit(page, "/recover", { username: user.username, code: "wrong" });
  const nobody = await browser.submit(page, "/recover", { username: "nobody", code: "wrong" });
  assert.deepEqual([wrong.status, nobody.status], [401, 401]);
  const told = (text: string, name: string) => text.replaceAll(name, "").replaceAll(/value="[^"]*"/g, "");
  assert.equal(told(wrong.text, user.username), told(nobody.text, "nobody"));
  const elsewhere = await browser.post(
    "/recover",
    { username: user.username, code },
    { ...FORM, origin: "https://evil.example" },
  );
  assert.equal(elsewhere.status, 403);
  const back = await browser.submit(page, "/recover", { username: user.username, code });
  assert.equal(back.headers.get("location"), "/account");
  const account = await browser.follow(back);
  assert.match(account.text, /Get a new way to sign in now/);
  assert.equal((await browser.open("/account/password/first")).status, 200);
});
