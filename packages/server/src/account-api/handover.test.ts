import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import { testBrowser } from "../pages/test-browser.ts";
import { limits } from "../primitives/limits.ts";
import { assertRefusal, type Reply, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { addTotp } from "../users/factors/test-factors.ts";
import type { User } from "../users/user.ts";

const APP = "https://app.example";
const clock = stoppedClock();
const verifier = "v".repeat(43);
const challenge = createHash("sha256").update(verifier).digest("base64url");
const refusal = { status: 401, error: "invalid_handover" };
let server: TestServer;
let user: User;
let count = 0;

before(async () => {
  server = await startTestServer({ clock, settings: { allowedOrigins: [APP] } });
});
after(() => server.close());
beforeEach(async () => {
  clock.pass(86_400);
  user = await server.addUser(`guest${++count}`);
});

const asked = (more: Record<string, string> = {}) =>
  `/sign-in/return?${new URLSearchParams({ to: `${APP}/in?x=1`, challenge, state: "st", ...more })}`;
const leadsTo = ({ text }: Reply) =>
  /<meta http-equiv="refresh" content="0; url=([^"]*)">/.exec(text)?.[1]?.replaceAll("&amp;", "&");
const codeIn = (page: Reply) => {
  const code = new URL(leadsTo(page) ?? "").searchParams.get("keyturn_code") ?? "";
  server.secrets.add(code);
  return code;
};
const take = (code: string, more: object = {}) =>
  server.call("/login/handover", { json: { code, verifier, ...more } });

async function signedIn() {
  const browser = testBrowser(server);
  await browser.signIn(user.username);
  return browser;
}

const sessions = async () =>
  (await server.app.sessions.list({ userId: user.id, alive: true })).map(({ kind, amr }) =>
    [kind, ...amr].join(" "),
  );

test("an app gets a code for who signs in on the pages, never a token, and its own session in place of the browser's", async () => {
  const browser = testBrowser(server);
  const asking = await browser.open(asked());
  assert.match(asking.headers.get("location") ?? "", /^\/sign-in\?return_to=/);
  const form = await browser.follow(asking);
  const done = await browser.submit(form, "/sign-in", {
    username: user.username,
    password: "correct horse battery",
  });
  const page = await browser.follow(done);
  const to = new URL(leadsTo(page) ?? "");
  assert.deepEqual(
    [to.origin, to.pathname, to.searchParams.get("x"), to.searchParams.get("keyturn_state")],
    [APP, "/in", "1", "st"],
  );
  assert.doesNotMatch(page.text, /eyJ|krt_|kts_/);
  clock.pass(30);
  const reply = await take(codeIn(page), { device: "the app" });
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual(await sessions(), ["app pwd"]);
  const [, payload = ""] = String(reply.json.accessToken).split(".");
  const { auth_time } = JSON.parse(Buffer.from(payload, "base64url").toString());
  assert.equal(auth_time, Math.floor(clock.now() / 1000) - 30, "it was proven then, not now");
});

test("RFC 6749 §4.1.2: of 20 uses of a code at once one gets a session, and none later", async () => {
  const code = codeIn(await (await signedIn()).open(asked()));
  const replies = await Promise.all(Array.from({ length: 20 }, () => take(code)));
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, ...Array(19).fill(401)]);
  assertRefusal(await take(code), refusal);
  assert.deepEqual(await sessions(), ["app pwd"]);
});

test("RFC 7636 §4.6: a code is of who has the verifier, and of the key; what is wrong spends nothing", async () => {
  const code = codeIn(await (await signedIn()).open(asked()));
  const bound = codeIn(await (await signedIn()).open(asked({ key: challenge })));
  assertRefusal(await take(code, { verifier: "w".repeat(43) }), refusal);
  assertRefusal(await take(code, { verifier: challenge }), refusal);
  assertRefusal(await take(bound), refusal);
  assertRefusal(await take(code.slice(0, -4)), refusal);
  assertRefusal(await take(`${code}AAAA`), refusal);
  assertRefusal(await take("x"), refusal);
  assertRefusal(await take(code, { verifier: "short" }), { status: 400, error: "invalid_request" });
  assert.equal((await take(code)).status, 200);
});

