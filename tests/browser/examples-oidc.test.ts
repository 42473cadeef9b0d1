import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { type KeyturnServer, password, startKeyturn } from "../keyturn-process.ts";
import { createStage, freePort, root, untilTrue } from "../stage.ts";
import {
  accessibilityProblems,
  networkErrors,
  overflowsSideways,
  useBrowser,
  type Visit,
} from "./browser.ts";

/**
 * The examples that know an issuer and a client id, by the commands of their READMEs, and one Keyturn for all. It is at
 * 127.0.0.1 and they are at localhost: to a browser these are two sites.
 */

const browser = useBrowser();
const narrow = { colorScheme: "dark", viewport: { width: 320, height: 640 } } as const;
const stage = createStage();
after(() => stage.clear());

let keyturn: KeyturnServer;
let spa: string;
let web: string;

before(async () => {
  const [spaPort, webPort] = [await freePort(), await freePort()];
  keyturn = await startKeyturn(stage, {
    environment: { KEYTURN_PRIVATE_HOSTS: `localhost:${webPort}` },
  });
  const people = ["ann", "ben", "cleo", "dan"].map(keyturn.register);
  [spa, web] = await Promise.all([start("oidc-spa", spaPort), start("oidc-web", webPort), ...people]);
});

async function start(example: string, port: number): Promise<string> {
  const environment = { ...keyturn.environment, PORT: String(port) };
  const started = stage.start(path.join(root, "examples/run.ts"), [example], { environment });
  await started.says(/listens on http:\/\/localhost:(\d+)/);
  return `http://localhost:${port}`;
}

const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();
const follow = (page: Page, name: string) => page.getByRole("link", { name, exact: true }).click();

async function giveName(page: Page, username: string): Promise<void> {
  await page.getByLabel("Username or e-mail address").fill(username);
  await page.getByLabel("Password").fill(password);
  await press(page, "Sign in");
}

async function assertPresentable(page: Page): Promise<void> {
  assert.deepEqual(await accessibilityProblems(page), []);
  assert.equal(await overflowsSideways(page), false);
}

/** On the account page, in a tab beside. */
async function withdraw(visit: Visit, application: string): Promise<void> {
  const account = await visit.tab(`${keyturn.url}/account`);
  await press(account, `Withdraw ${application}`);
  await account.getByText("That application can no longer use your account.").waitFor();
  await account.close();
}

/** Tokens of before are refused from then on, and have to be exchanged. */
const changeRights = (username: string) => keyturn.cli(["user", "roles", username, "editor"]);

test("examples/oidc-spa: sign in by redirect, agree, call, refresh, and be refused within a second of withdrawing", async (t) => {
  // Chromium logs each answer of 401.
  const visit = await browser.visit(t, { ...narrow, expected: [networkErrors] });
  const page = await visit.tab(spa);
  await assertPresentable(page);
  await press(page, "Sign in");
  await page.waitForURL(`${keyturn.url}/**`);
  await giveName(page, "ann");
  await page.getByText("Example oidc-spa").first().waitFor();
  await press(page, "Allow");
  await page.waitForURL(`${spa}/`);
  await page.getByText("Signed in as ann").waitFor();
  await press(page, "Call the API");
  await page.getByText("Hello, ").waitFor();
  await assertPresentable(page);

  // A page that loads again does not know how old its token was.
  await page.reload();
  await press(page, "Call the API");
  await page.getByText("Hello, ").waitFor();
  await page.getByText("refreshed").waitFor();

  await withdraw(visit, "Example oidc-spa");
  await untilTrue(
    1,
    async () => {
      const answer = page.waitForResponse(`${spa}/api/hello`);
      await press(page, "Call the API");
      return (await answer).status() === 401;
    },
    "the API did not refuse what was withdrawn",
  );
  await page.getByText("This page was signed out at Keyturn.").waitFor();
  await page.getByText(/signedOut: (revoked|refused)/).waitFor();
});

