import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { type MailServer, NEW_PASSWORD, otherDigits, startMailServer } from "../test-mail.ts";
import type { Reply } from "../test-server.ts";
import { addTotp } from "../users/factors/test-factors.ts";
import { type CodeLetterSent, tokenOf } from "../users/mailing/test-letters.ts";
import { assertLacks, formOf, PASSWORD, readable, type TestBrowser, testBrowser } from "./test-browser.ts";

let mail: MailServer;
before(async () => {
  mail = await startMailServer();
});
after(() => mail.server.close());
beforeEach(async () => {
  await mail.server.forgetLimits();
  await mail.letters.deliver();
});

let names = 0;
async function someone() {
  const username = `somebody${++names}`;
  const email = `${username}@example.com`;
  return { username, email, user: await mail.addConfirmed(username, email) };
}

/** Follows the link of a letter: its secret is set aside, and the address is clean. */
async function followed(browser: TestBrowser, letter: CodeLetterSent): Promise<Reply> {
  const { pathname, search, origin } = new URL(letter.link);
  assert.equal(origin, mail.server.issuer);
  const before = await mail.server.rows();
  const reply = await browser.open(pathname + search, { "sec-fetch-site": "cross-site" });
  assert.equal(reply.status, 303);
  assert.equal(reply.headers.get("location"), pathname);
  const [cookie = ""] = reply.headers.getSetCookie().filter((line) => line.includes(tokenOf(letter)));
  assert.match(cookie, /^keyturn-link-[a-z-]+=kml_[^;]+; Max-Age=1800; Path=\/; HttpOnly; SameSite=Lax$/);
  const page = await browser.follow(reply);
  assertLacks(page.text, /kml_/);
  assert.equal(await mail.server.rows(), before, "a GET changes nothing");
  return page;
}

async function register(browser: TestBrowser, username = `newcomer${++names}`) {
  const email = `${username}@example.com`;
  mail.server.secrets.add(email);
  const form = await browser.open("/sign-up");
  await browser.submit(form, "/sign-up", { username, password: PASSWORD, email });
  return { username, email, letter: await mail.letters.one() };
}

const gone = (reply: Reply) => {
  assert.equal(reply.status, 403);
  assert.match(readable(reply), /This link is no longer good/);
};

describe("a forgotten password", () => {
  test("from the sign-in page to a letter, from its link to a new password, and nobody is signed in by it", async () => {
    const { username, email } = await someone();
    const other = testBrowser(mail.server);
    await other.signIn(username);
    const browser = testBrowser(mail.server);
    assert.match((await browser.open("/sign-in")).text, /href="\/forgotten"/);
    const asked = await browser.submit(await browser.open("/forgotten"), "/forgotten", { email });
    assert.match(
      readable(await browser.follow(asked)),
      /If that address is confirmed .* good for 30 minutes/,
    );
    const letter = await mail.letters.one();
    const page = await followed(browser, letter);
    assert.match(readable(page), new RegExp(`For the account ${username}`));
    assert.equal(formOf(page, "/password/reset").end_sessions, "on");
    const weak = await browser.submit(page, "/password/reset", { password: "short" });
    assert.equal(weak.status, 422);
    const done = await browser.submit(page, "/password/reset", { password: NEW_PASSWORD });
    assert.match(readable(await browser.follow(done)), /Your password is changed/);
    assert.equal((await browser.open("/account")).status, 303);
    assert.equal((await other.open("/account")).status, 303);
    await browser.signIn(username, NEW_PASSWORD);
    gone(await followed(testBrowser(mail.server), letter));
  });

  test("without the tick the sessions stay; a second press of the button does nothing more", async () => {
    const { username, email } = await someone();
    const other = testBrowser(mail.server);
    await other.signIn(username);
    await mail.forget(email);
    const browser = testBrowser(mail.server);
    const page = await followed(browser, await mail.letters.one());
    const { end_sessions: _, ...fields } = formOf(page, "/password/reset");
    const form = { ...fields, password: NEW_PASSWORD };
    const [cookies] = [[...browser.cookies]];
    assert.equal((await browser.post("/password/reset", form)).status, 303);
    assert.equal((await other.open("/account")).status, 200);
    for (const [name, value] of cookies) browser.cookies.set(name, value);
    gone(await browser.post("/password/reset", form));
  });

  test("an address that is none is told at its field, too many letters with the wait; both keep what was typed", async () => {
    const browser = testBrowser(mail.server);
    const page = await browser.open("/forgotten");
    const wrong = await browser.submit(page, "/forgotten", { email: "no address" });
    assert.equal(wrong.status, 422);
    assert.equal(formOf(wrong, "/forgotten").email, "no address");
    const email = "many@example.com";
    for (let i = 0; i < 5; i++)
      assert.equal((await browser.submit(page, "/forgotten", { email })).status, 303);
    const limited = await browser.submit(page, "/forgotten", { email });
    assert.equal(limited.status, 429);
    assert.match(readable(limited), /Wait 10 minutes/);
  });
});

