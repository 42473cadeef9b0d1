import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { afterEach, test } from "node:test";
import type { Message, Transport } from "../../packages/server/src/mail/transport.ts";
import { createTransport } from "../../packages/server/src/mail/transport.ts";
import { newId } from "../../packages/server/src/primitives/id.ts";
import { selfSigned } from "./certificate.ts";
import { type MailServerOptions, startMailServer, startOddServer } from "./mail-server.ts";

/** Handing mails in at real mail servers, good ones and others. */

const settings = { siteName: "Orchard", mailFrom: "no-reply@orchard.example" };
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function message(more: Partial<Message> = {}): Message {
  const at = 1_800_000_000_000;
  const text = "Hello alice,\n\nhttp://localhost:3000/x#secret\n";
  const html = "<p>Hello alice</p>";
  return {
    id: newId(at),
    kind: "sign_in",
    to: "alice@example.com",
    subject: "Sign in",
    text,
    html,
    language: "en",
    at,
    ...more,
  };
}

async function serve(options: MailServerOptions = {}) {
  const server = await startMailServer(options);
  closing.push(server.close);
  return server;
}

function transportTo(server: string, more: Partial<Parameters<typeof createTransport>[0]> = {}): Transport {
  const transport = createTransport({ server, settings, ...more });
  closing.push(transport.close);
  return transport;
}

test("a mail arrives with text and HTML, from and to one mailbox, and nobody's absence note answers it", async () => {
  const server = await serve();
  const sent = message();
  assert.deepEqual(await transportTo(server.url).deliver(sent), { outcome: "sent" });
  const { mail, from, to, raw } = server.only();
  assert.equal(from, "no-reply@orchard.example");
  assert.deepEqual(to, ["alice@example.com"]);
  assert.equal(mail.subject, "Sign in");
  assert.equal(mail.text?.trim(), sent.text.trim());
  assert.equal(String(mail.html).trim(), sent.html);
  assert.equal(mail.from?.text, '"Orchard" <no-reply@orchard.example>');
  assert.equal(mail.headers.get("auto-submitted"), "auto-generated");
  assert.equal(mail.messageId, `<${sent.id}@orchard.example>`);
  assert.equal(mail.date?.getTime(), sent.at);
  assert.doesNotMatch(raw, /nodemailer/i);
});

test("several mails go over few connections", async () => {
  const server = await serve();
  const transport = transportTo(server.url);
  const results = await Promise.all(Array.from({ length: 20 }, () => transport.deliver(message())));
  assert.ok(results.every(({ outcome }) => outcome === "sent"));
  assert.equal(server.received.length, 20);
});

test("smtps: a server whose certificate is trusted gets the mail over TLS", async () => {
  const certificate = selfSigned("localhost");
  const server = await serve({ secure: true, certificate });
  const url = server.url.replace("127.0.0.1", "localhost");
  const { outcome } = await transportTo(url, { authorities: certificate.cert }).deliver(message());
  assert.equal(outcome, "sent");
  assert.ok(server.only().isSecure);
});

test("smtps: a certificate that nobody trusts, or of another name, gets nothing", async () => {
  const certificate = selfSigned("elsewhere.example");
  const server = await serve({ secure: true, certificate });
  const url = server.url.replace("127.0.0.1", "localhost");
  for (const authorities of [undefined, certificate.cert]) {
    const delivered = await transportTo(url, { authorities }).deliver(message());
    assert.equal(delivered.outcome === "failed" && delivered.trouble, "tls", JSON.stringify(delivered));
  }
  assert.equal(server.received.length, 0);
});

test("smtp to another machine turns to TLS by STARTTLS", async () => {
  const certificate = selfSigned("mail.example.com");
  const server = await serve({ startTls: true, certificate });
  const transport = transportTo("smtp://mail.example.com", {
    authorities: certificate.cert,
    connect: () => connect(server.port, "127.0.0.1"),
  });
  assert.deepEqual(await transport.deliver(message()), { outcome: "sent" });
  assert.ok(server.only().isSecure);
});

test("smtp to another machine without STARTTLS, or with one that nobody trusts, gets no mail and no password", async () => {
  const login = { user: "post", password: "correct horse" };
  for (const options of [{}, { startTls: true, certificate: selfSigned("mail.example.com") }]) {
    const server = await serve({ ...options, login });
    const transport = transportTo("smtp://post:correct%20horse@mail.example.com", {
      connect: () => connect(server.port, "127.0.0.1"),
    });
    const delivered = await transport.deliver(message());
    assert.equal(delivered.outcome === "failed" && delivered.trouble, "tls", JSON.stringify(delivered));
    assert.equal(server.received.length, 0);
  }
});

test("on this machine a server may offer STARTTLS with any certificate", async () => {
  const server = await serve({ startTls: true, certificate: selfSigned("elsewhere.example") });
  assert.equal((await transportTo(server.url).deliver(message())).outcome, "sent");
});

test("user and password are decoded from the setting", async () => {
  const login = { user: "post@orchard.example", password: "p:a/s s%" };
  const server = await serve({ login });
  const url = `smtp://${encodeURIComponent(login.user)}:${encodeURIComponent(login.password)}@127.0.0.1:${server.port}`;
  assert.equal((await transportTo(url).deliver(message())).outcome, "sent");
  assert.equal(server.only().user, login.user);
});

test("a login that is refused may be mended: it is tried again", async () => {
  const server = await serve({ login: { user: "post", password: "right" } });
  const url = server.url.replace("right", "wrong");
  const delivered = await transportTo(url).deliver(message());
  assert.deepEqual({ ...delivered, said: "" }, { outcome: "failed", trouble: "login", code: 535, said: "" });
});

