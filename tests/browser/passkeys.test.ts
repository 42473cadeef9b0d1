import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import {
  accessibilityProblems,
  networkErrors,
  overflowsSideways,
  useBrowser,
  type Visit,
} from "./browser.ts";
import { openBareServer } from "./house.ts";

/** Passkeys in a real browser, with the authenticator that Chromium plays (WebAuthn Level 3 §11). */

const PASSWORD = "correct horse battery";
const browser = useBrowser();

async function openServer(t: TestContext) {
  // A passkey is of a domain, and an address is none.
  const server = await openBareServer(t, { hostname: "localhost" });
  await server.addUser("alice", { name: "Alice Moreau" });
  return server;
}

/** An authenticator in the browser of a page: built in, with a fingerprint that it takes at once. */
async function addAuthenticator(visit: Visit, page: Page, more: { isUserVerified?: boolean } = {}) {
  const session = await visit.context.newCDPSession(page);
  await session.send("WebAuthn.enable");
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: more.isUserVerified ?? true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    credentials: async () => (await session.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
    verifies: (isUserVerified: boolean) =>
      session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
    /** Whether it answers by itself, also to what is only offered. */
    answers: (enabled: boolean) =>
      session.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled }),
  };
}

const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

async function signIn(page: Page): Promise<void> {
  await page.getByLabel("Username or e-mail address").fill("alice");
  await page.getByLabel("Password").fill(PASSWORD);
  await press(page, "Sign in");
}

/** Alice has a passkey in the browser of this page, and is at her list of them. */
async function register(page: Page, url: string, name: string): Promise<void> {
  await page.goto(`${url}/sign-in`);
  await signIn(page);
  await page.waitForURL(`${url}/account`);
  await page.getByRole("link", { name: "Passkeys and codes" }).click();
  await page.getByLabel("Name of the new passkey").fill(name);
  await press(page, "Add a passkey");
  await page.getByRole("heading", { name: "Your recovery codes" }).waitFor();
}

async function look(page: Page, what: string): Promise<void> {
  assert.deepEqual(await accessibilityProblems(page), [], what);
  assert.ok(!(await overflowsSideways(page)), what);
}

test("a passkey is added, signs in without a name and a password, and proves again; every page can be used by all", async (t) => {
  const server = await openServer(t);
  const url = server.issuer;
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.context.newPage();
  const authenticator = await addAuthenticator(visit, page);
  // Else the authenticator would answer the offer before anybody can press the button.
  await page.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = async () => false;
  });
  await page.goto(`${url}/sign-in`);
  await look(page, "sign in");
  await register(page, url, "work laptop");
  await look(page, "recovery codes");
  assert.equal(await page.locator(".codes li").count(), 10);
  const [credential] = await authenticator.credentials();
  assert.equal(credential?.isResidentCredential, true);
  assert.equal(credential?.rpId, "localhost");
  await page.getByRole("link", { name: "I have kept them" }).click();
  assert.match((await page.locator("main").textContent()) ?? "", /The passkey is added\.[\s\S]*work laptop/);
  await look(page, "the list of passkeys");

  // The session has proven one factor only, and now there are two.
  await page.getByRole("link", { name: "Prove it" }).click();
  await look(page, "step-up");
  await press(page, "Use a passkey");
  await page.waitForURL(`${url}/account/factors`);
  await page.getByRole("button", { name: "Rename work laptop" }).waitFor();

  await page.getByRole("link", { name: "Sign out" }).click();
  await press(page, "Sign out");
  await page.waitForURL(`${url}/sign-out`);
  await page.goto(`${url}/sign-in`);
  await press(page, "Use a passkey");
  await page.waitForURL(`${url}/account`);
  const [newest] = await server.app.sessions.list();
  assert.deepEqual(newest?.amr.includes("mfa"), true);
});

test("conditional UI: a browser that has a passkey offers it where the name is typed, and signs in by it", async (t) => {
  const server = await openServer(t);
  const url = server.issuer;
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.context.newPage();
  await addAuthenticator(visit, page);
  await register(page, url, "phone");
  await visit.context.clearCookies();
  // Its user picks the passkey that is offered: the authenticator that Chromium plays does so at once.
  await page.goto(`${url}/sign-in?return_to=/account/factors`);
  await page.waitForURL(`${url}/account/factors`);
  const [newest] = await server.app.sessions.list();
  assert.equal(newest?.amr.includes("pwd"), false);
});

test("a passkey is the second step after a password; one that does not verify its user is not taken", async (t) => {
  const server = await openServer(t);
  const url = server.issuer;
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.context.newPage();
  const authenticator = await addAuthenticator(visit, page);
  await register(page, url, "phone");
  await visit.context.clearCookies();
  await authenticator.answers(false);
  await page.goto(`${url}/sign-in`);
  await signIn(page);
  await page.waitForURL(/\/sign-in\/second-factor/);
  await look(page, "the second step");
  await authenticator.answers(true);
  await authenticator.verifies(false);
  await press(page, "Use a passkey");
  await page.getByText("That did not work. Try again, or go on another way.").waitFor();
  await authenticator.verifies(true);
  await press(page, "Use a passkey");
  await page.waitForURL(`${url}/account`);
  const [newest] = await server.app.sessions.list();
  assert.deepEqual([newest?.amr[0], newest?.amr.at(-1)], ["pwd", "mfa"]);
});

test("without scripts the pages work as before: no passkey is offered, and an authenticator app can be set up", async (t) => {
  const server = await openServer(t);
  const visit = await browser.visit(t, { javaScriptEnabled: false, expected: [networkErrors] });
  const page = await visit.context.newPage();
  await page.goto(`${server.issuer}/sign-in`);
  assert.ok(!(await page.getByText("Use a passkey").isVisible()));
  await signIn(page);
  await page.goto(`${server.issuer}/account/factors/totp`);
  server.secrets.add((await page.locator(".secret").textContent())?.replaceAll(" ", "") ?? "");
  await page.getByLabel("Code from the app").fill("000000");
  await press(page, "Switch on");
  assert.match(
    (await page.locator("main").textContent()) ?? "",
    /That is not the code that the app shows now/,
  );
});

test("the page of an authenticator app can be used by all", async (t) => {
  const server = await openServer(t);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.context.newPage();
  await page.goto(`${server.issuer}/sign-in`);
  await signIn(page);
  await page.waitForURL(`${server.issuer}/account`);
  await page.goto(`${server.issuer}/account/factors/totp`);
  await look(page, "the authenticator app");
  server.secrets.add((await page.locator(".secret").textContent())?.replaceAll(" ", "") ?? "");
  await page.getByLabel("Code from the app").fill("000000");
  await press(page, "Switch on");
  await page.getByRole("alert").first().waitFor();
  await look(page, "a wrong code");
});
