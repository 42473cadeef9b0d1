import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { createTestAuthenticator } from "../users/factors/test-authenticator.ts";
import { addPasskey, addTotp, codeAt } from "../users/factors/test-factors.ts";
import type { User } from "../users/user.ts";
import { formOf, PASSWORD, readable, testBrowser } from "./test-browser.ts";

const clock = stoppedClock();
let server: TestServer;
let strict: TestServer;
let user: User;
let count = 0;
before(async () => {
  server = await startTestServer({ clock });
  strict = await startTestServer({
    clock,
    settings: { secondFactor: "roles", secondFactorRoles: "admin, auditor" },
  });
});
after(async () => {
  await server.close();
  await strict.close();
});
beforeEach(async () => {
  clock.pass(3600);
  user = await server.addUser(`alice${++count}`);
});

const secretOn = (text: string) => {
  const secret = /<code class="secret">([A-Z2-7 ]+)<\/code>/.exec(text)?.[1]?.replaceAll(" ", "") ?? "";
  assert.equal(secret.length, 32, "160 bits in base 32");
  return secret;
};

const codesOn = (text: string) =>
  [...text.matchAll(/<li><code>([0-9a-z-]{29})<\/code><\/li>/g)].map(([, code]) => code);

test("an app is set up by scanning and its first code; recovery codes are shown this once; then signing in asks for a code", async () => {
  const browser = testBrowser(server);
  await browser.signIn(user.username);
  const form = await browser.open("/account/factors/totp");
  assert.match(form.text, /<svg class="qr" [^>]*role="img" aria-label="[^"]+"/);
  const secret = secretOn(form.text);
  server.secrets.add(secret);
  assert.equal(
    secretOn((await browser.open("/account/factors/totp")).text),
    secret,
    "a reload changes nothing",
  );
  const wrong = await browser.submit(form, "/account/factors/totp", { code: "000000" });
  assert.equal(wrong.status, 422);
  const code = await codeAt(secret, clock.now());
  const shown = await browser.submit(form, "/account/factors/totp", { code });
  assert.equal(shown.status, 200);
  const codes = codesOn(shown.text);
  assert.equal(codes.length, 10);
  for (const one of codes) server.secrets.add(one ?? "");
  assert.equal(codesOn((await browser.open("/account/factors")).text).length, 0);

  clock.pass(60);
  const other = testBrowser(server);
  const asked = await other.submit(await other.open("/sign-in?return_to=/there"), "/sign-in", {
    username: user.username,
    password: PASSWORD,
  });
  assert.equal(asked.headers.get("location"), "/sign-in/second-factor?return_to=%2Fthere");
  assert.ok(other.cookies.has("keyturn-ticket") && !other.cookies.has("keyturn"));
  assert.equal((await other.open("/account")).status, 303, "nobody is signed in yet");
  const second = await other.follow(asked);
  const refused = await other.submit(second, "/sign-in/second-factor", { code: "000000" });
  assert.equal(refused.status, 401);
  assert.match(readable(refused), /The code is not right/);
  const done = await other.submit(refused, "/sign-in/second-factor", {
    code: await codeAt(secret, clock.now()),
  });
  assert.equal(done.headers.get("location"), "/there");
  assert.ok(!other.cookies.has("keyturn-ticket"));
  assert.equal((await other.open("/account")).status, 200);
});

test("a recovery code gets in too, and the account page tells of it", async () => {
  const { recoveryCodes } = await addTotp(server, user);
  const browser = testBrowser(server);
  const asked = await browser.signIn(user.username);
  const page = await browser.follow(asked);
  await browser.submit(page, "/sign-in/second-factor", { code: recoveryCodes[0] ?? "" });
  assert.match(readable(await browser.open("/account")), /A recovery code was used/);
  assert.match(readable(await browser.open("/account/factors")), /9 codes are left/);
});

test("without a ticket the second step begins again; one ticket is of no use in two browsers", async () => {
  const totp = await addTotp(server, user);
  clock.pass(60);
  const nobody = await testBrowser(server).open("/sign-in/second-factor");
  assert.equal(nobody.headers.get("location"), "/sign-in");
  const browser = testBrowser(server);
  const page = await browser.follow(await browser.signIn(user.username));
  const thief = testBrowser(server);
  thief.cookies.set("keyturn-ticket", browser.cookies.get("keyturn-ticket") ?? "");
  const fields = { ...formOf(page, "/sign-in/second-factor"), code: await totp.code(60) };
  // The form's token is of the browser that it was made for.
  assert.equal((await thief.post("/sign-in/second-factor", fields)).status, 403);
});

