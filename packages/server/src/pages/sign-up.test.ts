import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTestServer, type TestServer } from "../test-server.ts";
import { formOf, PASSWORD, readable, testBrowser } from "./test-browser.ts";

let server: TestServer;
before(async () => {
  server = await startTestServer();
  server.secrets.add(PASSWORD);
});
after(() => server.close());

test("somebody new makes an account, is signed in at once and led on", async () => {
  const browser = testBrowser(server);
  const page = await browser.open("/sign-up?return_to=/there");
  assert.match(page.text, /type="password" autocomplete="new-password" aria-describedby="password-hint"/);
  assert.match(readable(page), /At least 8 characters/);
  const fields = { username: "erin", password: PASSWORD, email: "erin@pages.example", name: "Erin O'Neil" };
  const reply = await browser.submit(page, "/sign-up", fields);
  assert.equal(reply.headers.get("location"), "/there");
  const account = await browser.open("/account");
  assert.match(readable(account), /Erin O'Neil erin erin@pages\.example \(not confirmed\)/);
  assert.match(readable(account), /You made your account/);
});

test("the e-mail address and the name may be left out", async () => {
  const browser = testBrowser(server);
  const page = await browser.open("/sign-up");
  const reply = await browser.submit(page, "/sign-up", { username: "frank", password: PASSWORD, name: "  " });
  assert.equal(reply.headers.get("location"), "/account");
  assert.equal((await server.app.users.find("frank"))?.name, undefined);
});

test("all that is wrong is told at once: in a summary with links, and at each field", async () => {
  const browser = testBrowser(server);
  const before = await server.rows();
  const page = await browser.open("/sign-up");
  const fields = { username: "g g", password: "short", email: "nowhere", name: "a\u202eb" };
  const reply = await browser.submit(page, "/sign-up", fields);
  assert.equal(reply.status, 422);
  assert.match(readable(reply), /There are 4 problems/);
  for (const name of Object.keys(fields)) {
    assert.match(reply.text, new RegExp(`<a href="#${name}">`), name);
    const input = new RegExp(
      `<input id="${name}"[^>]*aria-describedby="${name}-problem ${name}-hint" aria-invalid="true"`,
    );
    assert.match(reply.text, input, name);
  }
  assert.ok(
    reply.text.indexOf('role="alert"') < reply.text.indexOf("<form"),
    "the summary comes before the form",
  );
  const kept = formOf(reply, "/sign-up");
  assert.deepEqual({ ...kept, form_token: "" }, { ...fields, password: "", form_token: "" });
  assert.equal(await server.rows(), before);
});

test("a password that is the username is refused at its field", async () => {
  const browser = testBrowser(server);
  const reply = await browser.submit(await browser.open("/sign-up"), "/sign-up", {
    username: "gertrude",
    password: "Gertrude",
  });
  assert.equal(reply.status, 422);
  assert.match(readable(reply), /The password must not be the username\./);
});

test("a password that everybody has is refused at its field, together with what else is wrong", async () => {
  const browser = testBrowser(server);
  const reply = await browser.submit(await browser.open("/sign-up"), "/sign-up", {
    username: "ger trude",
    password: "Password123",
  });
  assert.equal(reply.status, 422);
  assert.match(readable(reply), /There are 2 problems/);
  assert.match(readable(reply), /This password is one of those that are guessed first\. Choose another/);
});

test("a taken name and a taken address get one answer, which names neither", async () => {
  await server.addUser("heidi", { email: "heidi@pages.example" });
  const before = await server.rows();
  const answers = new Set<string>();
  for (const fields of [{ username: "Heidi" }, { username: "heidi2", email: "heidi@pages.example" }]) {
    const browser = testBrowser(server);
    const page = await browser.open("/sign-up");
    const reply = await browser.submit(page, "/sign-up", { password: PASSWORD, ...fields });
    assert.equal(reply.status, 409);
    answers.add(/<div class="notice bad"[\s\S]*?<\/div>/.exec(reply.text)?.[0] ?? "");
    assert.ok(!browser.cookies.has("keyturn"));
  }
  assert.equal(answers.size, 1);
  assert.equal(await server.rows(), before);
});

test("where registration is off, both addresses say so and nothing is made", async () => {
  const closed = await startTestServer({ settings: { registration: "off" } });
  try {
    const browser = testBrowser(closed);
    const before = await closed.rows();
    const page = await browser.open("/sign-up");
    assert.equal(page.status, 403);
    assert.match(readable(page), /switched off on this site/);
    const { form_token } = formOf(await browser.open("/sign-in"), "/sign-in");
    const fields = { form_token: form_token ?? "", username: "ivan", password: PASSWORD };
    for (const sent of [fields, { ...fields, form_token: "" }]) {
      assert.equal((await browser.post("/sign-up", sent)).status, 403);
    }
    assert.equal(await closed.rows(), before);
  } finally {
    await closed.close();
  }
});

test("who makes another account while signed in is told whose place it takes", async () => {
  const browser = testBrowser(server);
  await server.addUser("judy", { name: "Judy" });
  await browser.signIn("judy");
  const page = await browser.open("/sign-up");
  assert.match(readable(page), /takes the place of Judy in this browser/);
  await browser.submit(page, "/sign-up", { username: "judy2", password: PASSWORD });
  assert.match(readable(await browser.open("/account")), /judy2/);
});

test("too many accounts from one address: 429, and how long to wait", async () => {
  const browser = testBrowser(server, {});
  const page = await browser.open("/sign-up");
  let reply = page;
  for (let attempt = 0; attempt < 25 && reply.status !== 429; attempt++) {
    reply = await browser.submit(page, "/sign-up", { username: "heidi", password: PASSWORD });
  }
  assert.equal(reply.status, 429);
  assert.match(readable(reply), /Too many attempts\. Wait/);
});
