import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Page } from "playwright-core";
import { codeAt } from "../../packages/server/src/users/factors/test-factors.ts";
import { password, startExample } from "../keyturn-process.ts";
import { createStage } from "../stage.ts";
import { accessibilityProblems, networkErrors, overflowsSideways, useBrowser } from "./browser.ts";

/** The examples as processes of their own, in the hands of a person. */
const browser = useBrowser();
const stage = createStage();
after(() => stage.clear());

const looks = [
  { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", viewport: { width: 320, height: 640 } },
] as const;

/** At the name that the issuer has: cookies, forms and proofs are of one origin. */
async function start(file: string) {
  const { url, process } = await startExample(stage, file, { KEYTURN_DATA: stage.folder() });
  return { url: url.replace("127.0.0.1", "localhost"), process };
}

async function assertPresentable(page: Page): Promise<void> {
  assert.deepEqual(await accessibilityProblems(page), []);
  assert.equal(await overflowsSideways(page), false);
}

async function fillIn(page: Page, username: string, button: string): Promise<void> {
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: button }).click();
}

for (const { colorScheme, ...look } of looks) {
  const width = look.viewport.width;
  test(`examples/spa is fit for all to use, ${colorScheme}, ${width} pixels wide`, async (t) => {
    const { url } = await start("spa/app.ts");
    const visit = await browser.visit(t, { ...look, colorScheme });
    const page = await visit.tab(url);
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await assertPresentable(page);
    await visit.screenshot(page, "signed out");
    await fillIn(page, "ann", "Make an account");
    await page.getByText("this one").waitFor();
    await assertPresentable(page);
    await visit.screenshot(page, "signed in");
  });
}

test("examples/spa: make an account, call the API, see the devices, end one, sign out", async (t) => {
  const { url, process } = await start("spa/app.ts");
  // Chromium logs each answer of 401.
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.tab(url);
  await fillIn(page, "ann", "Sign in");
  await page.getByText("Invalid username or password").waitFor();
  await fillIn(page, "ann", "Make an account");
  await page.getByText("Signed in as ann").waitFor();
  await page.getByRole("button", { name: "Call the API" }).click();
  await page.getByText("Hello, ").waitFor();

  // A second tab is signed in without asking; a second browser is another device.
  const tab = await visit.tab(url);
  await tab.getByText("Signed in as ann").waitFor();
  const elsewhere = await browser.visit(t, { expected: [networkErrors] });
  const other = await elsewhere.tab(url);
  await fillIn(other, "ann", "Sign in");
  await other.getByText("this one").waitFor();
  await page.reload();
  const end = page.getByRole("button", { name: /^End the session/ });
  await end.click();
  await end.waitFor({ state: "detached" });
  await other.getByRole("button", { name: "Call the API" }).click();
  await other.getByText("This device was signed out from elsewhere.").waitFor();
  await other.getByText("signedOut: revoked").waitFor();

  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await tab.getByText("signedOut: signed_out").waitFor();
  await tab.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal((await process.stop()).code, 0);
});

test("examples/spa: a second factor is asked for after the password, and a wrong code is told", async (t) => {
  const { url } = await start("spa/app.ts");
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.tab(url);
  await page.getByRole("button", { name: "Use a passkey" }).waitFor();
  await fillIn(page, "ann", "Make an account");
  await page.getByText("Signed in as ann").waitFor();
  // In the same browser, on the account page of the server: an authenticator app.
  const account = await visit.context.newPage();
  await account.goto(`${url}/auth/sign-in`);
  await account.getByLabel("Username or e-mail address").fill("ann");
  await account.getByLabel("Password").fill(password);
  await account.getByRole("button", { name: "Sign in", exact: true }).click();
  await account.waitForURL(`${url}/auth/account`);
  await account.goto(`${url}/auth/account/factors/totp`);
  const secret = (await account.locator(".secret").textContent())?.replaceAll(" ", "") ?? "";
  await account.getByLabel("Code from the app").fill(await codeAt(secret, Date.now()));
  await account.getByRole("button", { name: "Switch on" }).click();
  const [code = ""] = await account.locator(".codes li").allTextContents();

  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await fillIn(page, "ann", "Sign in");
  await page.getByRole("heading", { name: "One more step" }).waitFor();
  await assertPresentable(page);
  await page.getByLabel("Code").fill("000000");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("The code is not right").waitFor();
  await page.getByLabel("Code").fill(code);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("Signed in as ann").waitFor();
  assert.equal(await page.getByRole("heading", { name: "One more step" }).isVisible(), false);
});

