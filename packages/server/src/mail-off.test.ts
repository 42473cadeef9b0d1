import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { onlyWithMail } from "./pages/mail-parts.ts";
import { type MailServer, startMailServer } from "./test-mail.ts";
import { assertRefusal } from "./test-server.ts";

let mail: MailServer;
before(async () => {
  // Not on this machine, and no mail server: there is nowhere to send mails to.
  mail = await startMailServer({ settings: { issuer: "https://auth.example.com" } });
});
after(() => mail.server.close());

test("where no mail is sent, every endpoint of it says so, and nothing waits to be sent", async () => {
  const { server } = mail;
  await mail.addConfirmed("alice");
  const { accessToken: token } = await server.login("alice");
  const email = "alice@example.com";
  const calls: [string, unknown][] = [
    ["/password/forgotten", { email }],
    ["/password/reset", { token: "x", newPassword: "a long enough one" }],
    ["/login/email", { email }],
    ["/login/email/confirm", { token: "x" }],
    ["/email", { email }],
    ["/email/confirm", { token: "x" }],
    ["/email/verification", undefined],
  ];
  for (const [path, json] of calls) {
    const reply = await server.call(path, { method: "POST", token, ...(json !== undefined && { json }) });
    assertRefusal(reply, { status: 501, error: "mail_off" });
  }
  assert.deepEqual(await mail.letters.waiting(), []);
});

test("nor are its pages there", () => {
  const { pages } = mail.server.app;
  const on = onlyWithMail({ isOn: true }, pages);
  assert.deepEqual(on, pages);
  for (const page of onlyWithMail({ isOn: false }, pages)) {
    assert.deepEqual(page.handle({} as never), { problem: "not_found" });
    assert.deepEqual(page.again?.({} as never), { problem: "not_found" });
  }
});
