import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { runCommand } from "../../packages/server/src/cli/test-command.ts";
import { type MailServerOptions, startMailServer } from "./mail-server.ts";

/** `keyturn mail test` and what the doctor says of mail. No database is asked. */

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(options: MailServerOptions = {}) {
  const server = await startMailServer(options);
  closing.push(server.close);
  return server;
}

function place(settings: object, hooks = "") {
  const folder = mkdtempSync(path.join(tmpdir(), "keyturn-mail-"));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const config = path.join(folder, `keyturn.config.${hooks === "" ? "json" : "ts"}`);
  const data = path.join(folder, "data");
  const written = JSON.stringify({ issuer: "https://login.example.com", data, ...settings });
  writeFileSync(
    config,
    hooks === "" ? written : `export default ${written};\nexport const hooks = ${hooks};\n`,
  );
  return { data, run: (...args: string[]) => runCommand([...args, "--config", config]) };
}

test("mail test: sends with the settings as they are, and says who took it", async () => {
  const server = await serve({ login: { user: "post", password: "correct-horse" } });
  const ran = await place({ mail: server.url, mailLanguage: "de" }).run("mail", "test", "you@example.com");
  assert.equal(ran.exitCode, 0, ran.stderr);
  assert.match(ran.stdout, /127\.0\.0\.1 has taken the mail, from no-reply@login\.example\.com/);
  const { mail, to } = server.only();
  assert.deepEqual(to, ["you@example.com"]);
  assert.equal(mail.subject, "Eine Testmail von Keyturn");
});

test("mail test: says plainly where it failed, with exit code 1 and never with the password", async () => {
  const login = { user: "post", password: "correct-horse" };
  const cases: [MailServerOptions, string, string, RegExp][] = [
    [{ login }, "correct-horse", "mail_login", /did not accept user and password/],
    [
      { onSender: () => ({ code: 553, text: "not yours" }) },
      "",
      "mail_sender",
      /set KEYTURN_MAIL_FROM.*not yours/,
    ],
    [{ onRecipient: () => ({ code: 550, text: "nobody" }) }, "", "mail_recipient", /to this address.*nobody/],
    [{ onMail: () => ({ code: 554, text: "spam" }) }, "", "mail_message", /refused the mail.*spam/],
  ];
  for (const [options, right, error, expected] of cases) {
    const server = await serve(options);
    const mail = right === "" ? server.url : server.url.replace(right, "wrong-horse");
    const ran = await place({ mail }).run("mail", "test", "you@example.com");
    assert.equal(ran.exitCode, 1);
    assert.match(ran.stderr, expected);
    assert.doesNotMatch(ran.stderr, /horse/);
    const asJson = await place({ mail }).run("mail", "test", "you@example.com", "--json");
    assert.equal(JSON.parse(asJson.stderr).error, error);
  }
  const nobody = await place({ mail: "smtp://127.0.0.1:1" }).run("mail", "test", "you@example.com");
  assert.match(nobody.stderr, /did not take the connection/);
  const list = await place({ mail: "smtp://127.0.0.1:1" }).run("mail", "test", "a@b.example,c@d.example");
  assert.match(list.stderr, /not one e-mail address/);
});

test("mail test: without a mail server it says so; in development the mail is printed and kept", async () => {
  const off = await place({}).run("mail", "test", "you@example.com");
  assert.equal(off.exitCode, 1);
  assert.match(off.stderr, /Mail is off: set KEYTURN_MAIL/);
  const { data, run } = place({ issuer: "http://localhost:3000" });
  const development = await run("mail", "test", "you@example.com");
  assert.equal(development.exitCode, 0, development.stderr);
  assert.match(development.stderr, /│ To: you@example\.com/);
  assert.match(development.stdout, /http:\/\/localhost:3000\/outbox/);
  assert.equal(readdirSync(path.join(data, "outbox")).length, 1);
});

test("the hook mailTexts gives words; wrong ones stop the start with a line that names them", async () => {
  const server = await serve();
  const words = `{ mailTexts: () => ({ en: { "test.subject": "Hello from {site}" } }) }`;
  const ran = await place({ mail: server.url }, words).run("mail", "test", "you@example.com");
  assert.equal(ran.exitCode, 0, ran.stderr);
  assert.equal(server.only().mail.subject, "Hello from Keyturn");
  const wrong: [string, RegExp][] = [
    ["{ mailTexts: {} }", /The hook mailTexts takes a function/],
    ["{ mailTexts: () => { throw new Error('no file'); } }", /The hook mailTexts throws: no file/],
    ["{ mailTexts: async () => ({}) }", /The hook mailTexts must give an object of languages/],
    [`{ mailTexts: () => ({ en: { "test.subject": "{secret}" } }) }`, /en: test\.subject with \{secret\}/],
  ];
  for (const [hooks, expected] of wrong) {
    const { exitCode, stderr } = await place({ mail: server.url }, hooks).run(
      "mail",
      "test",
      "you@example.com",
    );
    assert.equal(exitCode, 2);
    assert.match(stderr, expected);
  }
});

test("doctor: says what becomes of mails", async () => {
  const cases: [object, RegExp][] = [
    [{}, /warn {2}mail: mail is off/],
    [{ issuer: "http://localhost:3000" }, /ok {4}mail: mails are printed and kept/],
    [
      { mail: "smtp://post:correct-horse@mail.example.com" },
      /ok {4}mail: mails go to mail\.example\.com over TLS/,
    ],
  ];
  for (const [settings, expected] of cases) {
    const ran = await place(settings).run("doctor");
    assert.match(ran.stdout, expected);
    assert.doesNotMatch(ran.stdout, /correct-horse/);
  }
});

test("a wrong mail setting stops the start with a line that never shows it", async () => {
  const wrong = [
    "mail.example.com",
    "http://mail.example.com",
    "smtp://",
    "smtp://user@mail.example.com",
    "smtp://user:correct%ZZhorse@mail.example.com",
    "smtp://user:correct%0Ahorse@mail.example.com",
    "smtp://mail.example.com/path",
    "smtp://mail.example.com?tls=no",
    `smtp://${"a".repeat(2000)}.example`,
  ];
  for (const mail of wrong) {
    const ran = await place({ mail }).run("mail", "test", "you@example.com");
    assert.equal(ran.exitCode, 2, mail);
    assert.match(ran.stderr, /mail is a wrong value \(not shown\); it takes smtps:/);
  }
  for (const settings of [{ mailFrom: "Orchard <a@b.example>" }, { mailFrom: "a@b.example,c@d.example" }]) {
    const ran = await place(settings).run("mail", "test", "you@example.com");
    assert.match(ran.stderr, /mailFrom is .*; it takes one e-mail address/);
  }
  const language = await place({ mailLanguage: "fr" }).run("mail", "test", "you@example.com");
  assert.match(language.stderr, /mailLanguage is "fr"; there is en, de/);
});