test("sensitive acts need a proof of the last 15 minutes, and lead through step-up and back", async () => {
  const browser = testBrowser(server);
  await browser.signIn(user.username);
  clock.pass(15 * 60 + 1);
  const sent = await browser.open("/account/factors/totp");
  assert.equal(sent.headers.get("location"), "/step-up?return_to=%2Faccount%2Ffactors%2Ftotp");
  const before = browser.cookies.get("keyturn");
  const asked = await browser.follow(sent);
  const wrong = await browser.submit(asked, "/step-up", { password: "wrong horse battery" });
  assert.equal(wrong.status, 401);
  const proven = await browser.submit(wrong, "/step-up", { password: PASSWORD });
  assert.equal(proven.headers.get("location"), "/account/factors/totp");
  assert.notEqual(browser.cookies.get("keyturn"), before, "a new session id");
  assert.equal((await browser.follow(proven)).status, 200);
});

test("once there is a second factor, a session of one factor proves both before it changes anything", async () => {
  const browser = testBrowser(server);
  await browser.signIn(user.username);
  const totp = await addTotp(server, user);
  clock.pass(60);
  const page = await browser.open("/account/factors");
  const act = await browser.submit(page, "/account/factors/totp/remove");
  assert.match(act.headers.get("location") ?? "", /^\/step-up\?/);
  assert.ok((await server.app.factors.ownedBy(user.id)).totp);
  const asked = await browser.follow(act);
  const proven = await browser.submit(asked, "/step-up", { password: PASSWORD, code: await totp.code(60) });
  const again = await browser.follow(proven);
  await browser.submit(again, "/account/factors/totp/remove");
  const owned = await server.app.factors.ownedBy(user.id);
  assert.deepEqual([owned.totp, owned.recoveryCodes], [false, 0]);
});

test("new recovery codes take the place of the old ones", async () => {
  const { recoveryCodes } = await addTotp(server, user);
  clock.pass(60);
  const browser = testBrowser(server);
  const page = await browser.follow(await browser.signIn(user.username));
  await browser.submit(page, "/sign-in/second-factor", { code: recoveryCodes[0] ?? "" });
  const made = await browser.submit(
    await browser.open("/account/factors"),
    "/account/factors/recovery-codes",
  );
  const codes = codesOn(made.text);
  assert.equal(codes.length, 10);
  for (const code of codes) server.secrets.add(code ?? "");
  assert.equal(await server.app.factors.secondStep.look("x"), undefined);
  const next = testBrowser(server);
  const second = await next.follow(await next.signIn(user.username));
  assert.equal(
    (await next.submit(second, "/sign-in/second-factor", { code: recoveryCodes[1] ?? "" })).status,
    401,
  );
  assert.equal((await next.submit(second, "/sign-in/second-factor", { code: codes[0] ?? "" })).status, 303);
});

test("a passkey is renamed and removed by its owner, and by nobody else", async () => {
  const owner = testBrowser(server);
  const { authenticator } = await addPasskey(server, user);
  const options = (await server.app.factors.passkeyOptions("")) as { challenge: string };
  const passkey = authenticator.get({ challenge: options.challenge });
  const reply = await server.call("/login/passkey", { json: { passkey, mode: "cookie" } });
  const [, value = ""] = /^keyturn=([^;]*)/.exec(reply.headers.getSetCookie()[0] ?? "") ?? [];
  owner.cookies.set("keyturn", value);
  server.secrets.add(value);
  const page = await owner.open("/account/factors");
  assert.match(readable(page), /test key/);
  const { id = "" } = formOf(page, "/account/factors/passkeys/remove");
  const thief = testBrowser(server);
  await thief.signIn((await server.addUser(`mallory${count}`)).username);
  const theirs = formOf(await thief.open("/account/factors"), "/account/factors/passkeys");
  const fields = { form_token: theirs.form_token ?? "", id, name: "mine now" };
  for (const act of ["rename", "remove"]) {
    const gone = await thief.post(`/account/factors/passkeys/${act}`, fields);
    assert.equal(gone.headers.get("location"), "/account/factors?notice=factor-gone");
  }
  const renamed = await owner.submit(page, "/account/factors/passkeys/rename", { name: " my  <b>key</b> " });
  assert.match((await owner.follow(renamed)).text, /my &lt;b&gt;key&lt;\/b&gt;/);
  await owner.submit(await owner.open("/account/factors"), "/account/factors/passkeys/remove");
  assert.equal((await server.app.factors.ownedBy(user.id)).passkeys.length, 0);
});

test("operator policy: who must have a second factor and has none sets one up before anything else", async () => {
  const admin = await strict.addUser(`admin${count}`, { roles: ["admin"] });
  const other = await strict.addUser(`other${count}`, { roles: ["editor"] });
  const plain = testBrowser(strict);
  assert.equal((await plain.signIn(other.username)).headers.get("location"), "/account");
  const browser = testBrowser(strict);
  const asked = await browser.signIn(admin.username);
  assert.equal(asked.headers.get("location"), "/sign-in/second-factor");
  assert.ok(!browser.cookies.has("keyturn"));
  const page = await browser.follow(asked);
  assert.match(readable(page), /Set up a second factor/);
  const secret = secretOn(page.text);
  strict.secrets.add(secret);
  const shown = await browser.submit(page, "/sign-in/second-factor", {
    code: await codeAt(secret, clock.now()),
  });
  assert.equal(shown.status, 200);
  const codes = codesOn(shown.text);
  assert.equal(codes.length, 10);
  for (const code of codes) strict.secrets.add(code ?? "");
  assert.match(readable(await browser.open("/account")), /You set up an authenticator app/);
  clock.pass(60);
  const reply = await strict.call("/login", { json: { username: admin.username, password: PASSWORD } });
  assert.equal(reply.json.error, "second_factor_required");
});

