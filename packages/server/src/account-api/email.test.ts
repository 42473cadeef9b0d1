import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { rateRules } from "../rate-limits/rules.ts";
import { browserAt } from "../test-browser.ts";
import { type MailServer, otherDigits, PASSWORD, startMailServer } from "../test-mail.ts";
import { assertRefusal, type Reply } from "../test-server.ts";
import { type CodeLetterSent, tokenOf } from "../users/mailing/test-letters.ts";

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
const refusedAs = { status: 403, error: "invalid_mail_code" };

/** Somebody who has registered, signed in, with the letter that came of it. */
async function registered() {
  const username = `person${++names}`;
  const email = `${username}@example.com`;
  const json = { username, password: PASSWORD, email };
  assert.equal((await mail.server.call("/register", { json })).status, 201);
  const letter = await mail.letters.one();
  const { accessToken, user } = await mail.server.login(username);
  return { username, email, letter, token: accessToken, id: user.id };
}

/** Somebody with a confirmed address, signed in just now. */
async function confirmed() {
  const username = `confirmed${++names}`;
  const email = `${username}@example.com`;
  const user = await mail.addConfirmed(username, email);
  const { accessToken } = await mail.server.login(username);
  return { username, email, token: accessToken, id: user.id };
}

const change = (token: string, email: unknown) => mail.server.call("/email", { token, json: { email } });
const me = async (token: string) => (await mail.server.call("/me", { token })).json;

