import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { limits } from "../primitives/limits.ts";
import { type Reply, startTestServer, type TestServer } from "../test-server.ts";
import {
  assertLacks,
  assertPage,
  FORM,
  formOf,
  PASSWORD,
  readable,
  type TestBrowser,
  testBrowser,
} from "./test-browser.ts";

const NEW = "another horse battery";
const MARK = `"><img src=x onerror=alert(1)>'&lt;{{7*7}}\${7*7}`;

let server: TestServer;
before(async () => {
  server = await startTestServer({
    hooks: { placeOf: (ip) => (ip === "127.0.0.1" ? `<i onclick=x>${MARK}` : undefined) },
  });
  server.secrets.add(NEW);
  await server.addUser("alice", { name: `Alice ${MARK}` });
});
after(() => server.close());

/** A form that would do something, were it sent from its page: by address, where it stands, and what it says. */
const acts = [
  { action: "/sign-in", on: "/sign-in?as=someone-else", fields: { username: "alice", password: PASSWORD } },
  { action: "/sign-up", on: "/sign-up", fields: { username: "mallory", password: PASSWORD } },
  { action: "/forgotten", on: "/forgotten", fields: { email: "alice@example.com" } },
  { action: "/sign-in/mail", on: "/sign-in/mail", fields: { email: "alice@example.com" } },
  { action: "/sign-out", on: "/sign-out", fields: { everywhere: "on" } },
  { action: "/account/sessions/end", on: "/account", fields: {} },
  { action: "/account/sessions/end-others", on: "/account", fields: {} },
  {
    action: "/account/password",
    on: "/account/password",
    fields: { current_password: PASSWORD, password: NEW, end_others: "on" },
  },
  { action: "/account/factors/passkeys", on: "/account/factors", fields: { name: "theirs", passkey: "{}" } },
  { action: "/account/factors/totp", on: "/account/factors/totp", fields: { code: "000000" } },
  { action: "/account/email", on: "/account/email", fields: { email: "theirs@example.com" } },
  {
    action: "/recover",
    on: "/recover",
    fields: { username: "alice", code: "0000-0000-0000-0000-0000-0000" },
  },
  { action: "/step-up", on: "/step-up", fields: { password: PASSWORD } },
];

type Act = (typeof acts)[number];
/** Those of who is signed in. */
const ofAnyone = ["/sign-in", "/sign-up", "/forgotten", "/sign-in/mail", "/recover"];
const ofAccount = acts.filter(({ action }) => !ofAnyone.includes(action));

async function victim(): Promise<TestBrowser> {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  await testBrowser(server).signIn("alice");
  return browser;
}

/** What the form would send. */
async function ready(browser: TestBrowser, { action, on, fields }: Act): Promise<Record<string, string>> {
  return { ...formOf(await browser.open(on), action), ...fields } as Record<string, string>;
}

async function unchanged(work: () => Promise<Reply>, label: string): Promise<Reply> {
  const before = await server.rows();
  const reply = await work();
  assert.equal(await server.rows(), before, `${label}: nothing may have changed`);
  return reply;
}

test("ASVS 3.5.1: a form that another site sends is refused, with a good token too, before anything is looked at", async () => {
  const browser = await victim();
  const origins: Record<string, string>[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: `${server.url}.evil.example` },
    { origin: server.url.replace("http:", "https:") },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site", origin: "null" },
    { "sec-fetch-site": "x" },
  ];
  for (const act of acts) {
    const fields = await ready(browser, act);
    for (const headers of origins) {
      const label = `${act.action} ${JSON.stringify(headers)}`;
      const reply = await unchanged(() => browser.post(act.action, fields, headers), label);
      assert.equal(reply.status, 403, label);
      assert.match(readable(reply), /This came from another site/);
    }
  }
});

test("a form without a token, or with one of somebody else, does nothing", async () => {
  const [browser, stranger] = [await victim(), await victim()];
  for (const act of acts) {
    const { form_token: own = "", ...fields } = await ready(browser, act);
    const { form_token: other = "" } = await ready(stranger, act);
    const flipped = `${own.slice(0, -2)}${own.at(-2) === "A" ? "B" : "A"}${own.slice(-1)}`;
    for (const form_token of [
      undefined,
      "",
      other,
      flipped,
      own.slice(1),
      `${own}A`,
      `${own}\0`,
      "undefined",
      MARK,
    ]) {
      const label = `${act.action} ${form_token}`;
      const sent = form_token === undefined ? fields : { ...fields, form_token };
      // Of a browser that does not say where its requests come from.
      const reply = await unchanged(() => browser.post(act.action, sent), label);
      assert.equal(reply.status, 403, label);
      assert.match(readable(reply), /out of date/);
      assertLacks(reply.text, /horse battery/);
    }
  }
});