describe("signing in by mail", () => {
  async function asked(browser: TestBrowser, email: string, returnTo = "/account?from=mail") {
    const query = new URLSearchParams({ return_to: returnTo });
    const form = await browser.open(`/sign-in/mail?${query}`);
    return browser.follow(await browser.submit(form, "/sign-in/mail", { email }));
  }

  test("the digits sign in where the letter was asked for, once, and lead on", async () => {
    const { email } = await someone();
    const browser = testBrowser(mail.server);
    assert.match((await browser.open("/sign-in")).text, /href="\/sign-in\/mail"/);
    const page = await asked(browser, email);
    const { code = "" } = await mail.letters.one();
    const wrong = await browser.submit(page, "/sign-in/mail/code", { code: otherDigits(code) });
    assert.equal(wrong.status, 401);
    const elsewhere = testBrowser(mail.server);
    const stranger = await asked(elsewhere, "nobody@example.com");
    assert.equal((await elsewhere.submit(stranger, "/sign-in/mail/code", { code })).status, 401);
    const reply = await browser.submit(wrong, "/sign-in/mail/code", { code });
    assert.equal(reply.headers.get("location"), "/account?from=mail");
    assert.equal((await browser.open("/account")).status, 200);
    assert.equal((await browser.open("/sign-in/mail/code")).headers.get("location"), "/sign-in/mail");
  });

  test("login CSRF: the link says whom it signs in and where, and signs nobody in before the button is pressed", async () => {
    const mallory = await someone();
    const { username } = await someone();
    const { letter } = await mail.signInLetter(mallory.email);
    const browser = testBrowser(mail.server);
    await browser.signIn(username);
    const page = await followed(browser, letter);
    assert.match(readable(page), new RegExp(`signs you in to Keyturn as ${mallory.username}`));
    assert.match(readable(page), new RegExp(`takes the place of ${username}`));
    assert.match(readable(await browser.open("/account")), new RegExp(username));
    const fields = formOf(page, "/sign-in/mail/link");
    const forged = await browser.post("/sign-in/mail/link", fields, { "sec-fetch-site": "cross-site" });
    assert.equal(forged.status, 403);
    assert.equal((await browser.post("/sign-in/mail/link", { form_token: "x" })).status, 403);
    const reply = await browser.submit(page, "/sign-in/mail/link");
    assert.equal(reply.headers.get("location"), "/account");
    assert.match(readable(await browser.open("/account")), new RegExp(mallory.username));
    gone(await followed(browser, letter));
  });

  test("a second factor is asked for as always", async () => {
    const { email, user } = await someone();
    const totp = await addTotp(mail.server, user);
    const { letter } = await mail.signInLetter(email);
    const browser = testBrowser(mail.server);
    const page = await followed(browser, letter);
    const reply = await browser.submit(page, "/sign-in/mail/link");
    assert.equal(reply.headers.get("location"), "/sign-in/second-factor");
    assert.equal((await browser.open("/account")).status, 303);
    mail.clock.pass(30);
    const second = await browser.follow(reply);
    await browser.submit(second, "/sign-in/second-factor", { code: await totp.code(30) });
    assert.equal((await browser.open("/account")).status, 200);
  });

  test("ASVS 3.7.2: the way on is a path of this origin, whatever the address says", async () => {
    const { email } = await someone();
    const browser = testBrowser(mail.server);
    for (const evil of [
      "https://evil.example/",
      "//evil.example",
      "/\\evil.example",
      "javascript:alert(1)",
    ]) {
      await mail.server.forgetLimits();
      const page = await asked(browser, email, evil);
      const { code = "" } = await mail.letters.one();
      const reply = await browser.submit(page, "/sign-in/mail/code", { code });
      assert.equal(reply.headers.get("location"), "/account");
    }
  });
});