describe("confirming an address", () => {
  test("registering sends a letter; its link, or its digits, confirm the address once", async () => {
    for (const by of ["token", "code"] as const) {
      const { email, letter, token } = await registered();
      assert.deepEqual([letter.kind, letter.to, letter.minutes], ["verify_address", email, 1440]);
      assert.match(letter.code ?? "", /^\d{6}$/);
      assert.equal((await me(token)).emailVerified, false);
      const spaced = `${letter.code?.slice(0, 3)} ${letter.code?.slice(3)}`;
      const json = by === "token" ? { token: tokenOf(letter) } : { code: spaced };
      const reply = await mail.confirm(token, json);
      assert.equal(reply.status, 200);
      assert.equal(reply.json.emailVerified, true);
      assertRefusal(await mail.confirm(token, { token: tokenOf(letter) }), refusedAs);
      assertRefusal(await mail.confirm(token, { code: letter.code }), refusedAs);
    }
  });

  test("an account without an address, or made by the operator, is sent none; nor is a refused registration", async () => {
    const register = (json: unknown) => mail.server.call("/register", { json });
    assert.equal((await register({ username: "noaddress", password: PASSWORD })).status, 201);
    await mail.server.addUser("byoperator", { email: "byoperator@example.com" });
    const taken = { username: "another", password: PASSWORD, email: "byoperator@example.com" };
    assert.equal((await register(taken)).status, 409);
    assert.deepEqual(await mail.letters.waiting(), []);
  });

  test("pre-hijacking: whoever gets the letter of another's account cannot confirm it, and leaves it good", async () => {
    const attacker = await registered();
    const victim = await confirmed();
    const link = tokenOf(attacker.letter);
    assertRefusal(await mail.confirm(victim.token, { token: link }), refusedAs);
    assertRefusal(await mail.confirm(victim.token, { code: attacker.letter.code }), refusedAs);
    // Without being signed in at all.
    const stranger = await mail.server.call("/email/confirm", { json: { token: link } });
    assert.equal(stranger.status, 401);
    assert.equal((await me(attacker.token)).emailVerified, false);
    assert.equal((await mail.confirm(attacker.token, { token: link })).status, 200);
  });

  test("guesses at the digits: five a letter and no more, of any number at once; the link stays good", async () => {
    const { letter, token } = await registered();
    const wrong = otherDigits(letter.code ?? "");
    const replies = await Promise.all(Array.from({ length: 12 }, () => mail.confirm(token, { code: wrong })));
    for (const reply of replies) assertRefusal(reply, refusedAs);
    assertRefusal(await mail.confirm(token, { code: letter.code }), refusedAs);
    assert.equal((await mail.confirm(token, { token: tokenOf(letter) })).status, 200);
  });

  test("guesses over many letters meet the limit on the address, with the wait told", async () => {
    const { letter, token, email, id } = await registered();
    let last: Reply | undefined;
    let current = letter;
    for (let letters = 0; letters < 8 && last?.status !== 429; letters++) {
      for (let i = 0; i < 5; i++) last = await mail.confirm(token, { code: otherDigits(current.code ?? "") });
      await mail.server.call("/email/verification", { token, method: "POST" });
      current = await mail.letters.one();
      // Not the limits that are asked about.
      await mail.server.app.rateLimits.refund([
        { rule: rateRules.mailToAddress, subject: email },
        { rule: rateRules.mailOfAccount, subject: id },
      ]);
    }
    assert.equal(last?.status, 429, last?.text);
    assert.ok(Number(last?.headers.get("retry-after")) > 0);
  });

  test("once more: the newest digits count, both links do, and a confirmed address is sent none", async () => {
    const { letter, token } = await registered();
    assert.equal((await mail.server.call("/email/verification", { token, method: "POST" })).status, 202);
    const second = await mail.letters.one();
    if (letter.code !== second.code) {
      assertRefusal(await mail.confirm(token, { code: letter.code }), refusedAs);
    }
    assert.equal((await mail.confirm(token, { token: tokenOf(letter) })).status, 200);
    assertRefusal(await mail.confirm(token, { token: tokenOf(second) }), refusedAs);
    assert.equal((await mail.server.call("/email/verification", { token, method: "POST" })).status, 202);
    assert.deepEqual(await mail.letters.waiting(), []);
  });

  test("a link dies when the address changes, and after a day; a new password leaves it good", async () => {
    const { letter, token, id, username } = await registered();
    const email = `elsewhere-${username}@example.com`;
    await mail.server.app.users.update(id, { email }, { actor: "operator" });
    assertRefusal(await mail.confirm(token, { token: tokenOf(letter) }), refusedAs);

    const other = await registered();
    mail.clock.pass(1);
    const json = { currentPassword: PASSWORD, newPassword: "a new long password" };
    assert.equal((await mail.server.call("/password", { token: other.token, json })).status, 200);
    assert.equal((await mail.confirm(other.token, { token: tokenOf(other.letter) })).status, 200);

    const late = await registered();
    mail.clock.pass(24 * 3600);
    const { accessToken } = await mail.server.login(late.username);
    assertRefusal(await mail.confirm(accessToken, { token: tokenOf(late.letter) }), refusedAs);
  });

  test("two confirmations at once: one wins", async () => {
    const { letter, token } = await registered();
    const replies = await Promise.all(
      Array.from({ length: 4 }, () => mail.confirm(token, { token: tokenOf(letter) })),
    );
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 403, 403, 403]);
  });

  test("bodies that are neither a link nor digits are refused, and change nothing", async () => {
    const { letter, token } = await registered();
    const before = await mail.server.rows();
    const { code } = letter;
    for (const json of [{}, { token: tokenOf(letter), code }, { code: [code] }, { code: "" }, { token: 7 }]) {
      assertRefusal(await mail.confirm(token, json), { status: 400, error: "invalid_request" });
    }
    for (const odd of ["١٢٣٤٥٦", "12345６", "1e5", "-12345", "0x1234", `${code}0`, `+${code}`]) {
      assertRefusal(await mail.confirm(token, { code: odd }), refusedAs);
    }
    assert.equal(await mail.server.rows(), before);
  });
});

