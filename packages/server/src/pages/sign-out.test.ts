import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startTestServer, type TestServer } from "../test-server.ts";
import { readable, testBrowser } from "./test-browser.ts";

let server: TestServer;
before(async () => {
  server = await startTestServer();
  await server.addUser("alice", { name: "Alice" });
});
after(() => server.close());

test("GET changes nothing: it asks, and a link or an image cannot sign anybody out", async () => {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const before = await server.rows();
  const page = await browser.open("/sign-out");
  assert.match(readable(page), /You are signed in as Alice\./);
  assert.equal(await server.rows(), before);
  assert.equal((await browser.open("/account")).status, 200);
});

test("POST ends this session, takes the cookie away, and the page after it says so", async () => {
  const [browser, other] = [testBrowser(server), testBrowser(server)];
  await browser.signIn("alice");
  await other.signIn("alice");
  const cookie = browser.cookies.get("keyturn") ?? "";
  const reply = await browser.submit(await browser.open("/sign-out"), "/sign-out");
  assert.ok(!browser.cookies.has("keyturn"));
  assert.match(readable(await browser.follow(reply)), /You are signed out/);
  browser.cookies.set("keyturn", cookie);
  assert.equal((await browser.open("/account")).status, 303, "the cookie is of no use to who kept it");
  assert.equal((await other.open("/account")).status, 200);
});

test("everywhere: all of the user's sessions end, apps too", async () => {
  const [browser, other] = [testBrowser(server), testBrowser(server)];
  await browser.signIn("alice");
  await other.signIn("alice");
  const { accessToken } = await server.login("alice");
  await browser.submit(await browser.open("/sign-out"), "/sign-out", { everywhere: "on" });
  assert.equal((await other.open("/account")).status, 303);
  assert.equal((await server.call("/me", { token: accessToken })).status, 401);
});

test("signing out twice is no error", async () => {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const page = await browser.open("/sign-out");
  await browser.submit(page, "/sign-out");
  const reply = await browser.submit(page, "/sign-out");
  assert.match(readable(await browser.follow(reply)), /You are signed out/);
});
