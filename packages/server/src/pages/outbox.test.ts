import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import type { SettingsInput } from "../config-schema.ts";
import type { Message } from "../mail/transport.ts";
import { newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { exchange, startTestServer, type TestServer } from "../test-server.ts";
import { readable, testBrowser } from "./test-browser.ts";

/** The mails of development, as a page. */

const closing: TestServer[] = [];
afterEach(async () => {
  for (const server of closing.splice(0)) await server.close();
});

async function open(settings: SettingsInput = {}) {
  const server = await startTestServer({ settings });
  closing.push(server);
  return server;
}

function mail(more: Partial<Message> = {}): Message {
  const at = Date.now();
  const link = "http://127.0.0.1:3000/reset#kmc_1";
  const text = `Hello <b>alice</b>\n\n${link}\n`;
  const html = `<!doctype html><p>Hello</p><a href="${link}">Go</a>`;
  return {
    id: newId(at),
    kind: "sign_in",
    to: "alice@example.com",
    subject: "Sign <in>",
    text,
    html,
    language: "en",
    at,
    ...more,
  };
}

const folderOf = (server: TestServer) => {
  const { outboxFolder } = server.app.mail;
  assert.ok(outboxFolder);
  return outboxFolder;
};

test("a mail of development is printed, kept, listed and shown with its link", async () => {
  const server = await open();
  const sent = mail();
  await folderOf(server).transport.deliver(sent);
  assert.match(server.mails.join(), /│ To: alice@example\.com\n.*│ Subject: Sign <in>\n/);
  assert.match(server.mails.join(), /│ http:\/\/127\.0\.0\.1:3000\/reset#kmc_1$/m);
  assert.ok(!server.lines.join().includes("kmc_"), "the log holds no link");
  const browser = testBrowser(server);
  const list = await browser.open("/outbox");
  assert.match(readable(list), /Sign <in>/);
  const page = await browser.open(`/outbox/${sent.id}`);
  assert.match(page.text, /Hello &lt;b&gt;alice/);
  assert.match(page.text, /<a href="http:\/\/127\.0\.0\.1:3000\/reset#kmc_1">/);
});

test("the HTML of a mail is shown in a sandbox, in which nothing runs and nothing is loaded", async () => {
  const server = await open();
  const sent = mail();
  await folderOf(server).transport.deliver(sent);
  const reply = await server.call(`/outbox/${sent.id}/html`);
  assert.equal(reply.text, sent.html);
  const policy = reply.headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /sandbox/);
  assert.doesNotMatch(policy, /allow-scripts|allow-same-origin|script-src/);
});

test("the newest hundred are kept; what is no mail of ours is not read", async () => {
  const server = await open();
  const folder = folderOf(server);
  for (let count = 0; count < limits.outboxMailsMax + 3; count++) {
    await folder.transport.deliver(mail({ subject: `mail ${count}` }));
  }
  writeFileSync(join(server.data, "outbox", "secret.json"), "{}");
  writeFileSync(join(server.data, "outbox", `${newId(Date.now())}.json`), "not json");
  const subjects = (await folder.list()).map(({ subject }) => subject);
  assert.equal(subjects[0], `mail ${limits.outboxMailsMax + 2}`);
  assert.ok(subjects.length <= limits.outboxMailsMax);
  assert.ok(!readdirSync(join(server.data, "outbox")).some((name) => name.endsWith(".half")));
  for (const id of ["secret", "..%2Fsecret", "%00", newId(1)]) {
    const reply = await server.callQuietly(`/outbox/${id}`);
    assert.ok(reply.status === 404 || reply.status === 400, String(reply.status));
  }
});

test("nobody but a browser on this machine, under a name of this machine, sees it", async () => {
  const server = await open({ trustedProxies: 1 });
  const sent = mail();
  await folderOf(server).transport.deliver(sent);
  const ask = (headers: string) =>
    exchange(server.port, `GET /outbox/${sent.id} HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n`);
  assert.equal((await ask(`Host: localhost:${server.port}`)).status, 200);
  for (const headers of [
    "Host: evil.example",
    "Host: localhost.evil.example",
    `Host: 127.0.0.1.evil.example:${server.port}`,
    `Host: localhost:${server.port}\r\nX-Forwarded-For: 203.0.113.7`,
    `Host: localhost:${server.port}\r\nX-Forwarded-For: 127.0.0.1`,
  ]) {
    const reply = await ask(headers);
    assert.ok(reply.status >= 400 && !reply.text.includes("kmc_"), headers);
  }
});

test("on a server with a mail server, or for the public, there is no such page", async () => {
  for (const settings of [{ mail: "smtp://127.0.0.1:1" }, { issuer: "https://login.example.com" }]) {
    const server = await open(settings);
    assert.equal((await testBrowser(server).open("/outbox")).status, 404);
    assert.equal(server.app.mail.isOn, "mail" in settings);
  }
});
