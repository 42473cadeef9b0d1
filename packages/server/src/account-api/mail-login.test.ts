import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { rateRules } from "../rate-limits/rules.ts";
import { browserAt } from "../test-browser.ts";
import { type MailServer, otherDigits, PASSWORD, startMailServer, statementsOf } from "../test-mail.ts";
import { assertRefusal, type Reply } from "../test-server.ts";
import { addTotp } from "../users/factors/test-factors.ts";
import { tokenOf } from "../users/mailing/test-letters.ts";

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
  const username = `reader${++names}`;
  const email = `${username}@example.com`;
  return { username, email, user: await mail.addConfirmed(username, email) };
}

const refusedAs = { status: 403, error: "invalid_mail_code" };

describe("signing in by mail", () => {
  test("digits with the ticket, or the link alone, are answered as POST /login, with amr otp", async () => {
    const { username, email } = await someone();
    const known = Object.keys((await mail.server.login(username)) as object).sort();
    for (const by of ["code", "token"]) {
      const { letter, ticket, code } = await mail.signInLetter(email);
      assert.equal(letter.minutes, 10);
      const json = by === "code" ? { ticket, code } : { token: tokenOf(letter) };
      const reply = await mail.confirmSignIn({ ...json, device: "Reader" });
      assert.equal(reply.status, 200, reply.text);
      assert.deepEqual(Object.keys(reply.json).sort(), known);
      const { decodeJwt } = await import("jose");
      assert.deepEqual(decodeJwt(String(reply.json.idToken)).amr, ["otp"]);
      for (const again of [{ ticket, code }, { token: tokenOf(letter) }]) {
        assertRefusal(await mail.confirmSignIn(again), refusedAs);
      }
    }
  });

  test("with mode cookie a browser is signed in, in place of who it was; another site cannot do it", async () => {
    const { email, user } = await someone();
    const { letter } = await mail.signInLetter(email);
    const browser = browserAt(mail.server);
    const json = { token: tokenOf(letter), mode: "cookie" };
    const cross = await mail.confirmSignIn(json, { "sec-fetch-site": "cross-site" });
    assertRefusal(cross, { status: 403, error: "cross_site_request" });
    const reply = await browser.call("/login/email/confirm", { json });
    assert.equal((reply.json.user as { id: string }).id, user.id);
    assert.equal((await browser.session()).status, 200);
  });

  test("a second factor is asked for, and its ticket is worth one sign-in, of any number of uses at once", async () => {
    const { email, user } = await someone();
    const totp = await addTotp(mail.server, user);
    const { letter } = await mail.signInLetter(email);
    const replies = await Promise.all(
      Array.from({ length: 6 }, () => mail.confirmSignIn({ token: tokenOf(letter) })),
    );
    const second = replies.filter(({ json }) => json.error === "second_factor_required");
    assert.equal(second.length, 1);
    assert.equal(replies.filter(({ json }) => json.error === "invalid_mail_code").length, 5);
    mail.clock.pass(30);
    const { ticket } = second[0]?.json ?? {};
    const done = await mail.server.call("/login/second-factor", {
      json: { ticket, code: await totp.code(30) },
    });
    assert.equal(done.status, 200, done.text);
  });

  test("of any number of uses at once, by link and by digits, one signs in", async () => {
    const { email, username } = await someone();
    const { letter, ticket, code } = await mail.signInLetter(email);
    const uses = [{ token: tokenOf(letter) }, { ticket, code }, { token: tokenOf(letter) }, { ticket, code }];
    const replies = await Promise.all(uses.map((json) => mail.confirmSignIn(json)));
    assert.equal(replies.filter(({ status }) => status === 200).length, 1, username);
  });

  test("the digits are worth nothing without the ticket of the very asker", async () => {
    const { email } = await someone();
    const mine = await mail.signInLetter(email);
    const attacker = await mail.signInLetter(email);
    assertRefusal(await mail.confirmSignIn({ ticket: attacker.ticket, code: mine.code }), refusedAs);
    const { ticket } = mine;
    const forged = [
      ticket.slice(0, -1),
      `${ticket}A`,
      ticket.slice(0, 20) + (ticket[20] === "A" ? "B" : "A") + ticket.slice(21),
      ticket.slice(0, -3) + (ticket.at(-3) === "A" ? "B" : "A") + ticket.slice(-2),
      "kmt_",
      tokenOf(mine.letter),
      "x".repeat(200),
    ];
    for (const one of forged)
      assertRefusal(await mail.confirmSignIn({ ticket: one, code: mine.code }), refusedAs);
    assert.equal((await mail.confirmSignIn({ ticket, code: mine.code })).status, 200);
  });

  test("five guesses a letter, of any number at once, for an address that is known or not alike", async () => {
    const { email } = await someone();
    const { ticket, code } = await mail.signInLetter(email);
    const nobody = String((await mail.askSignIn("nobody@example.com")).json.ticket);
    const seen: Reply[][] = [];
    for (const [one, typed] of [
      [ticket, otherDigits(code)],
      [nobody, "123456"],
    ]) {
      const json = { ticket: one, code: typed };
      seen.push(await Promise.all(Array.from({ length: 10 }, () => mail.confirmSignIn(json))));
    }
    const told = seen.map((replies) => new Set(replies.map(({ status, text }) => `${status} ${text}`)));
    assert.equal(told[0]?.size, 1);
    assert.deepEqual(told[0], told[1]);
    // The sixth was right.
    assertRefusal(await mail.confirmSignIn({ ticket, code }), refusedAs);
  });

  test("guesses over many letters meet one limit on the address, known or not, before anybody looks", async () => {
    const { email } = await someone();
    for (const address of [email, "nobody-at-all@example.com"]) {
      let guesses = 0;
      let reply: Reply | undefined;
      while (reply?.status !== 429 && guesses < 60) {
        const { ticket } = (await mail.askSignIn(address)).json;
        await mail.letters.deliver();
        // Not the limit that is asked about.
        await mail.server.app.rateLimits.refund([{ rule: rateRules.mailToAddress, subject: address }]);
        for (let i = 0; i < 5 && reply?.status !== 429; i++, guesses++) {
          reply = await mail.confirmSignIn({ ticket, code: "000000" });
        }
      }
      assert.equal(reply?.status, 429, `${guesses} guesses`);
      assert.equal(guesses, 31);
      await mail.server.forgetLimits();
    }
  });

  test("asking and guessing make the same statements for an address that nobody has", async () => {
    const { email } = await someone();
    const work = [];
    for (const address of [email, "still-nobody@example.com"]) {
      work.push(
        await statementsOf(mail, async () => {
          const { ticket } = (await mail.askSignIn(address)).json;
          await mail.confirmSignIn({ ticket, code: "000000" });
        }),
      );
    }
    assert.ok((work[0]?.length ?? 0) > 4);
    assert.deepEqual(work[0], work[1]);
    const shapes = [];
    for (const address of [email, "still-nobody@example.com"]) {
      const { status, json, headers } = await mail.askSignIn(address);
      shapes.push([
        status,
        Object.keys(json),
        String(json.ticket).length,
        json.expiresIn,
        headers.get("content-length"),
      ]);
    }
    assert.deepEqual(shapes[0], shapes[1]);
  });

  test("an address that is not confirmed, a disabled user and one who is gone sign nobody in", async () => {
    await mail.server.addUser("unproven", { email: "unproven@example.com" });
    await mail.askSignIn("unproven@example.com");
    assert.deepEqual(await mail.letters.deliver(), []);
    const { email, user } = await someone();
    const { letter, ticket, code } = await mail.signInLetter(email);
    await mail.server.app.users.disable(user.id, { actor: "operator" });
    for (const json of [{ token: tokenOf(letter) }, { ticket, code }]) {
      assertRefusal(await mail.confirmSignIn(json), refusedAs);
    }
    await mail.server.app.users.remove(user.id, { actor: "operator" });
    assertRefusal(await mail.confirmSignIn({ token: tokenOf(letter) }), refusedAs);
  });

  test("it is over after ten minutes, with a new password, and when another one was used", async () => {
    const { email, user } = await someone();
    const late = await mail.signInLetter(email);
    mail.clock.pass(600);
    assertRefusal(await mail.confirmSignIn({ token: tokenOf(late.letter) }), refusedAs);
    assertRefusal(await mail.confirmSignIn({ ticket: late.ticket, code: late.code }), refusedAs);
    const before = await mail.signInLetter(email);
    mail.clock.pass(1);
    await mail.server.app.users.setPassword(
      user.id,
      { password: PASSWORD, endSessions: true },
      { actor: "operator" },
    );
    assertRefusal(await mail.confirmSignIn({ token: tokenOf(before.letter) }), refusedAs);
    mail.clock.pass(1);
    const [one, other] = [await mail.signInLetter(email), await mail.signInLetter(email)];
    assert.equal((await mail.confirmSignIn({ token: tokenOf(other.letter) })).status, 200);
    assertRefusal(await mail.confirmSignIn({ token: tokenOf(one.letter) }), refusedAs);
  });

  test("a link of another kind signs nobody in, and one to sign in confirms and resets nothing", async () => {
    const { email, username } = await someone();
    const reset = await mail.resetToken(email);
    assertRefusal(await mail.confirmSignIn({ token: reset }), refusedAs);
    const { letter } = await mail.signInLetter(email);
    const { accessToken } = await mail.server.login(username);
    assertRefusal(await mail.confirm(accessToken, { token: tokenOf(letter) }), refusedAs);
    assert.equal((await mail.confirmSignIn({ token: tokenOf(letter) })).status, 200);
  });

  test("bodies that are neither are refused", async () => {
    const { email } = await someone();
    const { letter, ticket, code } = await mail.signInLetter(email);
    const token = tokenOf(letter);
    const wrong = [
      {},
      { ticket },
      { code },
      { token, ticket },
      { token, code },
      { token: [token] },
      { ticket, code: 7 },
    ];
    for (const json of wrong) {
      assertRefusal(await mail.confirmSignIn(json as never), { status: 400, error: "invalid_request" });
    }
  });

  test("what is past is deleted", async () => {
    const { email } = await someone();
    await mail.signInLetter(email);
    mail.clock.pass(25 * 3600);
    await mail.server.app.mailing.deletePast();
    assert.equal(await mail.server.countRows("mail_codes"), 0);
  });
});
