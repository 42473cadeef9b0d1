import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { networkErrors, useBrowser } from "./browser.ts";
import { callApi, callbackPath, isReady, sessionOf, signInByRedirect } from "./oidc-application.ts";
import { openOidcHouse } from "./oidc-house.ts";

/** @keyturn/client/oidc in Chromium against oidc-provider, which is another site and knows nothing of Keyturn. */

const browser = useBrowser();
const expected = [networkErrors];

const told = (page: Page) => page.evaluate(() => window.told);

function noteAddresses(page: Page): readonly string[] {
  const addresses: string[] = [];
  page.on("framenavigated", (frame) => addresses.push(frame.url()));
  page.on("request", (request) => addresses.push(request.url()));
  return addresses;
}

test("by redirect: signed in with a bound token for the API, no token in any address, and again after a reload", async (t) => {
  const { url, origin, provider } = await openOidcHouse(t, { dpop: true });
  const visit = await browser.visit(t, { expected });
  const page = await visit.tab(url);
  const addresses = noteAddresses(page);
  const arrived = await signInByRedirect(page, origin, { returnTo: "/photos/7" });
  assert.deepEqual(arrived, { username: "nora", returnTo: "/photos/7" });
  assert.equal(page.url(), `${origin}${callbackPath}`);
  assert.equal(await callApi(page), 200);
  const token = await page.evaluate(() => window.oidc.accessToken());
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
  assert.deepEqual(
    [claims.aud, claims.client_id, typeof claims.cnf?.jkt],
    [provider.resource, "photos", "string"],
  );
  for (const address of addresses) assert.doesNotMatch(address, /eyJ|code_verifier/);

  await page.reload();
  await isReady(page);
  assert.equal((await sessionOf(page))?.user.name, "The nora");
  assert.equal(await callApi(page), 200);
  // Another tab of the same browser, and not another browser.
  assert.equal(await callApi(await visit.tab(url)), 200);
  const other = await browser.visit(t, { expected });
  assert.equal(await sessionOf(await other.tab(url)), undefined);
});

test("by redirect: who says no comes back to an error of one word, and to a clean address", async (t) => {
  const { url, origin, provider } = await openOidcHouse(t);
  provider.refuses = true;
  const page = await (await browser.visit(t, { expected })).tab(url);
  assert.deepEqual(await signInByRedirect(page, origin), { error: "access_denied" });
  assert.equal(page.url(), `${origin}${callbackPath}`);
  assert.equal(await sessionOf(page), undefined);
});

test("by redirect: prompt=none of who is not signed in there comes back as login_required", async (t) => {
  const { url, origin } = await openOidcHouse(t);
  const page = await (await browser.visit(t, { expected })).tab(url);
  assert.deepEqual(await signInByRedirect(page, origin, { prompt: "none" }), { error: "login_required" });
});

test("RFC 9126: a provider that wants pushed requests gets one, and the address has nothing else in it", async (t) => {
  const { url, origin, provider } = await openOidcHouse(t, { par: true, dpop: true });
  const page = await (await browser.visit(t, { expected })).tab(url);
  const addresses = noteAddresses(page);
  assert.equal((await signInByRedirect(page, origin)).username, "nora");
  assert.equal(provider.count("POST", "/request"), 1);
  const asked = addresses.filter((address) => address.startsWith(`${provider.issuer}/auth?`));
  assert.deepEqual([...new URL(asked[0] ?? "").searchParams.keys()], ["client_id", "request_uri"]);
});

test("the back button after signing in brings no code back, and nobody is signed out", async (t) => {
  const { url, origin } = await openOidcHouse(t);
  const page = await (await browser.visit(t, { expected })).tab(url);
  await signInByRedirect(page, origin);
  await page.goBack();
  await isReady(page);
  assert.equal((await sessionOf(page))?.user.username, "nora");
  await page.goForward();
  await isReady(page);
  assert.deepEqual(
    [page.url(), (await sessionOf(page))?.user.username],
    [`${origin}${callbackPath}`, "nora"],
  );
});

test("of two tabs that sign in at the same time each comes back to its own, in whatever order", async (t) => {
  const { url, origin, provider } = await openOidcHouse(t, { dpop: true });
  const visit = await browser.visit(t, { expected });
  const [slow, fast] = await visit.tabs(2, url);
  let goOn = () => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  await slow!.route(`${provider.issuer}/auth?**`, (route) => held.then(() => route.continue()));
  const later = signInByRedirect(slow!, origin, { returnTo: "/slow" });
  assert.deepEqual(await signInByRedirect(fast!, origin, { returnTo: "/fast" }), {
    username: "nora",
    returnTo: "/fast",
  });
  goOn();
  assert.deepEqual(await later, { username: "nora", returnTo: "/slow" });
  for (const tab of [slow!, fast!]) assert.equal(await callApi(tab), 200);
});