describe("an address", () => {
  test("registering by the page sends a letter; its link leads through signing in, and the button confirms", async () => {
    const { letter, username, email } = await register(testBrowser(mail.server));
    const browser = testBrowser(mail.server);
    const toSignIn = await followed(browser, letter);
    assert.equal(toSignIn.headers.get("location"), "/sign-in?return_to=%2Femail%2Fconfirm");
    const form = await browser.follow(toSignIn);
    const signedIn = await browser.submit(form, "/sign-in", { username, password: PASSWORD });
    const page = await browser.follow(signedIn);
    assert.match(readable(page), new RegExp(`Is ${email} your address\\?`));
    const reply = await browser.submit(page, "/email/confirm");
    const account = readable(await browser.follow(reply));
    assert.match(account, /Your address is confirmed/);
    assert.match(account, /You confirmed your e-mail address/);
    gone(await followed(browser, letter));
  });

  test("the digits are typed on the account page; the letter can be sent again", async () => {
    const browser = testBrowser(mail.server);
    const { letter } = await register(browser);
    const account = await browser.open("/account");
    assert.match(readable(account), /is not confirmed yet/);
    const again = await browser.submit(account, "/account/email/send");
    assert.match(readable(await browser.follow(again)), /The letter is on its way/);
    const { code = "" } = await mail.letters.one();
    const wrong = await browser.submit(account, "/account/email/code", { code: otherDigits(code) });
    assert.match(readable(await browser.follow(wrong)), /not the digits of the newest letter/);
    const reply = await browser.submit(account, "/account/email/code", { code });
    assert.match(readable(await browser.follow(reply)), /Your address is confirmed/);
    assert.notEqual(letter.link, "");
  });

  test("pre-hijacking: the owner of a mailbox who follows the letter of a stranger's account confirms nothing there", async () => {
    const { letter } = await register(testBrowser(mail.server));
    const victim = await someone();
    const browser = testBrowser(mail.server);
    await browser.signIn(victim.username);
    const page = await followed(browser, letter);
    assert.equal(page.status, 403);
    assert.match(readable(page), /This link is for another account/);
    assertLacks(page.text, /action="\/email\/confirm"/);
    // The form of a page of their own, with the link set aside.
    const { form_token = "" } = formOf(await browser.open("/account/password"), "/account/password");
    const before = await mail.server.rows();
    const sentAnyway = await browser.post("/email/confirm", { form_token });
    assert.equal(sentAnyway.status, 403);
    assert.equal(await mail.server.rows(), before);
    const stranger = testBrowser(mail.server);
    await followed(stranger, letter);
    const sent = await stranger.post("/email/confirm", {});
    assert.equal(sent.headers.get("location"), "/sign-in?return_to=%2Femail%2Fconfirm");
    assert.equal(await mail.server.rows(), before);
  });

  test("another address: a recent proof first, a link to the new one, and both are shown as they are", async () => {
    const { username, email } = await someone();
    const browser = testBrowser(mail.server);
    await browser.signIn(username);
    mail.clock.pass(16 * 60);
    const first = await browser.open("/account/email");
    assert.equal(first.headers.get("location"), "/step-up?return_to=%2Faccount%2Femail");
    const proof = await browser.follow(first);
    const form = await browser.follow(await browser.submit(proof, "/step-up", { password: PASSWORD }));
    assert.match(readable(form), new RegExp(`It is ${email} now`));
    const next = `next-${email}`;
    mail.server.secrets.add(next);
    const asked = await browser.submit(form, "/account/email", { email: next });
    assert.match(readable(await browser.follow(asked)), /Nothing changes until you follow its link/);
    const page = await followed(browser, await mail.letters.one());
    assert.match(readable(page), new RegExp(`${next} becomes the address of your account`));
    const account = readable(await browser.follow(await browser.submit(page, "/email/confirm")));
    assert.match(account, /Your address is changed, and confirmed/);
    assert.match(account, new RegExp(`${next} is confirmed`));
  });

  test("a form of the change that is sent late goes through the proof again, and asks for nothing", async () => {
    const { username, email } = await someone();
    const browser = testBrowser(mail.server);
    await browser.signIn(username);
    const form = await browser.open("/account/email");
    mail.clock.pass(15 * 60 + 1);
    const reply = await browser.submit(form, "/account/email", { email: `late-${email}` });
    assert.equal(reply.headers.get("location"), "/step-up?return_to=%2Faccount%2Femail");
    assert.deepEqual(await mail.letters.waiting(), []);
  });

  test("an address that is taken while the letter is read is told so, and changes nothing", async () => {
    const { username, email } = await someone();
    const browser = testBrowser(mail.server);
    await browser.signIn(username);
    const next = `wanted-${email}`;
    await browser.submit(await browser.open("/account/email"), "/account/email", { email: next });
    const page = await followed(browser, await mail.letters.one());
    await mail.server.addUser(`quicker${++names}`, { email: next, emailVerified: true });
    const reply = await browser.submit(page, "/email/confirm");
    assert.equal(reply.status, 409);
    assert.match(readable(reply), /This address is taken/);
  });
});

