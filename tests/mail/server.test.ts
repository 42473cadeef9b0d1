import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { SettingsInput } from "../../packages/server/src/config-schema.ts";
import { startTestServer, stoppedClock } from "../../packages/server/src/test-server.ts";
import { type MailServerOptions, startMailServer } from "./mail-server.ts";

/** A whole server with a real mail server. */

const operator = { actor: "operator" } as const;
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(options: MailServerOptions = {}, settings: SettingsInput = {}) {
  const mailServer = await startMailServer(options);
  closing.push(mailServer.close);
  const clock = stoppedClock();
  const server = await startTestServer({
    clock,
    settings: { mail: mailServer.url, siteName: "Orchard", ...settings },
  });
  closing.push(server.close);
  const user = await server.addUser("alice", { email: "alice@example.com", emailVerified: true });
  const { notices, outbox } = server.app.mail;
  await notices.tell();
  /** What a server does by itself in a minute. */
  async function minute(): Promise<void> {
    clock.pass(61);
    await notices.tell();
    await outbox.sendDue();
  }
  const changePassword = () => {
    server.secrets.add("another horse battery");
    return server.app.users.setPassword(
      user.id,
      { password: "another horse battery", endSessions: false },
      operator,
    );
  };
  return { server, mailServer, user, minute, changePassword };
}

test("what the operator does at the terminal is told to its owner, in the language of the settings", async () => {
  const { mailServer, minute, changePassword, server } = await open(
    {},
    { mailLanguage: "de", mailFrom: "login@orchard.example" },
  );
  await changePassword();
  await minute();
  const { mail, to, from } = mailServer.only();
  assert.deepEqual(to, ["alice@example.com"]);
  assert.equal(from, "login@orchard.example");
  assert.equal(mail.subject, "Ihr Passwort bei Orchard wurde geändert");
  assert.match(mail.text ?? "", /Guten Tag alice,/);
  assert.match(String(mail.html), /<html lang="de">/);
  assert.equal(mail.headers.get("content-language"), "de");
  assert.deepEqual(server.mails, [], "nothing is printed where there is a mail server");
});

test("a mail that failed for good is in the audit log of its user, with a code and no address", async () => {
  const refuse = () => ({ code: 550, text: "no alice@example.com here" });
  const { server, user, minute, changePassword } = await open({ onRecipient: refuse });
  await changePassword();
  await minute();
  const [event] = await server.app.audit.list({ userId: user.id });
  assert.equal(event?.type, "mail.failed");
  assert.equal(event?.actor, "system");
  assert.deepEqual(event?.detail, { kind: "password_changed", reason: "recipient", code: 550 });
});

test("while the mail server is away nothing is lost, and the log names nobody", async () => {
  let isAway = true;
  const { server, mailServer, minute, changePassword } = await open({
    onSender: () => (isAway ? { code: 451, text: "away, alice@example.com" } : undefined),
  });
  await changePassword();
  await minute();
  assert.equal(mailServer.received.length, 0);
  isAway = false;
  await minute();
  assert.equal(mailServer.received.length, 1);
  const log = server.lines.join();
  assert.match(log, /A mail could not be sent; it is tried again/);
  assert.ok(!log.includes("alice@example.com"));
});