test("the answer to a sign-in that somebody else began is not taken", async (t) => {
  const { url, origin } = await openOidcHouse(t);
  const attacker = await (await browser.visit(t, { expected })).tab(url);
  const addresses = noteAddresses(attacker);
  // Without its module the page cannot take it.
  await attacker.route("**/client/oidc.ts", (route) => route.abort());
  await attacker.evaluate(() => void window.oidc.signIn({ prompt: "consent" }).catch(() => {}));
  await attacker.waitForURL(`${origin}${callbackPath}**`);
  const victim = await (await browser.visit(t, { expected })).tab(url);
  await victim.goto(addresses.find((address) => address.startsWith(`${origin}${callbackPath}?code=`)) ?? "");
  await isReady(victim);
  assert.deepEqual(await victim.evaluate(() => window.arrived), { error: "invalid_state" });
  assert.equal(await sessionOf(victim), undefined);
});

async function signInByPopup(page: Page) {
  const opened = page.waitForEvent("popup");
  await page.click("#popup");
  const popup = await opened;
  await page.waitForFunction(() => window.arrived !== undefined);
  return { popup, arrived: await page.evaluate(() => window.arrived) };
}

test("by popup: the page stays, is signed in, and the window is gone", async (t) => {
  const { url, provider } = await openOidcHouse(t, { dpop: true });
  const page = await (await browser.visit(t, { expected })).tab(url);
  const { popup, arrived } = await signInByPopup(page);
  assert.deepEqual([arrived.username, page.url()], ["nora", url]);
  if (!popup.isClosed()) await popup.waitForEvent("close");
  assert.equal(await callApi(page), 200);
  // One code, taken by the page that waited: with the first nonce, and then with the right one.
  assert.equal(provider.count("POST", "/token"), 2);
});

test("by popup: a provider that cuts the windows apart (COOP) makes no difference", async (t) => {
  const { url } = await openOidcHouse(t, { coop: "same-origin" });
  const page = await (await browser.visit(t, { expected })).tab(url);
  const { arrived } = await signInByPopup(page);
  assert.equal(arrived.username, "nora");
  assert.equal(await callApi(page), 200);
});

test("by popup: where nothing can be stored that windows share, the page that waits signs in", async (t) => {
  const { url } = await openOidcHouse(t, { dpop: true });
  const visit = await browser.visit(t, { expected });
  await visit.context.addInitScript(() => {
    Object.defineProperty(window, "indexedDB", { value: undefined });
  });
  const page = await visit.tab(url);
  const { arrived } = await signInByPopup(page);
  assert.equal(arrived.username, "nora");
  assert.equal(await callApi(page), 200);
});

test("by popup: closed or blocked is told, and nobody is signed in", async (t) => {
  const { url, provider } = await openOidcHouse(t);
  const page = await (await browser.visit(t, { expected })).tab(url);
  await page.context().route(`${provider.issuer}/auth?**`, () => {});
  const opened = page.waitForEvent("popup");
  await page.click("#popup");
  await (await opened).close();
  await page.waitForFunction(() => window.arrived !== undefined);
  assert.deepEqual(await page.evaluate(() => window.arrived), { error: "popup_closed" });
  await page.evaluate(() => {
    window.open = () => null;
    window.arrived = undefined as never;
  });
  await page.click("#popup");
  await page.waitForFunction(() => window.arrived !== undefined);
  assert.deepEqual(await page.evaluate(() => window.arrived), { error: "popup_blocked" });
  assert.equal(await sessionOf(page), undefined);
});

test("by popup: what another origin says of the answer is not heard", async (t) => {
  const { url, provider } = await openOidcHouse(t);
  const page = await (await browser.visit(t, { expected })).tab(url);
  // The provider's own page knows the state; a page of its origin is not the callback page all the same.
  await page.context().route(`${provider.issuer}/auth?**`, (route) => route.fulfill({ body: "Sign in" }));
  const opened = page.waitForEvent("popup");
  await page.click("#popup");
  const popup = await opened;
  await popup.waitForURL(`${provider.issuer}/auth?**`);
  await popup.evaluate(() => {
    const state = new URL(location.href).searchParams.get("state");
    window.opener.postMessage({ state, answer: { state, code: "mine" } }, "*");
  });
  await popup.close();
  await page.waitForFunction(() => window.arrived !== undefined);
  assert.deepEqual(await page.evaluate(() => window.arrived), { error: "popup_closed" });
  assert.equal(provider.count("POST", "/token"), 0);
});

