import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { Client } from "../clients/client.ts";
import { testBrowser } from "../pages/test-browser.ts";
import type { Session } from "../sessions/session.ts";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { addClient, idTokenOf, letIn } from "./test-logout.ts";

const DONE = "https://shop.example/signed-out";
const clock = stoppedClock();
let server: TestServer;
let shop: Client;
let browser: ReturnType<typeof testBrowser>;
let session: Session;
let hint: string;

before(async () => {
  server = await startTestServer({ clock });
  await server.addUser("alice");
  await server.addUser("mallory");
  shop = await addClient(server, {
    post_logout_redirect_uris: [DONE, "https://shop.example/out?from=keyturn"],
    id_token_signed_response_alg: "ES256",
  });
});
after(() => server?.close());

async function sessionOf(username: string): Promise<Session> {
  const user = await server.app.users.find(username);
  const [newest] = await server.app.sessions.list({ userId: user?.id ?? "", alive: true });
  assert.ok(newest);
  return newest;
}

beforeEach(async () => {
  await server.forgetLimits();
  browser = testBrowser(server);
  await browser.signIn("alice");
  session = await sessionOf("alice");
  hint = idTokenOf(server, {
    client: shop,
    session: await letIn(server, { client: shop, browser: session }),
  });
});

/** With the browser's cookies, and without the rule that pages stay on their origin. */
async function ask(parameters: Record<string, string>) {
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const query = new URLSearchParams(parameters).toString();
  return server.call(`/oauth/logout?${query}`, { headers: { accept: "text/html", cookie } });
}
const isOver = async () => (await server.app.sessions.find(session.id))?.revokedAt !== undefined;

test("RP-Initiated Logout §2: an ID token of this person signs out without a question and goes to the registered address with the state", async () => {
  const reply = await ask({ id_token_hint: hint, post_logout_redirect_uri: DONE, state: "a b&c" });
  assert.equal(reply.status, 303, reply.text);
  assert.equal(reply.headers.get("location"), `${DONE}?state=a+b%26c`);
  assert.match(reply.headers.get("set-cookie") ?? "", /^keyturn=; Max-Age=0/);
  assert.ok(await isOver());
});

test("what applications were let in to from this browser ends with it, and what was let in for good goes on", async () => {
  const child = await letIn(server, { client: shop, browser: session });
  const offline = await letIn(server, { client: shop, browser: session, parent: "" });
  assert.equal((await ask({ id_token_hint: hint })).headers.get("location"), "/sign-out");
  assert.equal((await server.app.sessions.find(child.id))?.endReason, "signed_out");
  assert.equal((await server.app.sessions.find(offline.id))?.revokedAt, undefined);
});

test("§2: an ID token that has expired is accepted, and one whose key has retired", async () => {
  clock.pass(3600);
  await server.app.signingKeys.rotate({ now: true });
  await server.app.signingKeys.rotate({ now: true });
  const reply = await ask({ id_token_hint: hint, post_logout_redirect_uri: DONE });
  assert.equal(reply.headers.get("location"), DONE);
  assert.ok(await isOver());
});

test("§2: without a hint the person is asked, and nothing is done before they have answered", async () => {
  const page = await browser.open(
    `/oauth/logout?client_id=${shop.id}&post_logout_redirect_uri=${DONE}&state=x`,
  );
  assert.equal(page.status, 200);
  assert.match(page.text, /Shop asks whether you want to sign out/);
  assert.ok(!(await isOver()));
  const left = await browser.submit(page, "/oauth/logout/confirm");
  assert.equal(left.status, 200, left.text);
  assert.ok(left.text.includes(`url=${DONE}?state=x`), left.text);
  assert.ok(await isOver());
});

