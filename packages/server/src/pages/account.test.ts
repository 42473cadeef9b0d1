import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Reply, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { formOf, readable, testBrowser } from "./test-browser.ts";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";
const HOUR = 3600;

const clock = stoppedClock();
let server: TestServer;
before(async () => {
  server = await startTestServer({
    clock,
    hooks: { placeOf: async (ip) => (ip === "127.0.0.1" ? "Lyon" : undefined) },
  });
});
after(() => server.close());

async function signedIn(username: string, userAgent = FIREFOX) {
  if ((await server.app.users.find(username)) === undefined) await server.addUser(username);
  const browser = testBrowser(server, { "user-agent": userAgent });
  await browser.signIn(username);
  return browser;
}

const rows = (page: Reply) =>
  [...page.text.matchAll(/<li>([\s\S]*?)<\/li>/g)].map(([text]) =>
    readable({ ...page, text: `<body>${text}` }),
  );

test("a stranger is sent to sign in and comes back", async () => {
  const browser = testBrowser(server);
  const reply = await browser.open("/account");
  assert.equal(reply.headers.get("location"), "/sign-in?return_to=%2Faccount");
  const { return_to: returnTo } = formOf(await browser.follow(reply), "/sign-in");
  assert.equal(returnTo, "/account");
});

test("ASVS 7.5.2: every living session is listed by what its owner can know it by, this one first and marked", async () => {
  await signedIn("alice", IPHONE);
  await server.login("alice", { device: "Kitchen radio" });
  clock.pass(3 * HOUR);
  const browser = await signedIn("alice");
  const page = await browser.open("/account");
  const [own, ...others] = rows(page);
  assert.match(
    own ?? "",
    /Firefox on Linux This device Lyon · 127\.0\.0\.1 Last used just now · signed in just now/,
  );
  assert.equal(others.length, 2);
  assert.match(others.join(), /Kitchen radio/);
  assert.match(
    others.join(),
    /Safari on iOS Lyon · 127\.0\.0\.1 Last used 3 hours ago · signed in 3 hours ago Sign out Safari on iOS/,
  );
  assert.match(
    page.text,
    /<time datetime="20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z" title="[A-Z][a-z]+ \d+, 20\d\d at .* UTC">3 hours ago</,
  );
});

test("one device is signed out by its button, and the list says so once", async () => {
  const [browser, phone] = [await signedIn("bob"), await signedIn("bob", IPHONE)];
  const page = await browser.open("/account");
  const reply = await browser.post("/account/sessions/end", formOf(page, "/account/sessions/end"));
  const after = await browser.follow(reply);
  assert.match(readable(after), /That device is signed out\./);
  assert.match(readable(after), /You signed out another device/);
  assert.equal((await phone.open("/account")).status, 303);
  const twice = await browser.post("/account/sessions/end", formOf(page, "/account/sessions/end"));
  assert.match(readable(await browser.follow(twice)), /That device was signed out already\./);
});

test("all others are signed out at once, apps and browsers", async () => {
  const [browser, phone] = [await signedIn("carol"), await signedIn("carol", IPHONE)];
  const { accessToken } = await server.login("carol");
  const page = await browser.open("/account");
  const reply = await browser.post(
    "/account/sessions/end-others",
    formOf(page, "/account/sessions/end-others"),
  );
  const after = await browser.follow(reply);
  assert.match(readable(after), /All your other devices are signed out\./);
  assert.doesNotMatch(after.text, /end-others/, "with one device there is nothing to ask for");
  assert.equal((await phone.open("/account")).status, 303);
  assert.equal((await server.call("/me", { token: accessToken })).status, 401);
  const twice = await browser.post(
    "/account/sessions/end-others",
    formOf(page, "/account/sessions/end-others"),
  );
  assert.match(readable(await browser.follow(twice)), /There was no other device to sign out\./);
});

test("the form for one's own session signs out", async () => {
  const browser = await signedIn("dora");
  await signedIn("dora", IPHONE);
  const page = await browser.open("/account");
  const dora = await server.app.users.find("dora");
  const own = (await server.app.sessions.list({ userId: dora?.id ?? "" })).find(
    (one) => one.userAgent === FIREFOX,
  );
  const fields = { ...formOf(page, "/account/sessions/end"), session: own?.id ?? "" };
  const reply = await browser.post("/account/sessions/end", fields);
  assert.match(readable(await browser.follow(reply)), /You are signed out/);
});

test("security events are told newest first, in sentences, and equal ones in a row as one line", async () => {
  const user = await server.addUser("erin");
  const guesser = testBrowser(server);
  for (const password of ["wrong one", "wrong two", "wrong three"]) {
    await guesser.submit(await guesser.open("/sign-in"), "/sign-in", { username: "erin", password });
  }
  const browser = await signedIn("erin");
  const operator = { actor: "operator" } as const;
  await server.app.users.update(user.id, { name: "Erin" }, operator);
  await server.app.users.setRoles(user.id, ["editor"], operator);
  const text = readable(await browser.open("/account"));
  const events = text.slice(text.indexOf("Recent security events"));
  const sentences = [
    "The operator of this site changed what you may do",
    "The operator of this site changed your details",
    "You signed in on Firefox on Linux",
    "Somebody tried to sign in with a wrong password 3 times",
    "The operator of this site made your account",
  ];
  let at = -1;
  for (const sentence of sentences) {
    const found = events.indexOf(sentence);
    assert.ok(found > at, `${sentence} comes in its turn: ${events}`);
    at = found;
  }
});

test("a copied sign-in is told as what it is", async () => {
  const browser = await signedIn("frank");
  const { refreshToken } = await server.login("frank", { device: "Old phone" });
  await server.call("/refresh", { json: { refreshToken } });
  clock.pass(HOUR);
  await server.call("/refresh", { json: { refreshToken } });
  const text = readable(await browser.open("/account"));
  assert.match(text, /A copy of a sign-in was used \(Old phone\), so that device was signed out/);
});

test("only events and sessions of one's own are shown", async () => {
  await signedIn("grace", IPHONE);
  const browser = await signedIn("heidi");
  const text = readable(await browser.open("/account"));
  assert.doesNotMatch(text, /Safari on iOS|grace/);
});

test("a name, an address and what is missing of them", async () => {
  await server.addUser("ivan", { name: "Ivan Petrov", email: "ivan@pages.example", emailVerified: true });
  const named = await (await signedIn("ivan")).open("/account");
  assert.match(readable(named), /Ivan Petrov ivan ivan@pages\.example /);
  assert.doesNotMatch(readable(named), /not confirmed/);
  assert.match(readable(await (await signedIn("judy")).open("/account")), /Your account judy /);
});

test("ASVS 7.4.4: every page of the account has the way out in sight", async () => {
  const browser = await signedIn("kim");
  assert.match((await browser.open("/account")).text, /<nav aria-label="Account">.*href="\/sign-out"/);
});

test("a session that is over, by time or by the operator, leads to the sign-in form", async () => {
  const [late, ended] = [await signedIn("liam"), await signedIn("mona")];
  const mona = await server.app.users.find("mona");
  await server.app.users.disable(mona?.id ?? "", { actor: "operator" });
  assert.equal((await ended.open("/account")).status, 303);
  assert.ok(!ended.cookies.has("keyturn"), "a cookie of no use is taken away");
  clock.pass(15 * 24 * HOUR);
  assert.equal((await late.open("/account")).status, 303);
});