describe("another address", () => {
  test("a link to the new one, a word to the old one; then it is changed, confirmed, and both are told", async () => {
    const { email, token, id } = await confirmed();
    const next = `next-${email}`;
    assert.equal((await change(token, next)).status, 202);
    const asked = await mail.letters.waiting();
    const told = asked.map(({ kind, address }) => [kind, address]);
    assert.deepEqual(told, [
      ["change_address", next],
      ["address_change_asked", email],
    ]);
    const letter = await mail.letters.one();
    assert.deepEqual([letter.kind, letter.to, letter.code], ["change_address", next, undefined]);
    assert.equal((await me(token)).email, email);
    const reply = await mail.confirm(token, { token: tokenOf(letter) });
    assert.deepEqual([reply.json.email, reply.json.emailVerified], [next, true]);
    const notices = (await mail.letters.waiting()).map(({ kind, address }) => [kind, address]);
    assert.deepEqual(notices, [
      ["address_changed", email],
      ["address_changed", next],
    ]);
    const events = await mail.server.app.audit.list({ userId: id });
    const types = events.map(({ type }) => type);
    assert.ok(types.includes("email.change_asked") && types.includes("email.changed"));
    assert.ok(!JSON.stringify(events).includes("@example.com"));
    assertRefusal(await mail.confirm(token, { token: tokenOf(letter) }), refusedAs);
  });

  test("who has none adds one; a changed password ends the link", async () => {
    const username = `bare${++names}`;
    await mail.server.addUser(username);
    const { accessToken: token } = await mail.server.login(username);
    assert.equal((await change(token, `${username}@example.com`)).status, 202);
    const letter = await mail.letters.one();
    mail.clock.pass(1);
    const json = { currentPassword: PASSWORD, newPassword: "a new long password" };
    assert.equal((await mail.server.call("/password", { token, json })).status, 200);
    assertRefusal(await mail.confirm(token, { token: tokenOf(letter) }), refusedAs);
    mail.clock.pass(1);
    await change(token, `${username}@example.com`);
    assert.equal((await mail.confirm(token, { token: tokenOf(await mail.letters.one()) })).status, 200);
  });

  test("RFC 9470: an old proof is not enough to move the address", async () => {
    const { username, email } = await confirmed();
    const browser = browserAt(mail.server);
    await browser.signIn(username);
    mail.clock.pass(15 * 60 + 1);
    const before = await mail.letters.waiting();
    const reply = await browser.call("/email", { json: { email: `x-${email}` } });
    assertRefusal(reply, { status: 403, error: "step_up_required" });
    assert.deepEqual(await mail.letters.waiting(), before);
  });

  test("asking for an address that somebody has is answered alike, and no letter is made", async () => {
    const { email, token } = await confirmed();
    const other = await confirmed();
    const free = await change(token, `free-${email}`);
    const taken = await change(token, other.email.toUpperCase());
    assert.deepEqual([taken.status, taken.text], [free.status, free.text]);
    const letters = await mail.letters.deliver();
    assert.deepEqual(
      letters.map(({ to }) => to),
      [`free-${email}`],
    );
  });

  test("an address that is taken meanwhile: a clear answer, and nothing is changed half", async () => {
    const { email, token } = await confirmed();
    await change(token, `wanted-${email}`);
    const letter = await mail.letters.one();
    const holder = await mail.server.addUser(`holder${++names}`, {
      email: `wanted-${email}`,
      emailVerified: true,
    });
    const before = await mail.server.rows();
    const reply = await mail.confirm(token, { token: tokenOf(letter) });
    assertRefusal(reply, { status: 409, error: "email_taken" });
    assert.equal(await mail.server.rows(), before);
    assert.deepEqual(await mail.letters.waiting(), []);
    await mail.server.app.users.remove(holder.id, { actor: "operator" });
    assert.equal((await mail.confirm(token, { token: tokenOf(letter) })).status, 200);
  });

  test("pre-hijacking: who reads the mailbox gets the address that a stranger has written and never confirmed", async () => {
    const squatter = await registered();
    const owner = await confirmed();
    await change(owner.token, squatter.email);
    const letter = await mail.letters.one();
    assert.equal(letter.to, squatter.email);
    assert.equal((await mail.confirm(owner.token, { token: tokenOf(letter) })).status, 200);
    assert.equal((await me(squatter.token)).email, undefined);
    assertRefusal(await mail.confirm(squatter.token, { token: tokenOf(squatter.letter) }), refusedAs);
    const events = await mail.server.app.audit.list({ userId: squatter.id });
    assert.equal(events[0]?.type, "email.released");
    // Of the two the first one to confirm has it.
    const other = await registered();
    await change(owner.token, other.email);
    const late = await mail.letters.one();
    assert.equal((await mail.confirm(other.token, { token: tokenOf(other.letter) })).status, 200);
    const reply = await mail.confirm(owner.token, { token: tokenOf(late) });
    assertRefusal(reply, { status: 409, error: "email_taken" });
    assert.equal((await me(other.token)).emailVerified, true);
  });

  test("of two accounts that confirm one address at once, one has it", async () => {
    const people = [await confirmed(), await confirmed()];
    const letters: CodeLetterSent[] = [];
    for (const { token } of people) {
      await change(token, `shared${names}@example.com`);
      letters.push(await mail.letters.one());
    }
    const replies = await Promise.all(
      people.map(({ token }, index) => {
        const letter = letters[index];
        assert.ok(letter);
        return mail.confirm(token, { token: tokenOf(letter) });
      }),
    );
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 409]);
  });

  test("what went to the old address opens nothing once it is changed; another account cannot use the link", async () => {
    const { email, token } = await confirmed();
    const stranger = await confirmed();
    const reset = await mail.resetToken(email);
    const signIn = await mail.signInLetter(email);
    await change(token, `new-${email}`);
    const letter = await mail.letters.one();
    await change(token, `newer-${email}`);
    const other = await mail.letters.one();
    assertRefusal(await mail.confirm(stranger.token, { token: tokenOf(letter) }), refusedAs);
    assert.equal((await mail.confirm(token, { token: tokenOf(letter) })).status, 200);
    assertRefusal(await mail.reset(reset), refusedAs);
    assertRefusal(await mail.confirmSignIn({ token: tokenOf(signIn.letter) }), refusedAs);
    assertRefusal(await mail.confirmSignIn({ ticket: signIn.ticket, code: signIn.code }), refusedAs);
    assertRefusal(await mail.confirm(token, { token: tokenOf(other) }), refusedAs);
  });

  test("the address that it is already: nothing happens; one that is not confirmed yet is asked to confirm", async () => {
    const done = await confirmed();
    assert.equal((await change(done.token, done.email.toUpperCase())).status, 202);
    assert.deepEqual(await mail.letters.waiting(), []);
    const open = await registered();
    assert.equal((await change(open.token, open.email)).status, 202);
    assert.equal((await mail.letters.one()).kind, "verify_address");
  });

  test("a letter that waited while the user was disabled, or while the address was confirmed, is not sent", async () => {
    const { email, token, id } = await confirmed();
    await change(token, `late-${email}`);
    await mail.server.app.users.disable(id, { actor: "operator" });
    assert.deepEqual(await mail.letters.deliver(), []);
    const open = await registered();
    await mail.server.call("/email/verification", { token: open.token, method: "POST" });
    assert.equal((await mail.confirm(open.token, { token: tokenOf(open.letter) })).status, 200);
    assert.deepEqual(await mail.letters.deliver(), []);
  });

  test("one account cannot fill other people's mailboxes: ten letters, then one more every ten minutes", async () => {
    const { email, token } = await confirmed();
    for (let i = 0; i < 10; i++) assert.equal((await change(token, `${i}-${email}`)).status, 202);
    const refused = await change(token, `10-${email}`);
    assertRefusal(refused, { status: 429, error: "too_many_attempts" });
  });
});
