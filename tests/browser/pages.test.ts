import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import type { TestServerOptions } from "../../packages/server/src/test-server.ts";
import {
  accessibilityProblems,
  networkErrors,
  overflowsSideways,
  useBrowser,
  type Visit,
  type VisitOptions,
} from "./browser.ts";
import { openBareServer } from "./house.ts";

/** The server's own pages in a real browser: without scripts, by keyboard alone, in every light and width. */

const PASSWORD = "correct horse battery";
const NEW = "another horse battery";
const PHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";

const browser = useBrowser();
const withoutScripts: VisitOptions = { javaScriptEnabled: false, expected: [networkErrors] };

async function openServer(t: TestContext, options: TestServerOptions = {}) {
  const server = await openBareServer(t, options);
  await server.addUser("alice", { name: "Alice Moreau", email: "alice@pages.example" });
  server.secrets.add(NEW);
  return server;
}

async function openPage(visit: Visit, address: string): Promise<Page> {
  const page = await visit.context.newPage();
  await page.goto(address);
  return page;
}

const text = async (page: Page) => (await page.locator("main").textContent())?.replaceAll(/\s+/g, " ") ?? "";
const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

async function fill(page: Page, fields: Record<string, string>): Promise<void> {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label).fill(value);
}

async function signIn(page: Page, password = PASSWORD): Promise<void> {
  await fill(page, { "Username or e-mail address": "alice", Password: password });
  await press(page, "Sign in");
}

test("pages need no script: sign in, see the devices, end one, change the password, sign out", async (t) => {
  const server = await openServer(t);
  const phone = await browser.visit(t, { ...withoutScripts, userAgent: PHONE });
  await signIn(await openPage(phone, `${server.url}/sign-in`));
  const visit = await browser.visit(t, withoutScripts);
  const page = await openPage(visit, `${server.url}/account`);
  assert.match(page.url(), /\/sign-in\?return_to=%2Faccount$/);
  await signIn(page, "wrong horse battery");
  assert.match(await text(page), /Invalid username or password/);
  assert.equal(await page.getByLabel("Username or e-mail address").inputValue(), "alice");
  await signIn(page);
  assert.equal(page.url(), `${server.url}/account`);
  assert.match(await text(page), /Alice Moreau[\s\S]*This device[\s\S]*Safari on iOS/);
  await press(page, "Sign out Safari on iOS");
  assert.match(await text(page), /That device is signed out\./);
  const gone = await openPage(phone, `${server.url}/account`);
  assert.match(gone.url(), /\/sign-in/);

  await page.getByRole("link", { name: "Change password" }).click();
  await fill(page, { "Current password": PASSWORD, "New password": NEW });
  await press(page, "Change password");
  assert.match(await text(page), /Your password is changed, and all your other devices are signed out\./);
  await page.getByRole("link", { name: "Sign out" }).click();
  await press(page, "Sign out");
  assert.match(await text(page), /You are signed out/);
  await page.goto(`${server.url}/account`);
  await signIn(page, NEW);
  assert.equal(page.url(), `${server.url}/account`);
});

test("pages need no script: make an account, with mistakes told at their fields", async (t) => {
  const server = await openServer(t);
  const visit = await browser.visit(t, withoutScripts);
  const page = await openPage(visit, `${server.url}/sign-in?return_to=%2Faccount%3Ffrom%3Dhere`);
  await page.getByRole("link", { name: "Create an account" }).click();
  await fill(page, { Username: "b o b", Password: "short" });
  await press(page, "Create account");
  assert.match(await text(page), /There are 2 problems/);
  await page.getByRole("link", { name: /at least 8 characters/ }).click();
  assert.equal(await focused(page), "password", "the summary leads to the field");
  await fill(page, { Username: "bob", Password: PASSWORD });
  await press(page, "Create account");
  assert.equal(page.url(), `${server.url}/account?from=here`);
  assert.match(await text(page), /You made your account/);
});

test("pages are worked by the keyboard alone, and what went wrong has the focus", async (t) => {
  const server = await openServer(t);
  const visit = await browser.visit(t, withoutScripts);
  const page = await openPage(visit, `${server.url}/sign-in`);
  await page.locator("#username:focus").waitFor();
  await page.keyboard.type("alice");
  await page.keyboard.press("Tab");
  await page.keyboard.type("wrong horse battery");
  await page.keyboard.press("Enter");
  await page.locator('[role="alert"]').waitFor();
  assert.equal(await page.locator('[role="alert"]:focus').count(), 1, "the error comes first");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "username");
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/account");
  await page.keyboard.press("Tab");
  assert.equal(await page.locator("a.skip:focus").count(), 1, "the first thing is the way past the menu");
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "content");
  await page.goto(`${server.url}/sign-out`);
  for (let tabs = 0; tabs < 10 && (await page.locator("button:focus").count()) === 0; tabs++) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await page.getByText("You are signed out").first().waitFor();
});

