import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browserAt } from "../test-browser.ts";
import { assertRefusal, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";

const clock = stoppedClock();
const password = "correct horse battery";
const next = "a newer password, better";
let server: TestServer;
let users = 0;

before(async () => {
  server = await startTestServer({ clock });
  server.secrets.add(next);
});
after(() => server.close());

async function signedIn() {
  const username = `changer-${++users}`;
  const user = await server.addUser(username);
  clock.pass(1);
  const browser = browserAt(server);
  await browser.signIn(username);
  const change = (more = {}) =>
    browser.call("/password", { json: { currentPassword: password, newPassword: next, ...more } });
  return { user, username, browser, change };
}

test("OWASP ASVS 5.0 §6.2.3: needs the current password; a wrong one changes nothing and signs nobody out", async () => {
  const { browser, change, username } = await signedIn();
  const before = await server.rows();
  assertRefusal(await change({ currentPassword: "not the password" }), {
    status: 403,
    error: "wrong_password",
  });
  assert.equal(await server.rows(), before);
  assert.equal((await browser.session()).status, 200);
  assert.equal((await server.call("/login", { json: { username, password } })).status, 200);
});

test("§7.4.3: changes the password and ends the other sessions; the browser goes on under a new id and cookie", async () => {
  const { browser, change, username, user } = await signedIn();
  const app = await server.login(username);
  const before = (await browser.session()).json;
  const cookie = browser.jar.get("keyturn");
  const reply = await change();
  assert.equal(reply.status, 200, reply.text);
  assert.notEqual(reply.json.sessionId, before.sessionId);
  assert.notEqual(browser.jar.get("keyturn"), cookie);
  assert.equal((await browser.session()).json.sessionId, reply.json.sessionId);
  assert.equal((await server.call("/me", { token: app.accessToken })).status, 401);
  const old = await server.call("/session", { headers: { cookie: `keyturn=${cookie}` } });
  assertRefusal(old, { status: 401, error: "invalid_session", reason: "replaced" });
  assertRefusal(await server.call("/login", { json: { username, password } }), { status: 401 });
  assert.equal((await server.login(username, { password: next })).user.id, user.id);
  const types = (await server.app.audit.list({ userId: user.id })).map(({ type }) => type);
  assert.ok(types.includes("password.changed"));
  // Two sign-ins, of the browser and of the app; that the session goes on under a new id is none.
  const started = await server.app.audit.list({ userId: user.id });
  assert.equal(started.filter(({ type }) => type === "session.renewed").length, 1);
});

test("an app keeps its session and its tokens; the others stay when it says so", async () => {
  const { browser, username } = await signedIn();
  const app = await server.login(username);
  const reply = await server.call("/password", {
    json: { currentPassword: password, newPassword: next, endOtherSessions: false },
    token: app.accessToken,
  });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.json.sessionId, app.sessionId);
  assert.deepEqual(reply.headers.getSetCookie(), []);
  assert.equal((await server.call("/refresh", { json: { refreshToken: app.refreshToken } })).status, 200);
  assert.equal((await browser.session()).status, 200);
});

test("§7.4.3: an app that changes it ends the browsers and the other apps, and goes on itself", async () => {
  const { browser, username } = await signedIn();
  const [app, other] = [await server.login(username), await server.login(username)];
  const reply = await server.call("/password", {
    json: { currentPassword: password, newPassword: next },
    token: app.accessToken,
  });
  assert.equal(reply.json.sessionId, app.sessionId);
  assert.equal((await server.call("/refresh", { json: { refreshToken: app.refreshToken } })).status, 200);
  assertRefusal(await server.call("/refresh", { json: { refreshToken: other.refreshToken } }), {
    status: 401,
    error: "invalid_refresh_token",
    reason: "revoked",
  });
  assert.equal((await server.call("/me", { token: other.accessToken })).status, 401);
  assert.equal((await browser.session()).status, 401);
});

test("a refused change ends nothing", async () => {
  const { change, username } = await signedIn();
  const app = await server.login(username);
  assertRefusal(await change({ newPassword: "qwerty123" }), { status: 422, error: "weak_password" });
  assertRefusal(await change({ currentPassword: "not the password" }), { status: 403 });
  assert.equal((await server.call("/refresh", { json: { refreshToken: app.refreshToken } })).status, 200);
});

test("two changes at once that were proven by the same password: one wins, and ends nothing for the other", async () => {
  const { browser, username } = await signedIn();
  const second = browserAt(server);
  await second.signIn(username);
  const ask = (from: typeof browser, newPassword: string) =>
    from.call("/password", { json: { currentPassword: password, newPassword, endOtherSessions: false } });
  const replies = await Promise.all([ask(browser, `${next} 1`), ask(second, `${next} 2`)]);
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 403]);
  const winner = replies[0]?.status === 200 ? 1 : 2;
  server.secrets.add(`${next} 1`).add(`${next} 2`);
  assert.equal((await server.login(username, { password: `${next} ${winner}` })).tokenType, "Bearer");
  assert.equal((await browser.session()).status, 200);
  assert.equal((await second.session()).status, 200);
});

test("a new password that is weak, the same or the username is refused before anything is counted", async () => {
  const { change, username } = await signedIn();
  for (const newPassword of ["short", password, username.padEnd(8, "x").slice(0, username.length)]) {
    const reply = await change({ newPassword });
    assertRefusal(reply, { status: 422, error: "weak_password" });
  }
});

test("guessing the current password at an open browser is limited, and the owner is not signed out", async () => {
  const { browser, change } = await signedIn();
  const statuses = new Set<number>();
  for (let guess = 0; guess < 12; guess++)
    statuses.add((await change({ currentPassword: `guess number ${guess}` })).status);
  assert.deepEqual([...statuses].sort(), [403, 429]);
  assertRefusal(await change(), { status: 429, error: "too_many_attempts" });
  assert.equal((await browser.session()).status, 200);
  clock.pass(31);
  assert.equal((await change()).status, 200);
});