test("where the browser says that the form is ours, its token must still be one that was made here", async () => {
  const [browser, stranger] = [testBrowser(server), testBrowser(server)];
  const ours = { "sec-fetch-site": "same-origin" };
  const fields = { username: "nobody", password: "wrong horse battery" };
  const { form_token = "" } = formOf(await stranger.open("/sign-in"), "/sign-in");
  for (const token of ["", "x", form_token.slice(1), form_token.slice(0, 64)]) {
    assert.equal((await browser.post("/sign-in", { ...fields, form_token: token }, ours)).status, 403);
  }
  // Ten tabs that are opened at once: only the cookie of the last one stays.
  assert.equal((await browser.post("/sign-in", { ...fields, form_token }, ours)).status, 401);
  assert.equal((await browser.post("/sign-in", { ...fields, form_token })).status, 403);
});

test("a token of the sign-in form, which anybody can get, opens nothing of an account", async () => {
  const browser = await victim();
  const { form_token = "" } = formOf(await browser.open("/sign-in?as=someone-else"), "/sign-in");
  for (const act of ofAccount) {
    const fields = { ...(await ready(browser, act)), form_token };
    assert.equal((await unchanged(() => browser.post(act.action, fields), act.action)).status, 403);
  }
});

test("the form for signing in comes back with a good token and what was typed, but the password", async () => {
  const browser = testBrowser(server);
  const reply = await browser.post("/sign-in", {
    username: "alice",
    password: PASSWORD,
    return_to: "/there",
  });
  assert.equal(reply.status, 403);
  const { username, return_to: returnTo } = formOf(reply, "/sign-in");
  assert.deepEqual([username, returnTo], ["alice", "/there"]);
  const again = await browser.submit(reply, "/sign-in", { password: PASSWORD });
  assert.equal(again.headers.get("location"), "/there");
});

test("a form with a token that is good and no word of where it came from works: old browsers say nothing", async () => {
  const browser = await victim();
  const reply = await browser.post("/sign-out", await ready(browser, acts[4] as Act));
  assert.equal(reply.headers.get("location"), "/sign-out");
});

test("a stranger who sends a form of the account is sent to sign in, and nothing happens", async () => {
  const browser = await victim();
  for (const act of ofAccount) {
    const fields = await ready(browser, act);
    const reply = await unchanged(() => testBrowser(server).post(act.action, fields), act.action);
    assert.equal(reply.status, 303);
    assert.match(reply.headers.get("location") ?? "", /^\/sign-(in\?return_to=%2Faccount|out$)/);
  }
});

test("a cookie that is forged, cut, lengthened or of another server signs nobody in", async () => {
  const browser = await victim();
  const cookie = browser.cookies.get("keyturn") ?? "";
  const elsewhere = await startTestServer();
  await elsewhere.addUser("alice");
  const other = testBrowser(elsewhere);
  await other.signIn("alice");
  const foreign = other.cookies.get("keyturn") ?? "";
  await elsewhere.close();
  const middle = cookie.length >> 1;
  const flipped = cookie.slice(0, middle) + (cookie[middle] === "A" ? "B" : "A") + cookie.slice(middle + 1);
  for (const value of [
    foreign,
    cookie.slice(0, -1),
    cookie.slice(1),
    `${cookie}A`,
    flipped,
    "x",
    "",
    "%00",
    "a".repeat(4000),
  ]) {
    const reply = await server.call("/account", {
      headers: { accept: "text/html", cookie: `keyturn=${value}` },
    });
    assertPage(reply);
    assert.equal(reply.headers.get("location"), "/sign-in?return_to=%2Faccount", value.slice(0, 20));
  }
});

test("bodies that are no form are refused by a page with the right status, and nothing happens", async () => {
  const browser = await victim();
  const forms = { ...FORM, "sec-fetch-site": "same-origin" };
  const cases: { body: string | Uint8Array<ArrayBuffer>; headers: Record<string, string>; status: number }[] =
    [
      { body: "a=1&a=2", headers: forms, status: 400 },
      { body: "a=%ff", headers: forms, status: 400 },
      { body: "a=%", headers: forms, status: 400 },
      { body: Uint8Array.from([0x61, 0x3d, 0xff]), headers: forms, status: 400 },
      { body: Array.from({ length: 50 }, (_, index) => `f${index}=`).join("&"), headers: forms, status: 400 },
      { body: `a=${"x".repeat(limits.bodyBytesMax)}`, headers: forms, status: 413 },
      { body: "{}", headers: { ...forms, "content-type": "application/json" }, status: 415 },
      { body: "a=1", headers: { ...forms, "content-type": "text/plain" }, status: 415 },
      { body: "a=1", headers: { ...forms, "content-encoding": "gzip" }, status: 415 },
      {
        body: "--x--",
        headers: { ...forms, "content-type": "multipart/form-data; boundary=x" },
        status: 415,
      },
    ];
  for (const { action } of acts) {
    for (const { body, headers, status } of cases) {
      const label = `${action} ${headers["content-type"]} ${String(body).slice(0, 10)}`;
      const reply = await unchanged(() => browser.send(action, { method: "POST", body, headers }), label);
      assert.equal(reply.status, status, label);
      assert.match(reply.text, /<title>Error: /);
    }
  }
});