test("ten tabs with the form for signing in all work", async (t) => {
  const server = await openServer(t);
  const visit = await browser.visit(t, withoutScripts);
  // All at once: none of them has the others' cookie yet.
  const tabs = await Promise.all(Array.from({ length: 10 }, () => openPage(visit, `${server.url}/sign-in`)));
  for (const tab of tabs) {
    await signIn(tab);
    assert.equal(tab.url(), `${server.url}/account`);
  }
});

test("a form that a page of another site sends does nothing, and says why", async (t) => {
  const server = await openServer(t);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await openPage(visit, `${server.url}/sign-in`);
  await signIn(page);
  const before = await server.rows();
  const other = await visit.context.newPage();
  // 127.0.0.1 and localhost are two sites to a browser.
  await other.route("http://localhost/", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<form method="post" action="${server.url}/sign-out"><input name="everywhere" value="on"><button>Win</button></form>`,
    }),
  );
  await other.goto("http://localhost/");
  await press(other, "Win");
  await other.getByText("This came from another site").waitFor();
  assert.equal(await server.rows(), before);
});

test("nothing on a page is held back by its own policy, and nothing is loaded from elsewhere", async (t) => {
  const server = await openServer(t);
  const visit = await browser.visit(t);
  const page = await visit.context.newPage();
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(`${server.url}/sign-in`);
  assert.ok(asked.some((url) => url.endsWith(".css")));
  assert.ok(
    asked.every((url) => url.startsWith(`${server.url}/`)),
    asked.join(),
  );
  const font = await page.evaluate(() => getComputedStyle(document.body).maxWidth);
  assert.notEqual(font, "none", "the stylesheet is applied");
});

test("pages are readable in light and dark, at 320 pixels and at 1280, large type and few colours", async (t) => {
  const server = await openServer(t, { hooks: { placeOf: () => "Saint-Rémy-en-Bouzemont, France" } });
  await server.login("alice", {
    device: "A device that somebody has given a very long name to, for reasons unknown",
  });
  const looks: (VisitOptions & { readonly width: number; readonly only?: RegExp })[] = [
    { colorScheme: "light", width: 1280 },
    { colorScheme: "dark", width: 1280 },
    { colorScheme: "light", width: 320 },
    { colorScheme: "dark", width: 320 },
    // The pages with the most on them stand for all.
    { colorScheme: "light", width: 320, forcedColors: "active", only: /mistakes|account/ },
    { colorScheme: "dark", width: 640, reducedMotion: "reduce", only: /mistakes|account/ },
  ];
  for (const { only, ...look } of looks) {
    const { width, ...options } = look;
    const visit = await browser.visit(t, {
      ...options,
      viewport: { width, height: width === 320 ? 640 : 820 },
      expected: [networkErrors],
    });
    const page = await openPage(visit, `${server.url}/sign-in`);
    const check = async (moment: string) => {
      if (only?.test(moment) === false) return;
      const place = `${moment} ${JSON.stringify(look)}`;
      assert.deepEqual(await accessibilityProblems(page), [], place);
      assert.equal(await overflowsSideways(page), false, place);
      await visit.screenshot(page, `${moment} ${Object.values(look).join(" ")}`);
    };
    await check("sign in");
    await signIn(page, "wrong horse battery");
    await check("wrong password");
    await page.goto(`${server.url}/sign-up`);
    await fill(page, { Username: "b o b", Password: "short", "E-mail address": "nowhere" });
    await press(page, "Create account");
    await check("sign up, with mistakes");
    for (const path of ["/", "/nowhere", "/sign-out"]) {
      await page.goto(server.url + path);
      await check(`stranger at ${path}`);
    }
    await page.goto(`${server.url}/sign-in`);
    await signIn(page);
    for (const path of ["/", "/sign-in", "/sign-out", "/account?notice=session-ended", "/account/password"]) {
      await page.goto(server.url + path);
      await check(`alice at ${path}`);
    }
  }
});

/** Where the focus is, by its id. There are no scripts in the page to ask. */
function focused(page: Page): Promise<string | null> {
  return page.locator(":focus").getAttribute("id");
}
