import assert from "node:assert/strict";
import { test } from "node:test";
import { createLetters } from "../../packages/server/src/mail/letters.ts";
import { mailTextsWith } from "../../packages/server/src/mail/texts.ts";
import { newId } from "../../packages/server/src/primitives/id.ts";
import { accessibilityProblems, networkErrors, overflowsSideways, useBrowser } from "./browser.ts";
import { openBareServer } from "./house.ts";

/** Mails of development as somebody who works on an application reads them. */

const browser = useBrowser();

test("a developer finds a mail, reads it as text and as HTML, and follows its link", async (t) => {
  const server = await openBareServer(t);
  const { outboxFolder } = server.app.mail;
  assert.ok(outboxFolder);
  const languages = mailTextsWith({}, "en");
  const letters = createLetters({ settings: server.app.settings, languages, now: () => Date.now() });
  const link = `${server.issuer}/sign-in#kmc_${"x".repeat(43)}`;
  const letter = {
    kind: "sign_in",
    to: "alice@example.com",
    username: "alice",
    link,
    code: "123456",
    minutes: 10,
  } as const;
  const message = letters.write(letter, { id: newId(Date.now()), languages: "en" });
  await outboxFolder.transport.deliver(message);
  for (const look of [
    { colorScheme: "light", width: 1280 },
    { colorScheme: "dark", width: 320 },
  ] as const) {
    const { width, colorScheme } = look;
    const visit = await browser.visit(t, {
      colorScheme,
      viewport: { width, height: 700 },
      expected: [networkErrors],
    });
    const page = await visit.context.newPage();
    await page.goto(`${server.url}/outbox`);
    const check = async (moment: string) => {
      assert.deepEqual(await accessibilityProblems(page), [], `${moment} ${colorScheme}`);
      assert.equal(await overflowsSideways(page), false, `${moment} ${width}`);
      await visit.screenshot(page, `mail ${moment} ${colorScheme}`);
    };
    await check("list");
    await page.getByRole("link", { name: "Sign in to Keyturn" }).click();
    await check("text");
    await page.getByRole("link", { name: "Show the HTML by itself" }).click();
    // In the sandbox no script runs, those of the test neither.
    await page.getByText("123456").waitFor();
    await visit.screenshot(page, `mail in its sandbox ${colorScheme}`);
    await page.getByRole("link", { name: "Sign in", exact: true }).click();
    await page.waitForURL(link);
    await page.goto("about:blank");
    await page.setContent(message.html);
    await check("html");
  }
});