test("a repeated token, username or return_to is refused, and so is a repeated query parameter", async () => {
  const browser = testBrowser(server);
  const fields = await ready(browser, acts[0] as Act);
  for (const name of ["form_token", "username", "password"]) {
    const body = `${new URLSearchParams(fields)}&${name}=${encodeURIComponent(fields[name] ?? "")}`;
    const reply = await unchanged(
      () => browser.send("/sign-in", { method: "POST", body, headers: FORM }),
      name,
    );
    assert.equal(reply.status, 400);
  }
  assert.equal((await browser.open("/sign-in?return_to=/a&return_to=/b")).status, 400);
});

test("whatever is typed comes back as text: nothing that is sent becomes part of a page", async () => {
  const browser = testBrowser(server);
  for (const typed of [
    MARK,
    `<script>alert(1)</script>`,
    `" autofocus onfocus="alert(1)`,
    "\0<b>",
    "\u2028<b>",
    "</title><b>",
    "<!--",
  ]) {
    const signIn = await browser.open("/sign-in");
    const wrong = await browser.submit(signIn, "/sign-in", { username: typed, password: "wrong horse" });
    assert.equal(formOf(wrong, "/sign-in").username, typed);
    const form = await browser.open("/sign-up");
    const fields = { username: typed, email: typed, name: `${typed}\u202e`, password: "short" };
    const refused = await browser.submit(form, "/sign-up", fields);
    assert.equal(refused.status, 422);
    for (const reply of [wrong, refused]) assertLacks(reply.text, /<(img|script>|b>|!--)| onfocus="/);
  }
});

test("names, devices, programs, addresses and places come out as text on the account page", async () => {
  const browser = testBrowser(server, { "user-agent": `Evil${MARK}/1.0 <script>alert(1)</script>` });
  await browser.signIn("alice");
  await server.call("/login", {
    json: { username: "alice", password: PASSWORD, device: `Phone ${MARK}` },
    headers: { "user-agent": MARK },
  });
  const account = await browser.open("/account");
  assert.equal(account.status, 200);
  assert.ok(readable(account).includes(`Alice ${MARK}`));
  assert.ok(readable(account).includes(`Phone ${MARK}`));
  assert.ok(readable(account).includes(`<i onclick=x>${MARK}`.slice(0, 30)), "the place is shown, as text");
  assertLacks(account.text, /<(img|i |script)/);
});

test("addresses, codes and headers of a request are on no page, not even escaped", async () => {
  const browser = await victim();
  const word = "reflected7391";
  const paths = [
    `/account?notice=${word}`,
    `/account?notice=__proto__`,
    `/account?notice=constructor`,
    `/sign-in?as=${word}`,
    `/sign-in?return_to=${word}`,
    `/${word}`,
    `/sign-in/${word}`,
    `/assets/${word}`,
    `/account?${word}=1`,
  ];
  for (const path of paths) {
    const reply = await browser.open(path, { referer: `http://${word}/`, "x-forwarded-host": word });
    assert.ok(!reply.text.includes(word), path);
    assert.doesNotMatch(readable(reply), /function|\[native/);
  }
});

test("a session of somebody else cannot be ended, and is told like one that does not exist", async () => {
  await server.addUser("bob");
  const [browser, other] = [await victim(), testBrowser(server)];
  await other.signIn("bob");
  const bob = await server.app.users.find("bob");
  const [theirs] = await server.app.sessions.list({ userId: bob?.id ?? "" });
  const { form_token = "" } = formOf(await browser.open("/account"), "/account/sessions/end");
  for (const session of [theirs?.id ?? "", "01a2091b-7f0f-7d30-bc99-dae8c5045318", "", "x", MARK, "\0"]) {
    const reply = await unchanged(
      () => browser.post("/account/sessions/end", { form_token, session }),
      session,
    );
    assert.equal(reply.headers.get("location"), "/account?notice=session-gone");
  }
});