test("operator policy over the API: an enrolment ticket sets an app up, and is of no use once there is one", async () => {
  const admin = await strict.addUser(`admin${count}`, { roles: ["auditor"] });
  const begin = async () => {
    const reply = await strict.call("/login", { json: { username: admin.username, password: PASSWORD } });
    assert.equal(reply.json.error, "second_factor_enrolment_required");
    strict.secrets.add(String(reply.json.ticket));
    return String(reply.json.ticket);
  };
  const [ticket, thief] = [await begin(), await begin()];
  const secretOf = async (one: string) => {
    const { json } = await strict.call("/login/enrolment", { json: { ticket: one } });
    strict.secrets.add(String(json.secret));
    return String(json.secret);
  };
  // What one sign-in was shown, another does not confirm.
  const known = await secretOf(thief);
  const secret = await secretOf(ticket);
  assert.notEqual(known, secret);
  const finish = (one: string, code: string) =>
    strict.call("/login/second-factor", { json: { ticket: one, code } });
  assert.equal((await finish(ticket, await codeAt(known, clock.now()))).json.error, "wrong_code");
  assert.equal((await finish(thief, await codeAt(secret, clock.now()))).json.error, "wrong_code");
  const reply = await finish(ticket, await codeAt(secret, clock.now()));
  assert.equal(reply.status, 200, reply.text);
  const codes = reply.json.recoveryCodes as string[];
  assert.equal(codes.length, 10);
  for (const code of codes) strict.secrets.add(code);
  assert.equal((await finish(thief, await codeAt(known, clock.now()))).json.error, "invalid_ticket");
  assert.equal(
    (await strict.call("/login/enrolment", { json: { ticket: thief } })).json.error,
    "invalid_ticket",
  );
});

test("the sign-in page takes a passkey by a form, of this browser only, and leads on", async () => {
  const { authenticator } = await addPasskey(server, user);
  const browser = testBrowser(server);
  const page = await browser.open("/sign-in?return_to=/there");
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const challengeFor = async (headers: Record<string, string>) => {
    const { json } = await server.call("/passkeys/challenge", { method: "POST", headers });
    return (json as unknown as { options: { challenge: string } }).options.challenge;
  };
  for (const passkey of ["", "x", "null", "{}", '{"id":"x","response":{}}', "x".repeat(13_000)]) {
    const reply = await browser.submit(page, "/sign-in/passkey", { passkey });
    assert.equal(reply.headers.get("location"), "/sign-in?problem=passkey&return_to=%2Fthere");
  }
  assert.match(readable(await browser.open("/sign-in?problem=passkey")), /That did not work/);
  const elsewhere = authenticator.get({ challenge: await challengeFor({}) });
  const refused = await browser.submit(page, "/sign-in/passkey", { passkey: JSON.stringify(elsewhere) });
  assert.match(refused.headers.get("location") ?? "", /problem=passkey/);
  const passkey = JSON.stringify(authenticator.get({ challenge: await challengeFor({ cookie }) }));
  const reply = await browser.submit(page, "/sign-in/passkey", { passkey });
  assert.equal(reply.headers.get("location"), "/there");
  assert.equal((await browser.open("/account")).status, 200);
});

test("a passkey is added, lost, and its owner comes back by a recovery code: the audit log tells the story", async () => {
  const first = testBrowser(server);
  await first.signIn(user.username);
  const page = await first.open("/account/factors");
  const options = /data-options="([^"]*)"/.exec(page.text)?.[1]?.replaceAll("&quot;", '"') ?? "";
  const authenticator = createTestAuthenticator({ issuer: server.issuer });
  const passkey = JSON.stringify(authenticator.create({ challenge: JSON.parse(options).challenge }));
  const shown = await first.submit(page, "/account/factors/passkeys", { passkey, name: "phone" });
  const codes = codesOn(shown.text);
  for (const code of codes) server.secrets.add(code ?? "");

  const browser = testBrowser(server);
  const second = await browser.follow(await browser.signIn(user.username));
  await browser.submit(second, "/sign-in/second-factor", { code: codes[3] ?? "" });
  await browser.submit(await browser.open("/account/factors"), "/account/factors/passkeys/remove");
  await testBrowser(server).signIn(user.username);
  const told = (await server.app.audit.list({ userId: user.id })).reverse();
  assert.deepEqual(
    told.map(({ type, actor }) => `${actor} ${type}`),
    [
      "operator user.added",
      "user session.started",
      "user passkey.added",
      "user recovery_codes.made",
      "user session.started",
      "user recovery_code.used",
      "user passkey.removed",
      "user session.started",
    ],
  );
});
