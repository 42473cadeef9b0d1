import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { formOf, PASSWORD, readable, testBrowser } from "../../packages/server/src/pages/test-browser.ts";
import { limits } from "../../packages/server/src/primitives/limits.ts";
import { startTestServer, stoppedClock, type TestServer } from "../../packages/server/src/test-server.ts";
import { openPort, type Port } from "./foreign-provider.ts";
import { startHostileProvider, TWIN } from "./hostile-provider.ts";
import { comeBack, setOut, setOutToConnect, whoIs } from "./visitor.ts";

/** What time, settings, other nodes and operators do to a way that is under way. The clock is the test's. */

const operator = { actor: "operator" } as const;
const clock = stoppedClock();

let port: Port;
let server: TestServer;
let twin: Awaited<ReturnType<typeof startHostileProvider>>;

before(async () => {
  port = await openPort();
  twin = await startHostileProvider(port);
  server = await start();
  for (const secret of [TWIN.secret, "mallory@twin.example"]) server.secrets.add(secret);
  const input = {
    preset: "oidc",
    id: "twin",
    label: "Twin",
    clientId: TWIN.id,
    secret: TWIN.secret,
  } as const;
  await server.app.providers.add({ ...input, issuer: twin.issuer, trustsEmail: true }, operator);
});
after(async () => {
  await server.close();
  await port.close();
});
beforeEach(() => server.forgetLimits());
afterEach(async () => {
  for (const { id } of await server.app.users.list()) await server.app.users.remove(id, operator);
});

const start = (more: Partial<Parameters<typeof startTestServer>[0]> = {}) =>
  startTestServer({ clock, ...more, settings: { privateHosts: [port.host], ...more?.settings } });

const answerOf = (state: string) => ({ code: "a-code", state, iss: twin.issuer });

async function signIn(on = server) {
  const visit = await setOut(on, "twin");
  twin.knows(visit.url);
  return { ...visit, reply: await comeBack(visit.browser, "twin", answerOf(visit.state)) };
}

test("what was begun waits ten minutes, to the millisecond, and no longer", async () => {
  const [early, late] = [await setOut(server, "twin"), await setOut(server, "twin")];
  clock.pass(limits.providerAttemptSeconds - 0.001);
  twin.knows(early.url);
  assert.equal((await comeBack(early.browser, "twin", answerOf(early.state))).status, 303);
  clock.pass(0.001);
  const reply = await comeBack(late.browser, "twin", answerOf(late.state));
  assert.match(readable(reply), /came too late/);
});

test("who has to prove an account first has ten minutes for it; then it is forgotten", async () => {
  await server.addUser("mallory", { email: "mallory@twin.example", emailVerified: true });
  const { browser, reply } = await signIn();
  assert.equal(reply.headers.get("location"), "/sign-in/connect");
  clock.pass(limits.providerAttemptSeconds + 1);
  assert.match(readable(await browser.open("/sign-in/connect")), /Nothing is waiting/);
  await setOut(server, "twin");
  clock.pass(limits.providerAttemptSeconds + 1);
  await server.app.providerAttempts.deletePast();
  for (const table of ["provider_attempts", "pending_identities"]) {
    assert.equal(await server.countRows(table), 0, table);
  }
});

test("ways to sign in are changed only by who has signed in within a quarter of an hour", async () => {
  await server.addUser("alice");
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const visit = await setOutToConnect(browser, "twin");
  twin.knows(visit.url);
  await comeBack(browser, "twin", answerOf(visit.state));
  const page = await browser.open("/account");
  clock.pass(limits.recentProofMinutesMax * 60 + 1);
  const before = await server.rows();
  const again = "/sign-in?as=someone-else&return_to=%2Faccount";
  const removed = await browser.submit(page, "/account/connections/remove");
  assert.equal(removed.headers.get("location"), again);
  await server.app.providers.add({ preset: "google", clientId: "x", secret: "a-secret-of-google" }, operator);
  const added = await browser.submit(await browser.open("/account"), "/account/connections/add");
  assert.equal(added.headers.get("location"), again);
  await server.app.providers.remove("google", operator);
  const connected = await server.rows();
  assert.equal(connected.replace(/sessions: [^,]*/, ""), before.replace(/sessions: [^,]*/, ""));
  await browser.signIn("alice");
  const done = await browser.submit(await browser.open("/account"), "/account/connections/remove");
  assert.equal(done.headers.get("location"), "/account?notice=disconnected");
});