test("examples/spa: the policy of the page stops what is injected", async (t) => {
  const { url } = await start("spa/app.ts");
  const visit = await browser.visit(t, { expected: [/Content Security Policy|TrustedHTML|TrustedScript/] });
  const page = await visit.tab(url);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  const elsewhere = url.replace("localhost", "127.0.0.1");
  const outcome = await page.evaluate(async (address) => {
    const script = document.createElement("script");
    try {
      script.text = "window.injected = true";
      document.body.append(script);
    } catch {}
    const sent = await fetch(address, { mode: "no-cors" }).then(
      () => "sent",
      () => "stopped",
    );
    return { injected: "injected" in window, sent };
  }, elsewhere);
  assert.equal((await fetch(elsewhere)).status, 200, "it is there, for whoever may ask");
  assert.deepEqual(outcome, { injected: false, sent: "stopped" });
  assert.ok(visit.problems.length === 0);
});

test("examples/ssr: signed in by a cookie, five pictures at once, a form of its own, and none of another site", async (t) => {
  const { url, process } = await start("ssr/app.ts");
  const visit = await browser.visit(t, { ...looks[1], expected: [networkErrors] });
  const page = await visit.context.newPage();
  await page.goto(url);
  await page.getByText("Nobody is signed in.").waitFor();
  await assertPresentable(page);

  // Keyturn's own pages: an account made there, and back to where the person wanted to go.
  await page.getByRole("link", { name: "Notes" }).click();
  await page.waitForURL(`${url}/auth/sign-in?return_to=%2Fnotes`);
  await page.goto(url);
  await page.getByRole("link", { name: "Make an account" }).click();
  await page.getByLabel("Username").fill("ann");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: /account|sign up/i }).click();
  await page.waitForURL(`${url}/notes`);

  for (let visits = 0; visits < 5; visits++) {
    await page.goto(url);
    await page.getByText("Signed in as ann").waitFor();
    const widths = await page
      .getByRole("img")
      .evaluateAll((images) => images.map((image) => (image as HTMLImageElement).naturalWidth > 0));
    assert.deepEqual(widths, [true, true, true, true, true], "each of five parallel requests knew who asked");
  }
  await assertPresentable(page);
  await visit.screenshot(page, "signed in");

  await page.getByRole("link", { name: "Notes" }).click();
  const note = "Turn, and <b>turn</b> again";
  await page.getByLabel("A new note").fill(note);
  await page.getByRole("button", { name: "Keep it" }).click();
  await page.getByRole("listitem").filter({ hasText: note }).waitFor();
  await assertPresentable(page);

  // The same form on a page of another site, sent by a person who is signed in here.
  await page.route("https://elsewhere.example/", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<form method="post" action="${url}/notes"><input name="note" value="forged"><button>Win</button></form>`,
    }),
  );
  await page.goto("https://elsewhere.example/");
  await page.getByRole("button", { name: "Win" }).click();
  await page.getByText("this form is not of this site").waitFor();
  await page.goto(`${url}/notes`);
  assert.equal(await page.getByRole("listitem").count(), 1);

  await page.getByRole("link", { name: "Your account" }).click();
  await page.waitForURL(`${url}/auth/account`);
  await page.goto(url);
  await page.getByRole("link", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${url}/auth/sign-out`);
  await page.goto(`${url}/notes`);
  await page.waitForURL(`${url}/auth/sign-in?return_to=%2Fnotes`);
  await page.getByLabel(/username/i).fill("ann");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${url}/notes`);
  assert.equal(await page.getByRole("listitem").count(), 1);
  assert.equal((await process.stop()).code, 0);
});