test("RFC 5321 §4.2.1: 5yz of recipient or mail is for good, 4yz and a refused sender are not", async () => {
  const cases = [
    [{ onRecipient: () => ({ code: 550, text: "no such mailbox" }) }, "refused", "recipient", 550],
    [{ onRecipient: () => ({ code: 450, text: "greylisted" }) }, "failed", "recipient", 450],
    [{ onMail: () => ({ code: 554, text: "spam" }) }, "refused", "message", 554],
    [{ onMail: () => ({ code: 451, text: "later" }) }, "failed", "message", 451],
    [{ onSender: () => ({ code: 553, text: "not your address" }) }, "failed", "sender", 553],
  ] as const;
  for (const [options, outcome, trouble, code] of cases) {
    const server = await serve(options);
    const delivered = await transportTo(server.url).deliver(message());
    assert.deepEqual({ ...delivered, said: "" }, { outcome, trouble, code, said: "" });
  }
});

test("a server that is not there, hangs up or has no name is told from one that refuses", async () => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as { port: number };
  free.close();
  await once(free, "close");
  const gone = await transportTo(`smtp://127.0.0.1:${port}`).deliver(message());
  assert.equal(gone.outcome === "failed" && gone.trouble, "connect", JSON.stringify(gone));
  const rude = await startOddServer((socket) => socket.destroy());
  closing.push(rude.close);
  const cut = await transportTo(rude.url).deliver(message());
  assert.equal(cut.outcome === "failed" && cut.trouble, "connect", JSON.stringify(cut));
});

test("a server that says nothing, or one byte now and then, is left after a bound", async () => {
  for (const greeting of ["", "220 odd\r\n"]) {
    const server = await startOddServer((socket) => {
      socket.write(greeting);
      const drip = setInterval(() => socket.write("2"), 10);
      socket.once("close", () => clearInterval(drip));
    });
    closing.push(server.close);
    const delivered = await transportTo(server.url, { milliseconds: 80 }).deliver(message());
    assert.equal(delivered.outcome === "failed" && delivered.trouble, "too_slow", JSON.stringify(delivered));
  }
});

test("an address that a program could take for two, or for another, is sent to nobody", async () => {
  const server = await serve();
  const transport = transportTo(server.url);
  const hostile = [
    "a@b.example,c@d.example",
    "a@b.example;c@d.example",
    "a@b.example c@d.example",
    "a@b.example\r\nBcc: c@d.example",
    "a@b.example\r\nRCPT TO:<c@d.example>",
    "a@b.example\0",
    "<a@b.example>",
    "Alice <a@b.example>",
    "a(c@d.example)@b.example",
    '"a@d.example"@b.example',
    '"a@d.example> x"@b.example',
    "a@d.example@b.example",
    "@d.example:a@b.example",
    "group:a@b.example;",
    "a@[127.0.0.1]",
    "a@b.example>",
    "a\u2028@b.example",
    "a@b\u3002example@",
    "=?utf-8?q?a=40d.example=3e?=@[b]",
    "a@",
    "@b.example",
    "",
    `${"a".repeat(65)}@b.example`,
    `a@${"b".repeat(250)}.example`,
    "\ud800@b.example",
  ];
  for (const to of hostile) {
    const delivered = await transport.deliver(message({ to }));
    assert.equal(delivered.outcome === "refused" && delivered.trouble, "address", JSON.stringify(to));
  }
  assert.equal(server.received.length, 0);
});

test("odd addresses that are one mailbox reach exactly that one", async () => {
  const server = await serve();
  const transport = transportTo(server.url);
  const odd: [string, string][] = [
    ["o'neil+tag@example.com", "o'neil+tag@example.com"],
    ["=?utf-8?q?a?=@example.com", "=?utf-8?q?a?=@example.com"],
    ["%s{}|~!#$&*/=`@example.com", "%s{}|~!#$&*/=`@example.com"],
    ["alice@bücher.example", "alice@xn--bcher-kva.example"],
    ["alice@xn--bcher-kva.example", "alice@xn--bcher-kva.example"],
    ["Alice@EXAMPLE.com", "Alice@example.com"],
    ["jürgen@example.com", "jürgen@example.com"],
  ];
  for (const [to] of odd) assert.equal((await transport.deliver(message({ to }))).outcome, "sent", to);
  assert.deepEqual(
    server.received.map(({ to }) => to.length),
    odd.map(() => 1),
  );
  const named = server.received.map(({ raw }) => /^To: (.*)\r$/m.exec(raw)?.[1]?.replace(/^<|>$/g, ""));
  assert.deepEqual(
    named,
    odd.map(([, to]) => to),
  );
});

test("nothing in a subject or a site's name becomes another header field", async () => {
  const server = await serve();
  const evil = "x\r\nBcc: eve@example.com\r\n\r\nbody\u2028\u202e";
  const transport = createTransport({ server: server.url, settings: { ...settings, siteName: evil } });
  closing.push(transport.close);
  assert.equal((await transport.deliver(message({ subject: evil }))).outcome, "sent");
  const { mail, to } = server.only();
  assert.deepEqual(to, ["alice@example.com"]);
  assert.equal(mail.headers.get("bcc"), undefined);
  assert.equal(mail.subject, "x Bcc: eve@example.com body");
  assert.equal(mail.from?.value.length, 1);
  assert.equal(mail.from?.value[0]?.address, "no-reply@orchard.example");
});
