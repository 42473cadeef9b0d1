import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { limits } from "../primitives/limits.ts";
import { type MailServer, NEW_PASSWORD, PASSWORD, startMailServer, statementsOf } from "../test-mail.ts";
import { assertRefusal, exchange, type Reply } from "../test-server.ts";
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
/** A user of their own with a confirmed address. */
async function someone() {
  const username = `forgetful${++names}`;
  const email = `${username}@example.com`;
  return { username, email, user: await mail.addConfirmed(username, email) };
}

const refusedAs = { status: 403, error: "invalid_mail_code" };
const canSignIn = async (username: string, password: string) =>
  (await mail.server.call("/login", { json: { username, password } })).status === 200;

describe("a forgotten password", () => {
  test("a link to the confirmed address sets a new password, once, and ends all sessions", async () => {
    const { username, email, user } = await someone();
    const { accessToken } = await mail.server.login(username);
    const reply = await mail.forget(email.toUpperCase());
    assert.equal(reply.status, 202);
    const letter = await mail.letters.one();
    assert.equal(letter.to, email);
    assert.deepEqual([letter.username, letter.minutes, letter.code], [username, 30, undefined]);
    assert.equal((await mail.reset(tokenOf(letter))).status, 204);
    assert.equal((await mail.server.call("/me", { token: accessToken })).status, 401);
    assert.equal(await canSignIn(username, PASSWORD), false);
    assert.equal(await canSignIn(username, NEW_PASSWORD), true);
    assertRefusal(await mail.reset(tokenOf(letter), { newPassword: PASSWORD }), refusedAs);
    const events = (await mail.server.app.audit.list({ userId: user.id })).map(({ type }) => type);
    assert.ok(events.includes("email.code_made") && events.includes("password.changed"));
  });

  test("sessions stay when asked to; who has no password gets a first one", async () => {
    const { username, email } = await someone();
    const { accessToken } = await mail.server.login(username);
    const token = await mail.resetToken(email);
    assert.equal((await mail.reset(token, { endSessions: false })).status, 204);
    assert.equal((await mail.server.call("/me", { token: accessToken })).status, 200);
    const first = `first${names}`;
    await mail.server.app.users.add(
      { username: first, email: `${first}@example.com`, emailVerified: true },
      { actor: "operator" },
    );
    assert.equal((await mail.reset(await mail.resetToken(`${first}@example.com`))).status, 204);
    assert.equal(await canSignIn(first, NEW_PASSWORD), true);
  });

  test("a second factor stays, and is asked for at the next sign-in", async () => {
    const { username, email, user } = await someone();
    await addTotp(mail.server, user);
    assert.equal((await mail.reset(await mail.resetToken(email))).status, 204);
    const login = await mail.server.call("/login", { json: { username, password: NEW_PASSWORD } });
    assert.equal(login.json.error, "second_factor_required");
  });

  test("two uses of one link at once: one wins, and its password is the one", async () => {
    const { username, email } = await someone();
    const token = await mail.resetToken(email);
    const passwords = ["one long password", "two long passwords", "three long ones"];
    for (const password of passwords) mail.server.secrets.add(password);
    const replies = await Promise.all(passwords.map((newPassword) => mail.reset(token, { newPassword })));
    assert.deepEqual(replies.map(({ status }) => status).sort(), [204, 403, 403]);
    const winner = replies.findIndex(({ status }) => status === 204);
    assert.equal(await canSignIn(username, passwords[winner] ?? ""), true);
  });

  test("a link dies with the use of another, a change of the password or address, and with time", async () => {
    const { username, email, user } = await someone();
    const both = [];
    for (let i = 0; i < 2; i++) both.push(await mail.resetToken(email));
    assert.equal((await mail.reset(both[1] ?? "", { newPassword: PASSWORD })).status, 204);
    assertRefusal(await mail.reset(both[0] ?? ""), refusedAs);

    mail.clock.pass(1);
    const beforeChange = await mail.resetToken(email);
    mail.clock.pass(1);
    const { accessToken } = await mail.server.login(username);
    const change = { currentPassword: PASSWORD, newPassword: "a third long one" };
    assert.equal((await mail.server.call("/password", { token: accessToken, json: change })).status, 200);
    assertRefusal(await mail.reset(beforeChange), refusedAs);

    const beforeMove = await mail.resetToken(email);
    const moved = { email: `moved-${email}`, emailVerified: true };
    await mail.server.app.users.update(user.id, moved, { actor: "operator" });
    assertRefusal(await mail.reset(beforeMove), refusedAs);
    // Back again: what was made before stays dead.
    await mail.server.app.users.update(user.id, { email, emailVerified: true }, { actor: "operator" });
    assertRefusal(await mail.reset(beforeMove), refusedAs);

    await mail.server.forgetLimits();
    const doubted = await mail.resetToken(email);
    await mail.server.app.users.update(user.id, { emailVerified: false }, { actor: "operator" });
    assertRefusal(await mail.reset(doubted), refusedAs);
    await mail.server.app.users.update(user.id, { emailVerified: true }, { actor: "operator" });

    const old = await mail.resetToken(email);
    mail.clock.pass(30 * 60);
    assertRefusal(await mail.reset(old), refusedAs);
    assert.equal(await canSignIn(username, "a third long one"), true);
  });

  test("a mail that waited while the password was changed or the user disabled is not sent", async () => {
    const { email, user, username } = await someone();
    await mail.forget(email);
    mail.clock.pass(1);
    const changed = { password: "a fourth long one", endSessions: false };
    await mail.server.app.users.setPassword(user.id, changed, { actor: "operator" });
    assert.deepEqual(await mail.letters.deliver(), []);
    mail.clock.pass(1);
    const token = await mail.resetToken(email);
    await mail.forget(email);
    await mail.server.app.users.disable(user.id, { actor: "operator" });
    assert.deepEqual(await mail.letters.deliver(), []);
    assertRefusal(await mail.reset(token), refusedAs);
    await mail.server.app.users.enable(user.id, { actor: "operator" });
    assert.equal(await canSignIn(username, "a fourth long one"), true);
  });

  test("pre-hijacking: an address that nobody has confirmed resets no password", async () => {
    const json = { username: "hijacker", password: PASSWORD, email: "victim@example.com" };
    assert.equal((await mail.server.call("/register", { json })).status, 201);
    const [verify] = await mail.letters.deliver();
    assert.equal(verify?.kind, "verify_address");
    await mail.forget("victim@example.com");
    assert.deepEqual(await mail.letters.deliver(), []);
    assertRefusal(await mail.reset(tokenOf(verify ?? (await mail.letters.one()))), refusedAs);
  });

  test("each sending has a link of its own, and of one mail the newest counts", async () => {
    const { email } = await someone();
    await mail.forget(email);
    const [queued] = await mail.letters.waiting();
    assert.ok(queued);
    const sent = [await mail.letters.open(queued), await mail.letters.open(queued)];
    const [first, second] = sent.map((letter) => letter && tokenOf(letter));
    assert.notEqual(first, second);
    assertRefusal(await mail.reset(first ?? ""), refusedAs);
    assert.equal((await mail.reset(second ?? "")).status, 204);
  });

  test("a weak password spends nothing; a token of another kind, cut or made up opens nothing", async () => {
    const { email } = await someone();
    const token = await mail.resetToken(email);
    assertRefusal(await mail.reset(token, { newPassword: "short" }), { status: 422, error: "weak_password" });
    const signIn = await mail.signInLetter(email);
    const before = await mail.server.rows();
    const middle = token.slice(0, 20) + (token[20] === "A" ? "B" : "A") + token.slice(21);
    for (const wrong of [
      tokenOf(signIn.letter),
      token.slice(0, -1),
      `${token}A`,
      middle,
      "kml_",
      signIn.ticket,
    ]) {
      assertRefusal(await mail.reset(wrong), refusedAs);
    }
    for (const wrong of ["", "x".repeat(201), 7, [token], { token }, null]) {
      assertRefusal(
        await mail.server.call("/password/reset", { json: { token: wrong, newPassword: NEW_PASSWORD } }),
        {
          status: 400,
          error: "invalid_request",
        },
      );
    }
    assert.equal(await mail.server.rows(), before);
    assert.equal((await mail.reset(token)).status, 204);
  });
});