test("by popup: when the page that opened it is gone, the window signs in itself", async (t) => {
  const { url, origin, provider } = await openOidcHouse(t);
  const page = await (await browser.visit(t, { expected })).tab(url);
  let goOn = () => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  await page.context().route(`${provider.issuer}/auth?**`, async (route) => {
    await held;
    await route.continue();
  });
  const opened = page.waitForEvent("popup");
  await page.click("#popup");
  const popup = await opened;
  await popup.waitForRequest(/\/auth\?/).catch(() => {});
  await page.reload();
  await isReady(page);
  goOn();
  await popup.waitForURL(`${origin}${callbackPath}**`);
  await isReady(popup);
  assert.equal((await sessionOf(popup))?.user.username, "nora");
  await page.waitForFunction(() => window.told.includes("signedIn nora"));
  assert.equal(await callApi(page), 200);
});

for (const dpop of [true, false]) {
  test(`ten tabs that call at once when the token is over, 10 times, ${dpop ? "bound to a key" : "with tokens that rotate"}: one refresh each time`, async (t) => {
    const { url, origin, provider } = await openOidcHouse(t, { dpop });
    const visit = await browser.visit(t, { expected });
    await visit.startClock(Date.now());
    const tabs = await visit.tabs(10, url);
    await signInByRedirect(tabs[0]!, origin);
    await callApi(tabs[0]!);
    const before = provider.refreshes;
    for (let round = 1; round <= 10; round++) {
      await visit.clock.fastForward(60_000);
      const answers = await Promise.all(tabs.map(callApi));
      assert.deepEqual(answers, Array(10).fill(200), `round ${round}`);
    }
    const asked = provider.refreshes - before;
    // A tab that hears of another's late asks once more where the token stays the same.
    assert.ok(asked >= 10 && asked <= 12, `${asked} refreshes in 10 rounds`);
    for (const tab of tabs) {
      assert.equal((await sessionOf(tab))?.user.username, "nora");
      assert.ok(!(await told(tab)).some((line) => line.startsWith("signedOut")));
    }
  });
}

test("replies that are lost are asked for again: a token that is bound to a key stays the same, and nobody is signed out", async (t) => {
  const { url, origin, provider } = await openOidcHouse(t, { dpop: true });
  const visit = await browser.visit(t, { expected });
  await visit.startClock(Date.now());
  const page = await visit.tab(url);
  await signInByRedirect(page, origin);
  for (let round = 0; round < 3; round++) {
    await visit.clock.fastForward(60_000);
    provider.lostReplies = 2;
    const call = callApi(page);
    let isDone = false;
    void call.finally(() => {
      isDone = true;
    });
    // The client waits a second or two between its tries.
    for (let steps = 0; !isDone && steps < 200; steps++) await visit.clock.runFor(100);
    assert.equal(await call, 200);
    assert.equal(provider.lostReplies, 0);
  }
  assert.ok(!(await told(page)).some((line) => line.startsWith("signedOut")));
});

test("a session that the provider has ended is over in all tabs, and says that it was refused", async (t) => {
  const { url, origin, provider } = await openOidcHouse(t, { dpop: true });
  const visit = await browser.visit(t, { expected });
  await visit.startClock(Date.now());
  const tabs = await visit.tabs(2, url);
  await signInByRedirect(tabs[0]!, origin);
  provider.provider.RefreshToken.find = async () => undefined;
  await visit.clock.fastForward(60_000);
  const call = callApi(tabs[0]!);
  for (let steps = 0; steps < 60; steps++) await visit.clock.runFor(100);
  assert.equal(await call, 401);
  for (const tab of tabs) await tab.waitForFunction(() => window.told.includes("signedOut refused"));
});

test("signing out gives the token back; at the provider too, it leads to the page for that and back", async (t) => {
  const { url, origin, provider } = await openOidcHouse(t, { dpop: true });
  const visit = await browser.visit(t, { expected });
  const page = await visit.tab(url);
  const other = await visit.tab(url);
  await signInByRedirect(page, origin);
  await page.evaluate(() => void window.oidc.signOut({ atProvider: true, state: "seen" }).catch(() => {}));
  await page.getByRole("button", { name: /yes/i }).click();
  await page.waitForURL(`${origin}/bye?state=seen`);
  await isReady(page);
  assert.equal(provider.count("POST", "/token/revocation"), 1);
  assert.equal(await sessionOf(page), undefined);
  await other.waitForFunction(() => window.told.includes("signedOut signed_out"));
  // There, too: nobody is found without being asked.
  assert.deepEqual(await signInByRedirect(page, origin, { prompt: "none" }), { error: "login_required" });
});
