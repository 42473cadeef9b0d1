import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTestServer, type TestServer } from "../test-server.ts";
import { formOf, PASSWORD, readable, testBrowser } from "./test-browser.ts";

let server: TestServer;
before(async () => {
  server = await startTestServer();
  await server.addUser("alice", { name: "Alice", email: "alice@pages.example" });
  await server.addUser("bob");
});
after(() => server.close());

test("a browser signs in by a form, without scripts, and is led to its account", async () => {
  const browser = testBrowser(server);
  const page = await browser.open("/sign-in");
  assert.equal(page.status, 200);
  assert.match(page.text, /<input id="username" name="username" type="text" autocomplete="username"/);
  assert.match(
    page.text,
    /<input id="password" name="password" type="password" autocomplete="current-password"/,
  );
  const reply = await browser.submit(page, "/sign-in", { username: "alice", password: PASSWORD });
  assert.equal(reply.headers.get("location"), "/account");
  const account = await browser.follow(reply);
  assert.equal(account.status, 200);
  assert.match(readable(account), /Alice alice alice@pages\.example/);
});

test("an e-mail address signs in too, whatever the case of its letters", async () => {
  const browser = testBrowser(server);
  await browser.signIn("ALICE@pages.example");
  assert.equal((await browser.open("/account")).status, 200);
});

test("the cookie that a sign-in gives is HttpOnly, SameSite=Lax, of the whole host, and once in the answer", async () => {
  const browser = testBrowser(server);
  const reply = await browser.signIn("alice");
  const given = reply.headers.getSetCookie().filter((line) => line.startsWith("keyturn="));
  assert.equal(given.length, 1);
  assert.match(given[0] ?? "", /; Path=\//);
  assert.match(given[0] ?? "", /; HttpOnly/);
  assert.match(given[0] ?? "", /; SameSite=Lax/);
});

test("a wrong password and an unknown name are answered alike: 401, the sentence of the API, the name kept, no password", async () => {
  for (const username of ["alice", "nobody", "nobody@pages.example", "<b>x"]) {
    const browser = testBrowser(server);
    const page = await browser.open("/sign-in?return_to=/there");
    const reply = await browser.submit(page, "/sign-in", { username, password: "wrong horse battery" });
    assert.equal(reply.status, 401);
    assert.match(readable(reply), /Invalid username or password/);
    assert.match(reply.text, /<title>Error: /);
    assert.match(reply.text, /role="alert" tabindex="-1" autofocus/);
    assert.equal(reply.text.match(/ autofocus/g)?.length, 1, "the error comes first, and alone");
    assert.doesNotMatch(reply.text, /wrong horse battery/);
    const { username: kept, return_to: returnTo, password } = formOf(reply, "/sign-in");
    assert.deepEqual([kept, returnTo, password], [username, "/there", ""]);
    assert.ok(!browser.cookies.has("keyturn"));
  }
});

test("an empty name or password is told so, and counts for no attempt", async () => {
  const browser = testBrowser(server);
  const page = await browser.open("/sign-in");
  for (const fields of [{}, { username: "alice" }, { password: "x" }]) {
    const reply = await browser.submit(page, "/sign-in", fields);
    assert.equal(reply.status, 422);
    assert.match(readable(reply), /Type your username or e-mail address, and your password\./);
  }
});

test("a sign-in leads on to return_to, a path of this origin, and to nothing else", async () => {
  const gone = { "/there?a=b#c": "/there?a=b#c", "/a b": "/a%20b", "": "/account" };
  for (const [returnTo, location] of Object.entries(gone)) {
    const browser = testBrowser(server);
    const page = await browser.open(`/sign-in?return_to=${encodeURIComponent(returnTo)}`);
    const reply = await browser.submit(page, "/sign-in", { username: "alice", password: PASSWORD });
    assert.equal(reply.headers.get("location"), location);
  }
  for (const hostile of [
    "//evil.example",
    "/\\evil.example",
    "https://evil.example",
    "/.//evil.example",
    "/\t/x",
  ]) {
    const browser = testBrowser(server);
    const page = await browser.open(`/sign-in?return_to=${encodeURIComponent(hostile)}`);
    assert.doesNotMatch(page.text, /evil/);
    const fields = { username: "alice", password: PASSWORD, return_to: hostile };
    const reply = await browser.submit(page, "/sign-in", fields);
    assert.equal(reply.headers.get("location"), "/account", hostile);
  }
});

test("who is signed in is told so, and may go on or sign in as someone else", async () => {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const choice = await browser.open("/sign-in?return_to=/there");
  assert.match(readable(choice), /You are signed in as Alice\./);
  assert.match(choice.text, /href="\/there">Continue/);
  assert.match(choice.text, /href="\/sign-in\?as=someone-else&amp;return_to=%2Fthere"/);
  assert.doesNotMatch(choice.text, /<form/);
  const form = await browser.open("/sign-in?as=someone-else");
  assert.match(readable(form), /takes the place of Alice in this browser/);
});

test("ASVS 7.2.4: signing in again ends the session that the browser had", async () => {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const before = browser.cookies.get("keyturn") ?? "";
  await browser.signIn("bob");
  assert.match(readable(await browser.open("/account")), /bob/);
  browser.cookies.set("keyturn", before);
  const reply = await browser.open("/account");
  assert.equal(reply.headers.get("location"), "/sign-in?return_to=%2Faccount");
});

test("ten tabs with the form all work, one after the other, also after one of them has signed in", async () => {
  const browser = testBrowser(server);
  const pages = [];
  for (let tab = 0; tab < 10; tab++) pages.push(await browser.open("/sign-in"));
  for (const page of pages) {
    const reply = await browser.submit(page, "/sign-in", { username: "alice", password: PASSWORD });
    assert.equal(reply.headers.get("location"), "/account");
  }
});

test("too many attempts: 429, and how long to wait, for people and for programs", async () => {
  const browser = testBrowser(server);
  await server.addUser("carol");
  const page = await browser.open("/sign-in");
  let reply = page;
  for (let attempt = 0; attempt < 11; attempt++) {
    reply = await browser.submit(page, "/sign-in", { username: "carol", password: "wrong horse battery" });
  }
  assert.equal(reply.status, 429);
  assert.match(readable(reply), /Too many attempts\. Wait \d+ seconds, then try again\./);
  assert.match(reply.headers.get("retry-after") ?? "", /^\d+$/);
  assert.equal(formOf(reply, "/sign-in").username, "carol");
});

test("where nobody may register, the form does not send anybody there", async () => {
  const closed = await startTestServer({ settings: { registration: "off" } });
  try {
    const browser = testBrowser(closed);
    assert.doesNotMatch((await browser.open("/sign-in")).text, /sign-up/);
    assert.match(
      (await testBrowser(server).open("/sign-in?return_to=/x")).text,
      /href="\/sign-up\?return_to=%2Fx"/,
    );
  } finally {
    await closed.close();
  }
});

test("a sign-in is counted in the metrics and shown in the audit log, as one by the API is", async () => {
  const browser = testBrowser(server);
  const user = await server.addUser("dora");
  await browser.signIn("dora");
  const [event] = await server.app.audit.list({ userId: user.id });
  assert.equal(event?.type, "session.started");
  assert.match((await server.callQuietly("/metrics")).text, /signed_in/);
});