test("the ID token of somebody else does not sign out whoever sits here: they are asked", async () => {
  const other = testBrowser(server);
  await other.signIn("mallory");
  const theirs = await sessionOf("mallory");
  const foreign = idTokenOf(server, {
    client: shop,
    session: await letIn(server, { client: shop, browser: theirs }),
  });
  const page = await browser.open(`/oauth/logout?id_token_hint=${foreign}`);
  assert.match(page.text, /asks whether you want to sign out/);
  assert.ok(!(await isOver()));
});

test("§3: an address that is not registered for this client is not gone to, and nothing is done", async () => {
  const wrong = [
    "https://shop.example/signed-out/",
    "https://shop.example/signed-out?x=1",
    "https://shop.example/signed-out#x",
    "https://shop.example:443/signed-out",
    "https://SHOP.example/signed-out",
    "https://shop.example.evil.example/signed-out",
    "https://shop.example@evil.example/signed-out",
    "//evil.example",
    "/sign-out",
    "javascript:alert(1)",
    "https://shop.example/back",
  ];
  for (const uri of wrong) {
    for (const proof of [{ id_token_hint: hint }, { client_id: shop.id }]) {
      const reply = await ask({ ...proof, post_logout_redirect_uri: uri } as Record<string, string>);
      assert.equal(reply.status, 403, uri);
      assert.equal(reply.headers.get("location"), null);
    }
  }
  const unproven = await ask({ post_logout_redirect_uri: DONE });
  assert.equal(unproven.status, 403, "without a client no address is anybody's");
  assert.ok(!(await isOver()));
});

test("§2: a client_id that is not the one of the hint is refused", async () => {
  const other = await addClient(server, { post_logout_redirect_uris: [DONE] });
  assert.equal((await ask({ id_token_hint: hint, client_id: other.id })).status, 403);
  assert.equal((await ask({ client_id: "nobody" })).status, 403);
  assert.ok(!(await isOver()));
});

test("what is no ID token of this server says nothing: forged, damaged, another kind of token", async () => {
  const [head = "", body = "", signature = ""] = hint.split(".");
  const none = Buffer.from(JSON.stringify({ alg: "none", typ: "JWT" })).toString("base64url");
  const { accessToken } = await server.login("alice");
  const forged = Buffer.from(
    JSON.stringify({ ...JSON.parse(Buffer.from(body, "base64url").toString()), sub: "x" }),
  ).toString("base64url");
  const wrong = [
    "x",
    "..",
    `${head}.${body}.`,
    `${none}.${body}.`,
    `${head}.${forged}.${signature}`,
    // Not at the end, where one of 256 signatures would be the same: bits of its last character count for nothing.
    `${head}.${body}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`,
    accessToken,
    "x".repeat(8000),
  ];
  for (const given of wrong) {
    assert.equal((await ask({ id_token_hint: given })).status, 403, `number ${wrong.indexOf(given)}`);
  }
  assert.ok(!(await isOver()));
});

test("who is signed out already goes on to where the application wants them", async () => {
  browser.cookies.clear();
  const reply = await ask({ client_id: shop.id, post_logout_redirect_uri: DONE, state: "s" });
  assert.equal(reply.headers.get("location"), `${DONE}?state=s`);
  assert.equal((await ask({})).headers.get("location"), "/sign-out");
});

test("§2: the request may be a form of another site; it comes without cookies and leads on to the same by GET", async () => {
  const reply = await testBrowser(server).post(
    "/oauth/logout",
    { id_token_hint: hint, state: "x" },
    { "sec-fetch-site": "cross-site", origin: "https://shop.example" },
  );
  assert.equal(reply.status, 303);
  assert.match(reply.headers.get("location") ?? "", /^\/oauth\/logout\?id_token_hint=[\w.-]+&state=x$/);
});

test("the answer to the question counts only from a page of ours", async () => {
  const fields = { client_id: shop.id };
  for (const site of ["cross-site", "same-origin"]) {
    const reply = await browser.post("/oauth/logout/confirm", fields, { "sec-fetch-site": site });
    assert.equal(reply.status, 403, site);
  }
  assert.ok(!(await isOver()));
});