test("programs that look into mailboxes: links that are followed any number of times, by HEAD too, stay good", async () => {
  const { email } = await someone();
  const letters = [(await register(testBrowser(mail.server))).letter];
  await mail.forget(email);
  letters.push(await mail.letters.one());
  letters.push((await mail.signInLetter(email)).letter);
  const before = await mail.server.rows();
  for (const { link } of letters) {
    const { pathname, search } = new URL(link);
    for (const method of ["GET", "HEAD", "GET"]) {
      const scanner = testBrowser(mail.server);
      await scanner.follow(await scanner.send(pathname + search, { method }));
    }
  }
  assert.equal(await mail.server.rows(), before);
  const browser = testBrowser(mail.server);
  assert.equal((await followed(browser, letters[1] as CodeLetterSent)).status, 200);
});

test("secrets that are none, cut, of another kind or much too long open a page that says so", async () => {
  const { email } = await someone();
  const token = await mail.resetToken(email);
  const browser = testBrowser(mail.server);
  for (const path of ["/password/reset", "/sign-in/mail/link", "/email/confirm"]) {
    const wrong = [
      "",
      "x",
      token.slice(1),
      `${token}A`,
      `"><script>alert(1)</script>`,
      "\r\nSet-Cookie: a=b",
      "x".repeat(5000),
    ];
    if (path !== "/password/reset") wrong.push(token);
    for (const one of wrong) {
      const reply = await browser.open(`${path}?${new URLSearchParams({ token: one })}`);
      assert.equal(reply.headers.get("location"), path);
      assert.equal(reply.headers.get("a"), null);
      const page = await browser.follow(reply);
      if (path === "/email/confirm") assert.ok(page.status === 303 || page.status === 403, path);
      else gone(page);
    }
    assert.equal((await browser.open(`${path}?token=a&token=b`)).status, 400);
  }
});

test("an issuer with a path: links lead below it, and cookies are those that no other host can plant", async (t) => {
  const below = await startMailServer({
    settings: { issuer: "https://example.com/auth", mail: "smtp://127.0.0.1:1" },
  });
  t.after(() => below.server.close());
  await below.addConfirmed("alice");
  await below.forget("alice@example.com");
  const letter = await below.letters.one();
  assert.equal(letter.link, `https://example.com/auth/password/reset?token=${tokenOf(letter)}`);
  const path = `/password/reset?token=${tokenOf(letter)}`;
  const reply = await below.server.call(path, { headers: { accept: "text/html" } });
  assert.equal(reply.headers.get("location"), "/auth/password/reset");
  const cookie = reply.headers.getSetCookie().find((line) => line.includes("link-reset"));
  assert.match(
    cookie ?? "",
    /^__Host-keyturn-link-reset=kml_[^;]+; Max-Age=1800; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
  );
});