describe("asking for a letter", () => {
  const told = ({ status, text, headers }: Reply) => {
    const shown = [...headers].filter(([name]) => !["date", "keep-alive"].includes(name));
    return JSON.stringify([status, text, shown]);
  };

  test("the same answer and the same statements for an address that is known, unknown, unconfirmed or disabled", async () => {
    const { email } = await someone();
    const off = await someone();
    await mail.server.app.users.disable(off.user.id, { actor: "operator" });
    await mail.server.addUser("unconfirmed", { email: "unconfirmed@example.com" });
    const answers = new Set<string>();
    const work = new Set<string>();
    for (const typed of [email, "nobody@example.com", off.email, "unconfirmed@example.com"]) {
      const statements = await statementsOf(mail, async () => answers.add(told(await mail.forget(typed))));
      assert.ok(statements.some((text) => text.includes("INTO mails")));
      work.add(JSON.stringify(statements));
    }
    assert.equal(answers.size, 1);
    assert.equal(work.size, 1);
    assert.deepEqual(
      (await mail.letters.deliver()).map(({ to }) => to),
      [email],
    );
  });

  test("the limit on an address counts what was typed, and is the same for one that nobody has", async () => {
    const { email } = await someone();
    for (const address of [email, "nobody-here@example.com"]) {
      const spellings = [address, address.toUpperCase(), ` ${address} `, address, `${address} `];
      for (const typed of spellings) assert.equal((await mail.forget(typed)).status, 202);
      const refused = await mail.forget(address);
      assertRefusal(refused, { status: 429, error: "too_many_attempts" });
      assert.equal(refused.headers.get("retry-after"), "600");
      // Of whichever kind the letter is.
      assert.equal((await mail.askSignIn(address)).status, 429);
    }
    assert.equal((await mail.letters.deliver()).length, 5);
  });

  test("mail goes to the address that is stored: one that looks like it, or has more behind it, gets none", async () => {
    const { email } = await someone();
    const lookalikes = [email.replace("e", "е"), email.replace(".com", ".com.evil.example"), `x${email}`];
    for (const typed of lookalikes) assert.equal((await mail.forget(typed)).status, 202);
    assert.deepEqual(await mail.letters.deliver(), []);
    const full = email.replace("@example.com", "@ｅｘａｍｐｌｅ.com");
    assert.equal((await mail.forget(full)).status, 202);
    assert.equal((await mail.letters.one()).to, email);
  });

  test("what is no address is refused and not kept: line breaks, lists, lengths, half characters", async () => {
    const wrong: unknown[] = [
      "a@example.com\r\nBcc: b@example.com",
      "a@example.com,b@example.com",
      "a@example.com\0",
      "<a@example.com>",
      "a b@example.com",
      `${"x".repeat(65)}@example.com`,
      "x".repeat(255),
      "\ud800@example.com",
      "a",
      "",
      ["a@example.com"],
      { email: "a@example.com" },
      null,
      7,
    ];
    for (const email of wrong) {
      for (const path of ["/password/forgotten", "/login/email"]) {
        const reply = await mail.server.call(path, { json: { email } });
        assertRefusal(reply, { status: 400, error: "invalid_request" });
      }
    }
    assert.deepEqual(await mail.letters.waiting(), []);
  });

  test("no header of a request says where the link leads: it is the issuer", async () => {
    const { email } = await someone();
    await mail.server.call("/password/forgotten", {
      json: { email },
      headers: {
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        forwarded: "host=evil.example",
        "x-original-url": "https://evil.example/",
        origin: "https://evil.example",
        "accept-language": `de;q=0.9, ${"x".repeat(5000)}`,
      },
    });
    const [queued] = await mail.letters.waiting();
    assert.equal(queued?.languages?.length, limits.acceptLanguageCharactersMax);
    const body = JSON.stringify({ email });
    const raw = await exchange(
      mail.server.port,
      `POST /password/forgotten HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    assert.equal(raw.status, 202);
    const letters = await mail.letters.deliver();
    assert.equal(letters.length, 2);
    for (const letter of letters) {
      assert.equal(letter.link, `${mail.server.issuer}/password/reset?token=${tokenOf(letter)}`);
    }
  });

  test("the row of a mail holds nothing that can be presented, and codes lie there as digests", async () => {
    const { email } = await someone();
    const { letter, code, ticket } = await mail.signInLetter(email);
    const { database } = mail.server;
    const { raw } = await import("sql-template-tag");
    const rows = [
      ...(await database.all(raw("SELECT * FROM mails"))),
      ...(await database.all(raw("SELECT * FROM mail_codes"))),
    ];
    const text = rows
      .flatMap((row) => Object.values(row))
      .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value)))
      .join("\n");
    for (const secret of [tokenOf(letter), ticket, code])
      assert.ok(!text.includes(secret), "a secret is stored");
  });
});
