import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTestServer, type TestServer } from "../test-server.ts";
import { formOf, PASSWORD, readable, testBrowser } from "./test-browser.ts";

const NEW = "another horse battery";

let server: TestServer;
before(async () => {
  server = await startTestServer();
  server.secrets.add(NEW);
});
after(() => server.close());

async function signedIn(username: string) {
  await server.addUser(username);
  const browser = testBrowser(server);
  await browser.signIn(username);
  return browser;
}

test("ASVS 6.2.3: the form asks for the current and the new password, and password managers know them apart", async () => {
  const browser = await signedIn("alice");
  const page = await browser.open("/account/password");
  assert.match(page.text, /id="current_password"[^>]*autocomplete="current-password"/);
  assert.match(page.text, /id="password"[^>]*autocomplete="new-password"/);
  assert.match(page.text, /value="alice" autocomplete="username" readonly hidden/);
  assert.equal(formOf(page, "/account/password").end_others, "on");
});

test("the change signs the other devices out, gives this browser a new cookie, and says so", async () => {
  const browser = await signedIn("bob");
  const other = testBrowser(server);
  await other.signIn("bob");
  const before = browser.cookies.get("keyturn");
  const page = await browser.open("/account/password");
  const reply = await browser.submit(page, "/account/password", {
    current_password: PASSWORD,
    password: NEW,
  });
  assert.notEqual(browser.cookies.get("keyturn"), before);
  const account = await browser.follow(reply);
  assert.match(readable(account), /Your password is changed, and all your other devices are signed out\./);
  assert.match(readable(account), /You changed your password/);
  assert.equal((await other.open("/account")).status, 303);
  await testBrowser(server).signIn("bob", NEW);
});

test("without the tick the other devices stay signed in", async () => {
  const browser = await signedIn("carol");
  const other = testBrowser(server);
  await other.signIn("carol");
  const { end_others: _, ...form } = formOf(await browser.open("/account/password"), "/account/password");
  const reply = await browser.post("/account/password", {
    ...form,
    current_password: PASSWORD,
    password: NEW,
  });
  assert.match(readable(await browser.follow(reply)), /Your password is changed\. /);
  assert.equal((await other.open("/account")).status, 200);
});

test("a wrong, an empty current password and a weak new one are told at their fields, and change nothing", async () => {
  const browser = await signedIn("dave");
  const page = await browser.open("/account/password");
  const before = await server.rows();
  const cases = [
    {
      current_password: "wrong horse battery",
      password: NEW,
      field: "current_password",
      says: /not your current/,
    },
    { current_password: "", password: NEW, field: "current_password", says: /Type your current password/ },
    { current_password: PASSWORD, password: "short", field: "password", says: /at least 8 characters/ },
    {
      current_password: PASSWORD,
      password: "Password123",
      field: "password",
      says: /guessed first\. Choose another/,
    },
    { current_password: PASSWORD, password: "dave", field: "password", says: /at least 8 characters/ },
  ];
  for (const { field, says, ...fields } of cases) {
    const reply = await browser.submit(page, "/account/password", fields);
    assert.equal(reply.status, 422);
    assert.match(readable(reply), says);
    assert.match(reply.text, new RegExp(`<a href="#${field}">`));
    assert.match(reply.text, new RegExp(`id="${field}"[^>]*aria-invalid="true"`));
    assert.doesNotMatch(reply.text, /horse battery/);
  }
  assert.equal(await server.rows(), before);
});

test("guessing the current password at an open browser ends in 429", async () => {
  const browser = await signedIn("erin");
  const page = await browser.open("/account/password");
  let reply = page;
  for (let attempt = 0; attempt < 60 && reply.status !== 429; attempt++) {
    const fields = { current_password: `wrong ${attempt}`, password: NEW };
    reply = await browser.submit(page, "/account/password", fields);
  }
  assert.equal(reply.status, 429);
  assert.match(reply.headers.get("retry-after") ?? "", /^\d+$/);
});

test("a stranger is sent to sign in, and back to this page", async () => {
  const browser = testBrowser(server);
  const reply = await browser.open("/account/password");
  assert.equal(reply.headers.get("location"), "/sign-in?return_to=%2Faccount%2Fpassword");
});