test("examples/oidc-spa: sign in by popup, sign out here, and at Keyturn", async (t) => {
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.tab(spa);
  const other = await visit.tab(spa);
  const opened = page.waitForEvent("popup");
  await press(page, "Sign in in a window");
  const popup = await opened;
  await giveName(popup, "ben");
  await press(popup, "Allow");
  await page.getByText("Signed in as ben").waitFor();
  await other.getByText("Signed in as ben").waitFor();
  if (!popup.isClosed()) await popup.waitForEvent("close");
  await press(page, "Sign out here");
  await page.getByText("Nobody is signed in").waitFor();
  await other.getByText("signedOut: signed_out").waitFor();

  // Still signed in at Keyturn: nobody is asked for a password, only, as always on one's own machine, whether it may.
  await press(page, "Sign in");
  await press(page, "Allow");
  await page.getByText("Signed in as ben").waitFor();
  await press(page, "Sign out at Keyturn");
  await page.waitForURL(`${spa}/`);
  await page.getByText("Nobody is signed in").waitFor();
  await press(page, "Sign in");
  await page.getByLabel("Username or e-mail address").waitFor();
});

test("examples/oidc-spa: who does not allow it is told so, and is not signed in", async (t) => {
  const visit = await browser.visit(t);
  const page = await visit.tab(spa);
  await press(page, "Sign in");
  await giveName(page, "dan");
  await press(page, "Do not allow");
  await page.getByText("You did not allow it.").waitFor();
  await page.getByText("Nobody is signed in").waitFor();
  assert.equal(page.url(), `${spa}/`);
});

test("examples/oidc-web: a session that is ended on the account page is over in the application, told by Keyturn", async (t) => {
  const visit = await browser.visit(t);
  const page = await visit.tab(web);
  await assertPresentable(page);
  await follow(page, "Sign in");
  await giveName(page, "cleo");
  await press(page, "Allow");
  await page.waitForURL(`${web}/profile`);
  await assertPresentable(page);
  await follow(page, "Home");
  await page.getByText("Signed in as cleo").waitFor();

  const elsewhere = await browser.visit(t);
  const account = await elsewhere.tab(`${keyturn.url}/sign-in?return_to=/account`);
  await giveName(account, "cleo");
  await account.getByText("This device").waitFor();
  await account
    .getByRole("button", { name: /^Sign out (?!all)/ })
    .last()
    .click();
  await account.getByText("That device is signed out.").waitFor();
  // This page asks nobody: only what was posted to the application can have ended it.
  // It is sent within a second; the rest is for a machine that has much to do.
  await untilTrue(
    5,
    async () => {
      await page.reload();
      return page.getByText("Nobody is signed in").isVisible();
    },
    "the application was not told",
  );
  const { logouts } = await keyturn.cli(["client", "logouts", "oidc-web"]);
  assert.equal(logouts[0].state, "told");
});

test("examples/oidc-web: userinfo, refresh, and out within a second of withdrawing; signing out is out of Keyturn too", async (t) => {
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.tab(web);
  await follow(page, "Sign in");
  await giveName(page, "dan");
  await press(page, "Allow");
  await page.getByText("preferred_username").waitFor();
  await page.getByText("refreshed 0 times").waitFor();
  await changeRights("dan");
  await page.reload();
  await page.getByText("refreshed 1 times").waitFor();

  await withdraw(visit, "Example oidc-web");
  await untilTrue(
    1,
    async () => {
      await page.goto(`${web}/profile`);
      return !page.url().startsWith(`${web}/profile`) || page.getByText("You were signed out").isVisible();
    },
    "the application went on",
  );
  // Asked again, because it was taken back; not for a password.
  await page.goto(`${web}/sign-in`);
  await press(page, "Allow");
  await page.waitForURL(`${web}/profile`);
  await press(page, "Sign out");
  await page.waitForURL(`${web}/`);
  await page.getByText("Nobody is signed in").waitFor();
  await follow(page, "Sign in");
  await page.getByLabel("Username or e-mail address").waitFor();
});