test("a first password is set only by who has signed in within a quarter of an hour", async () => {
  const { browser } = await signIn();
  const page = await browser.open("/account/password/first");
  clock.pass(limits.recentProofMinutesMax * 60 + 1);
  const before = await server.rows();
  for (const reply of [
    await browser.open("/account/password/first"),
    await browser.submit(page, "/account/password/first", { password: PASSWORD }),
  ]) {
    const location = "/sign-in?as=someone-else&return_to=%2Faccount%2Fpassword%2Ffirst";
    assert.equal(reply.headers.get("location"), location);
  }
  const withoutUse = (rows: string) => rows.replace(/sessions: [^,]*/, "");
  assert.equal(withoutUse(await server.rows()), withoutUse(before));
});

test("registration off: nobody new comes in by a provider, who is known does, and nobody is offered a new account", async () => {
  const known = await signIn();
  assert.equal(await whoIs(server, known.browser), "mallory");
  const closed = await start({ beside: server, settings: { registration: "off" } });
  try {
    assert.equal((await signIn(closed)).reply.status, 303);
    twin.tell({ claims: { sub: "stranger", email: "stranger@twin.example" } });
    const before = await server.rows();
    const { reply, browser } = await signIn(closed);
    assert.equal(reply.status, 403);
    assert.match(readable(reply), /No new accounts here/);
    assert.equal(await whoIs(closed, browser), undefined);
    assert.equal(await server.rows(), before);
    await server.addUser("taken", { email: "taken@twin.example" });
    twin.tell({ claims: { sub: "other", email: "taken@twin.example" } });
    const other = await signIn(closed);
    const page = await other.browser.follow(other.reply);
    assert.doesNotMatch(readable(page), /Make a new account/);
    const { form_token = "" } = formOf(await other.browser.open("/sign-in"), "/sign-in");
    const forged = await other.browser.post("/sign-in/connect", { form_token, act: "new" });
    assert.match(readable(forged), /Nothing is waiting/);
    assert.equal(await whoIs(closed, other.browser), undefined);
  } finally {
    twin.tell({});
    await closed.close();
  }
});

test("what is begun at one node is finished at another", async () => {
  const second = await start({ beside: server });
  try {
    const visit = await setOut(server, "twin");
    twin.knows(visit.url);
    const elsewhere = testBrowser(second);
    for (const [name, value] of visit.browser.cookies) elsewhere.cookies.set(name, value);
    const reply = await comeBack(elsewhere, "twin", answerOf(visit.state));
    assert.equal(reply.status, 303, readable(reply));
    assert.equal(await whoIs(server, elsewhere), "mallory");
  } finally {
    await second.close();
  }
});

test("a provider that is disabled while somebody is there lets nobody in, and asks nothing of the provider", async () => {
  const visit = await setOut(server, "twin");
  twin.tell({});
  await server.app.providers.disable("twin", operator);
  const reply = await comeBack(visit.browser, "twin", answerOf(visit.state));
  assert.match(readable(reply), /There is no such way to sign in/);
  assert.deepEqual(twin.asked, []);
  await server.app.providers.enable("twin", operator);
  twin.knows(visit.url);
  assert.equal((await comeBack(visit.browser, "twin", answerOf(visit.state))).status, 303);
});

test("a running server offers what the command line of another process has added", async () => {
  const second = await start({ beside: server });
  try {
    await server.app.providers.add(
      { preset: "gitlab", clientId: "x", secret: "a-secret-of-gitlab" },
      operator,
    );
    await second.app.providers.refresh();
    assert.match(
      readable(await testBrowser(second).open("/sign-in")),
      /Continue with Twin Continue with GitLab/,
    );
  } finally {
    await server.app.providers.remove("gitlab", operator);
    await second.close();
  }
});

test("signing in by a provider takes the place of who was signed in in the browser", async () => {
  await server.addUser("before");
  const browser = testBrowser(server);
  await browser.signIn("before", PASSWORD);
  const visit = await setOut(server, "twin", { browser });
  twin.knows(visit.url);
  await comeBack(browser, "twin", answerOf(visit.state));
  assert.equal(await whoIs(server, browser), "mallory");
  const user = await server.app.users.find("before");
  const [session] = await server.app.sessions.list({ userId: user?.id ?? "" });
  assert.equal(session?.endReason, "replaced");
  assert.ok(![...browser.cookies.keys()].some((name) => name.includes("provider")), "the binder is gone");
});

test("from one address only so many ways are begun at once", async () => {
  const browser = testBrowser(server);
  const page = await browser.open("/sign-in/with/twin");
  const replies = await Promise.all(
    Array.from({ length: 70 }, () => browser.submit(page, "/sign-in/with/twin")),
  );
  const statuses = Map.groupBy(replies, ({ status }) => status);
  assert.equal(statuses.get(200)?.length, 60);
  assert.equal(statuses.get(429)?.length, 10);
  assert.match(statuses.get(429)?.[0]?.headers.get("retry-after") ?? "", /^\d+$/);
});
