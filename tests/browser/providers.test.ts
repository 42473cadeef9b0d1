import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { CLIENT, openPort, startForeignProvider } from "../providers/foreign-provider.ts";
import { startHostileProvider, TWIN } from "../providers/hostile-provider.ts";
import { accessibilityProblems, networkErrors, overflowsSideways, useBrowser } from "./browser.ts";
import { closeAfter } from "./closing.ts";
import { openBareServer } from "./house.ts";

/** Signing in with a provider in a real browser: the provider is another site to it, so cookies and policies count. */

const PASSWORD = "correct horse battery";
const operator = { actor: "operator" } as const;
const browser = useBrowser();

const text = async (page: Page) => (await page.locator("main").textContent())?.replaceAll(/\s+/g, " ") ?? "";
const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

async function openWith(t: TestContext) {
  const port = await openPort("localhost");
  closeAfter(t, port.close);
  const server = await openBareServer(t, { settings: { privateHosts: [port.host], siteName: "Orchard" } });
  return { port, server };
}

test("a person signs in by a provider without a script on our pages, and connects the account that has the address", async (t) => {
  const { port, server } = await openWith(t);
  const foreign = await startForeignProvider(port, `${server.issuer}/sign-in/with/corp/callback`);
  const corp = {
    preset: "oidc",
    id: "corp",
    label: "Corp",
    issuer: foreign.issuer,
    trustsEmail: true,
  } as const;
  await server.app.providers.add({ ...corp, clientId: CLIENT.id, secret: CLIENT.secret }, operator);
  const more = { preset: "google", clientId: "x", secret: "a-secret-of-google" } as const;
  await server.app.providers.add(more, operator);
  server.secrets.add("nora@corp.example");
  foreign.isNow({ sub: "1", preferred_username: "nora", email: "nora@corp.example", email_verified: true });

  const visit = await browser.visit(t, { javaScriptEnabled: false, expected: [networkErrors] });
  const page = await visit.context.newPage();
  await page.goto(`${server.url}/sign-in?return_to=%2Faccount%3Ffrom%3Dshop`);
  await press(page, "Continue with Corp");
  await page.waitForURL("**/account?from=shop");
  assert.match(await text(page), /nora.*Connected accounts.*Corp/);
  await page.getByRole("link", { name: "Sign out" }).click();
  await press(page, "Sign out");

  await server.addUser("otto", { email: "otto@corp.example", emailVerified: true });
  server.secrets.add("otto@corp.example");
  foreign.isNow({ sub: "2", preferred_username: "otto", email: "otto@corp.example", email_verified: true });
  const other = await browser.visit(t, { javaScriptEnabled: false, expected: [networkErrors] });
  const tab = await other.context.newPage();
  await tab.goto(`${server.url}/sign-in/with/corp`);
  await press(tab, "Continue with Corp");
  await tab.waitForURL("**/sign-in/connect");
  await tab.getByRole("link", { name: "Sign in to Orchard to connect" }).click();
  await tab.getByLabel("Username or e-mail address").fill("otto");
  await tab.getByLabel("Password").fill(PASSWORD);
  await press(tab, "Sign in");
  await tab.waitForURL("**/sign-in/connect");
  await press(tab, "Connect");
  await tab.waitForURL("**/account?notice=connected");
  await press(tab, "Disconnect Corp");
  await tab.waitForURL("**/account?notice=disconnected");
});

test("a form that the provider's page sends (Apple) finds the browser's cookies again, for signing in and for connecting", async (t) => {
  const { port, server } = await openWith(t);
  const twin = await startHostileProvider(port);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const secret = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const signing = { teamId: "TEAM567890", keyId: "KEYID67890" };
  const apple = { preset: "apple", issuer: twin.issuer, clientId: TWIN.id, secret, signing } as const;
  assert.equal((await server.app.providers.add(apple, operator)).outcome, "added");
  server.secrets.add("mallory@twin.example");
  twin.tell({
    at: {
      "/authorize": (request, response) => {
        const url = new URL(request.url ?? "", port.url);
        twin.knows(url);
        const fields = { code: "a-code", state: url.searchParams.get("state") ?? "", iss: port.url };
        const inputs = Object.entries(fields).map(
          ([name, value]) => `<input name="${name}" value="${value}">`,
        );
        response.writeHead(200, { "content-type": "text/html" });
        response.end(
          `<form method="post" action="${url.searchParams.get("redirect_uri")}">${inputs.join("")}<button>Agree</button></form>`,
        );
      },
    },
  });
  const visit = await browser.visit(t, { expected: [networkErrors] });
  const page = await visit.context.newPage();
  await page.goto(`${server.url}/sign-in`);
  await press(page, "Continue with Apple");
  await press(page, "Agree");
  await page.waitForURL("**/account");
  assert.match(await text(page), /mallory.*Connected accounts.*Apple/);

  await server.app.users.remove((await server.app.users.find("mallory"))?.id ?? "", operator);
  await server.addUser("pia");
  await page.goto(`${server.url}/sign-in?as=someone-else`);
  await page.getByLabel("Username or e-mail address").fill("pia");
  await page.getByLabel("Password").fill(PASSWORD);
  await press(page, "Sign in");
  await press(page, "Connect Apple");
  await press(page, "Agree");
  await page.waitForURL("**/account?notice=connected");
});

test("pages of providers are readable in light and dark, narrow and wide", async (t) => {
  const { port, server } = await openWith(t);
  const foreign = await startForeignProvider(port, `${server.issuer}/sign-in/with/corp/callback`);
  const corp = {
    preset: "oidc",
    id: "corp",
    label: "The sign-on of Corporation and Sons",
    trustsEmail: true,
  } as const;
  const client = { clientId: CLIENT.id, secret: CLIENT.secret };
  await server.app.providers.add({ ...corp, ...client, issuer: foreign.issuer }, operator);
  for (const preset of ["google", "github"] as const) {
    await server.app.providers.add({ preset, clientId: "x", secret: "a-secret-of-them" }, operator);
  }
  await server.addUser("quinn", { email: "quinn@corp.example" });
  foreign.isNow({ sub: "1", preferred_username: "quinn", email: "quinn@corp.example", email_verified: true });
  for (const [colorScheme, width] of [
    ["light", 1280],
    ["dark", 320],
  ] as const) {
    const visit = await browser.visit(t, {
      colorScheme,
      viewport: { width, height: 700 },
      expected: [networkErrors],
    });
    const page = await visit.context.newPage();
    const check = async (path: string, moment: string) => {
      if (path !== "") await page.goto(server.url + path);
      assert.deepEqual(await accessibilityProblems(page), [], `${moment} ${width}`);
      assert.equal(await overflowsSideways(page), false, `${moment} ${width}`);
      await visit.screenshot(page, `${moment} ${width}`);
    };
    await check("/sign-in", "sign in");
    await check("/sign-in/with/corp", "start");
    await check("/sign-in/with/corp/callback?error=x", "trouble");
    await page.goto(`${server.url}/sign-in/with/corp`);
    await press(page, `Continue with ${corp.label}`);
    await page.waitForURL("**/sign-in/connect");
    await check("", "connect first");
    await page.getByRole("link", { name: /to connect/ }).click();
    await page.getByLabel("Username or e-mail address").fill("quinn");
    await page.getByLabel("Password").fill(PASSWORD);
    await press(page, "Sign in");
    await page.waitForURL("**/sign-in/connect");
    await check("", "connect");
    await press(page, "Connect");
    await check("/account", "account");
    await press(page, `Disconnect ${corp.label}`);
  }
});
