import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { stoppedClock } from "../../packages/server/src/test-server.ts";
import { networkErrors, useBrowser } from "./browser.ts";
import { openBareServer } from "./house.ts";
import { appPath, callApi, callbackPath, isReady, openApplication, sessionOf } from "./oidc-application.ts";

/** @keyturn/client/oidc through Keyturn itself: pages, consent, tokens, refresh and both ways to sign out. */

const PASSWORD = "correct horse battery";
const accessTokenSeconds = 60;
const browser = useBrowser();
const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();

async function open(t: TestContext) {
  const clock = stoppedClock();
  const server = await openBareServer(t, { clock, hostname: "localhost", settings: { accessTokenSeconds } });
  await server.addUser("nora");
  let clientId = "";
  const app = await openApplication(t, () => ({ issuer: server.issuer, clientId }));
  const added = await server.app.clients.add(
    {
      name: "Photos",
      type: "spa",
      metadata: {
        redirect_uris: [`${app.url}${callbackPath}`],
        post_logout_redirect_uris: [`${app.url}/bye`],
        grant_types: ["authorization_code", "refresh_token"],
      },
    },
    { actor: "operator" },
  );
  assert.ok(added.outcome === "added", JSON.stringify(added));
  clientId = added.client.id;
  app.serve(server.app.guard);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  await visit.startClock(clock.now());
  return { server, app, visit, clock, url: `${app.url}${appPath}` };
}

async function agree(page: Page): Promise<void> {
  await page.getByLabel("Username or e-mail address").fill("nora");
  await page.getByLabel("Password").fill(PASSWORD);
  await press(page, "Sign in");
  await press(page, "Allow");
}

async function signInByRedirect(page: Page, origin: string): Promise<Window["arrived"]> {
  await page.evaluate(() => void window.oidc.signIn({ returnTo: "/photos/7" }).catch(() => {}));
  await agree(page);
  await page.waitForURL((url) => url.href.startsWith(`${origin}${callbackPath}`));
  await isReady(page);
  return page.evaluate(() => window.arrived);
}

test("by redirect through Keyturn: signed in, bound to a key, with roles and sid, and no token in an address", async (t) => {
  const { server, app, visit, url } = await open(t);
  const page = await visit.tab(url);
  const addresses: string[] = [];
  page.on("framenavigated", (frame) => addresses.push(frame.url()));
  assert.deepEqual(await signInByRedirect(page, app.url), { username: "nora", returnTo: "/photos/7" });
  assert.equal(page.url(), `${app.url}${callbackPath}`);
  assert.equal(await callApi(page), 200);
  assert.equal(typeof (await sessionOf(page))?.user.claims.sid, "string");
  const sessions = await server.app.sessions.list({ alive: true });
  const own = sessions.find(({ kind }) => kind === "client");
  assert.ok(own?.keyThumbprint, "bound to the key that was made before the page was left");
  for (const address of addresses) assert.doesNotMatch(address, /eyJ|krt_/);
});

test("by popup through Keyturn: the page stays and is signed in", async (t) => {
  const { visit, url } = await open(t);
  const page = await visit.tab(url);
  const opened = page.waitForEvent("popup");
  await page.click("#popup");
  await agree(await opened);
  await page.waitForFunction(() => window.arrived !== undefined);
  assert.equal((await page.evaluate(() => window.arrived)).username, "nora");
  assert.deepEqual([await callApi(page), page.url()], [200, url]);
});

test("ten tabs that call at once when the token is over, 10 times: one turn each time, nobody is signed out", async (t) => {
  const { server, app, visit, clock, url } = await open(t);
  const tabs = await visit.tabs(10, url);
  await signInByRedirect(tabs[0]!, app.url);
  for (let round = 1; round <= 10; round++) {
    clock.pass(accessTokenSeconds);
    await visit.clock.fastForward(accessTokenSeconds * 1000);
    assert.deepEqual(await Promise.all(tabs.map(callApi)), Array(10).fill(200), `round ${round}`);
  }
  const own = (await server.app.sessions.list({ alive: true })).find(({ kind }) => kind === "client");
  assert.ok(own && own.generation >= 10 && own.generation <= 12, `${own?.generation} turns`);
  for (const tab of tabs) assert.equal((await sessionOf(tab))?.user.username, "nora");
});

test("a reply that is lost is asked for again after the grace, by the attempt key, and costs nothing", async (t) => {
  const { server, app, visit, clock, url } = await open(t);
  const page = await visit.tab(url);
  await signInByRedirect(page, app.url);
  clock.pass(accessTokenSeconds);
  await visit.clock.fastForward(accessTokenSeconds * 1000);
  const isToken = ({ pathname }: URL) => pathname === "/oauth/token";
  let losses = 0;
  await page.route(isToken, async (route) => {
    // The page may go away meanwhile.
    const reply = await route.fetch().catch(() => undefined);
    // One that only tells the nonce has used nothing up.
    if (reply?.ok()) losses++;
    await route.abort().catch(() => {});
  });
  // Its page will be gone.
  const call = callApi(page).catch(() => {});
  for (let steps = 0; losses < 2 && steps < 100; steps++) await visit.clock.runFor(500);
  assert.ok(losses >= 2, `${losses} replies were lost`);
  // The page goes away with its call, before that is tried once more; another comes an hour later.
  await page.goto(url);
  await isReady(page);
  await page.unroute(isToken);
  await call;
  clock.pass(3600);
  await visit.clock.fastForward(3_600_000);
  assert.equal(await callApi(page), 200);
  const own = (await server.app.sessions.list({ alive: true })).find(({ kind }) => kind === "client");
  assert.equal(own?.generation, 1);
});

test("a session that Keyturn has ended is over in the tab", async (t) => {
  const { server, app, visit, clock, url } = await open(t);
  const page = await visit.tab(url);
  await signInByRedirect(page, app.url);
  const own = (await server.app.sessions.list({ alive: true })).find(({ kind }) => kind === "client");
  await server.app.sessions.end(own!.id, { actor: "operator", reason: "ended_by_operator" });
  clock.pass(accessTokenSeconds);
  await visit.clock.fastForward(accessTokenSeconds * 1000);
  const call = callApi(page);
  for (let steps = 0; steps < 40; steps++) await visit.clock.runFor(100);
  assert.equal(await call, 401);
  assert.match((await page.evaluate(() => window.told)).at(-1) ?? "", /^signedOut (?:revoked|refused)$/);
});

test("signing out ends the application's session; at Keyturn too, the browser's, and leads back", async (t) => {
  const { server, app, visit, url } = await open(t);
  const page = await visit.tab(url);
  await signInByRedirect(page, app.url);
  await page.evaluate(() => void window.oidc.signOut({ atProvider: true, state: "seen" }).catch(() => {}));
  await page.waitForURL(`${app.url}/bye?state=seen`);
  await isReady(page);
  assert.equal(await sessionOf(page), undefined);
  assert.deepEqual(await server.app.sessions.list({ alive: true }), []);
});