test("a code ends after a minute, and with the browser's session; a disabled user gets in by none", async () => {
  const browser = await signedIn();
  const late = codeIn(await browser.open(asked()));
  clock.pass(limits.handoverCodeSeconds);
  assertRefusal(await take(late), refusal);
  const ended = codeIn(await browser.open(asked()));
  await server.app.sessions.endAllOfUser(user.id, { actor: "user", reason: "signed_out" });
  assertRefusal(await take(ended), refusal);
  const disabled = codeIn(await (await signedIn()).open(asked()));
  await server.app.users.disable(user.id, { actor: "operator" });
  assertRefusal(await take(disabled), refusal);
});

test("an old session is no sign-in: who sits there now is asked first", async () => {
  const browser = await signedIn();
  clock.pass(limits.handoverSignInSecondsMax + 1);
  const reply = await browser.open(asked());
  assert.match(
    reply.headers.get("location") ?? "",
    /^\/sign-in\?as=someone-else&return_to=%2Fsign-in%2Freturn/,
  );
});

test("where a second factor came to be meanwhile, a code of one factor is worth a ticket", async () => {
  const code = codeIn(await (await signedIn()).open(asked()));
  const totp = await addTotp(server, user);
  const replies = await Promise.all(Array.from({ length: 5 }, () => take(code)));
  const [reply, ...others] = replies.sort((a) => (a.json.error === "second_factor_required" ? -1 : 1));
  assert.ok(reply);
  for (const other of others) assertRefusal(other, refusal);
  assert.equal(reply.json.error, "second_factor_required");
  server.secrets.add(String(reply.json.ticket));
  clock.pass(30);
  const json = { ticket: reply.json.ticket, code: await totp.code(30) };
  assert.equal((await server.call("/login/second-factor", { json })).status, 200);
});

describe("OWASP ASVS 5.0 §3.7.2", () => {
  test("nobody is led anywhere but to the issuer's origin and the operator's allowedOrigins", async () => {
    const browser = await signedIn();
    for (const to of [
      "https://evil.example/",
      "https://app.example.evil.example/",
      "https://app.example@evil.example/",
      "https://user:pass@app.example/",
      "http://app.example/",
      "https://app.example:444/",
      "//evil.example",
      "/\\evil.example",
      "javascript:alert(1)//https://app.example",
      "data:text/html,x",
      "blob:https://app.example/x",
      "https://app.example\\@evil.example/",
      "",
      `${APP}/${"x".repeat(3000)}`,
    ]) {
      const reply = await browser.open(asked({ to }));
      const url = leadsTo(reply);
      if (url === undefined) assert.equal(reply.status, 400, to);
      // A form of address that browsers and this server read alike.
      else assert.equal(new URL(url).origin, APP, to);
      const stranger = await testBrowser(server).open(asked({ to }));
      assert.match(stranger.headers.get("location") ?? "", /^\/sign-in/);
    }
    const own = await browser.open(`/sign-in/return?to=${encodeURIComponent(`${server.issuer}/account`)}`);
    assert.equal(leadsTo(own), `${server.issuer}/account`);
    const plain = await browser.open(`/sign-in/return?to=${encodeURIComponent(`${APP}/a?b=c`)}`);
    assert.equal(leadsTo(plain), `${APP}/a?b=c`, "without a challenge there is no code");
  });

  test("a challenge, a key or a state that is none leads nowhere", async () => {
    const browser = await signedIn();
    for (const more of [
      { challenge: "short" },
      { challenge: `${challenge}=` },
      { key: "x" },
      { state: "" },
      { state: "a b" },
    ] as Record<string, string>[]) {
      assert.equal((await browser.open(asked(more))).status, 400, JSON.stringify(more));
    }
  });
});

test("an app leads its person to connect a provider: a page of ours asks, after a recent proof", async () => {
  const google = { preset: "google", clientId: "x", secret: "a-secret-of-google" } as const;
  await server.app.providers.add(google, { actor: "operator" });
  const path = "/account/connections/add?provider=google&return_to=%2Fsign-in%2Freturn";
  const stranger = await testBrowser(server).open(path);
  assert.match(
    stranger.headers.get("location") ?? "",
    /^\/sign-in\?return_to=%2Faccount%2Fconnections%2Fadd/,
  );
  const browser = await signedIn();
  const page = await browser.open(path);
  assert.match(page.text, /name="return_to" value="\/sign-in\/return"/);
  assert.equal((await browser.open("/account/connections/add?provider=nobody")).status, 403);
  clock.pass(limits.recentProofMinutesMax * 60 + 1);
  const old = await browser.open(path);
  assert.match(old.headers.get("location") ?? "", /^\/sign-in\?as=someone-else/);
});
