import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { testLetters, tokenOf } from "../../packages/server/src/users/mailing/test-letters.ts";
import { accessibilityProblems, networkErrors, overflowsSideways, useBrowser } from "./browser.ts";
import { openBareServer } from "./house.ts";

/** Letters in a real browser: their links come from another site, the mailbox. */

const NEW = "another horse battery";
const MAILBOX = "http://mailbox.example/";

const browser = useBrowser();
const text = async (page: Page) => (await page.locator("main").textContent())?.replaceAll(/\s+/g, " ") ?? "";
const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

async function openServer(t: TestContext) {
  const server = await openBareServer(t, { holdsMail: true });
  server.secrets.add(NEW);
  await server.addUser("alice", { email: "alice@example.com", emailVerified: true });
  const { database, secrets, app } = server;
  return { server, letters: testLetters({ database, compose: app.mailing.composeCodeLetter, secrets }) };
}

/** A page of the mailbox, with the link of a letter that is followed. */
async function follow(page: Page, link: string): Promise<void> {
  const body = `<!doctype html><html lang="en"><title>Mailbox</title><a href="${link}">Open</a>`;
  await page.route(MAILBOX, (route) => route.fulfill({ contentType: "text/html", body }));
  await page.goto(MAILBOX);
  await page.getByRole("link", { name: "Open" }).click();
  await page.locator("main").waitFor();
}

test("a link from a mailbox: its secret is in no address, no Referer and no script's reach, and its pages can be used by all", async (t) => {
  const { server, letters } = await openServer(t);
  const visit = await browser.visit(t, {
    colorScheme: "dark",
    viewport: { width: 320, height: 640 },
    expected: [networkErrors],
  });
  const page = await visit.context.newPage();
  const referers: (string | undefined)[] = [];
  page.on("request", (request) => referers.push(request.headers().referer));
  const check = async (moment: string) => {
    assert.deepEqual(await accessibilityProblems(page), [], moment);
    assert.equal(await overflowsSideways(page), false, moment);
    await visit.screenshot(page, moment);
  };

  await page.goto(`${server.url}/sign-in`);
  await page.getByRole("link", { name: "Forgotten your password?" }).click();
  await check("forgotten");
  await page.getByLabel("E-mail address").fill("alice@example.com");
  await press(page, "Send me a link");
  await check("sent");
  const reset = await letters.one();
  await follow(page, reset.link);
  assert.equal(page.url(), `${server.url}/password/reset`);
  assert.equal(await page.evaluate("document.cookie"), "");
  await check("reset");
  await page.getByLabel("New password").fill(NEW);
  await press(page, "Set this password");
  assert.match(await text(page), /Your password is changed/);
  await page.goBack();
  await page.goBack();
  assert.ok(!page.url().includes(tokenOf(reset)), "the history has the secret");

  await page.goto(`${server.url}/sign-in/mail`);
  await check("sign in by mail");
  await page.getByLabel("E-mail address").fill("alice@example.com");
  await press(page, "Send me a letter");
  const signIn = await letters.one();
  await check("digits");
  await follow(page, signIn.link);
  assert.equal(page.url(), `${server.url}/sign-in/mail/link`);
  await check("sign in by a link");
  await press(page, "Sign in as alice");
  assert.equal(page.url(), `${server.url}/account`);
  await check("account");

  await page.goto(`${server.url}/account/email`);
  await check("another address");
  await page.getByLabel("New e-mail address").fill("alice@elsewhere.example");
  server.secrets.add("alice@elsewhere.example");
  await press(page, "Send a link to it");
  const change = await letters.one();
  await follow(page, change.link);
  await check("confirm");
  await press(page, "Yes, this is my address");
  assert.match(await text(page), /alice@elsewhere\.example is confirmed/);
  for (const letter of [reset, signIn, change]) {
    assert.ok(!referers.some((referer) => referer?.includes(tokenOf(letter))), "a Referer has a secret");
  }
});
