import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { type BareOptions, bareTabUrl, call, callAll, seen, sees, signIn, username } from "./bare-tab.ts";
import { networkErrors, useBrowser } from "./browser.ts";
import { accessTokenSeconds, alice, bob, graceSeconds, openHouse } from "./house.ts";

const browser = useBrowser();

/** Three tabs, in which alice is signed in and has called the API. */
async function openScene(t: Parameters<typeof openHouse>[0], options: BareOptions = {}) {
  const house = await openHouse(t);
  // What is signed out is answered by 401.
  const visit = await browser.visit(t, { expected: [networkErrors] });
  await visit.startClock(house.clock.now());
  const tabs = await visit.tabs(3, bareTabUrl(house.url, options));
  await signIn(tabs[0]!, alice);
  await Promise.all(tabs.map((tab) => sees(tab, "signedIn")));
  assert.deepEqual(await callAll(tabs), [200, 200, 200]);
  return { house, visit, tabs };
}

/** Every tab is told once that it is over, why, and what it asks of the API from then on goes without a token. */
async function assertAllSignedOut(tabs: readonly Page[], reason: string): Promise<void> {
  await Promise.all(tabs.map((tab) => sees(tab, "signedOut", reason)));
  assert.deepEqual(
    await callAll(tabs),
    tabs.map(() => 401),
  );
  for (const tab of tabs) {
    const ends = (await seen(tab)).filter(({ event }) => event === "signedOut");
    assert.deepEqual(ends, [{ event: "signedOut", reason }]);
    assert.equal(await username(tab), undefined);
  }
}

test("a tab that has asked for nothing yet hears that somebody signed in, and out", async (t) => {
  const house = await openHouse(t);
  const visit = await browser.visit(t);
  await visit.startClock(house.clock.now());
  const [active, listening] = await visit.tabs(2, bareTabUrl(house.url, { listensOnly: true }));
  await signIn(active!, alice);
  await sees(listening!, "signedIn");
  await active!.evaluate(() => window.keyturn.signOut());
  await sees(listening!, "signedOut", "signed_out");
});

test("signing out in one tab is seen in the others, and on the server", async (t) => {
  const { house, tabs } = await openScene(t);
  assert.deepEqual(await tabs[1]!.evaluate(() => window.keyturn.signOut()), { told: true });
  await assertAllSignedOut(tabs, "signed_out");
  assert.equal((await house.sessions())[0]?.endReason, "signed_out");
});

test("signing out everywhere ends the other browser too", async (t) => {
  const { house, tabs } = await openScene(t);
  const elsewhere = await browser.visit(t, { expected: [networkErrors] });
  await elsewhere.startClock(house.clock.now());
  const other = await elsewhere.tab(bareTabUrl(house.url));
  await signIn(other, alice);
  await tabs[0]!.evaluate(() => window.keyturn.signOut({ everywhere: true }));
  await assertAllSignedOut(tabs, "signed_out");
  assert.equal(await house.passUntil(call(other), elsewhere.context), 401);
  await assertAllSignedOut([other], "revoked");
});

test("signing out without a network says that nobody was told, and is done here all the same", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  await visit.context.setOffline(true);
  const signingOut = tabs[0]!.evaluate(() => window.keyturn.signOut());
  assert.deepEqual(await house.passUntil(signingOut, visit.context), { told: false });
  await Promise.all(tabs.map((tab) => sees(tab, "signedOut", "signed_out")));
  await visit.context.setOffline(false);
  await assertAllSignedOut(tabs, "signed_out");
});

test("another user who signs in in one tab is signed in in all", async (t) => {
  const { house, tabs } = await openScene(t);
  await signIn(tabs[2]!, bob);
  for (const tab of tabs) {
    await tab.waitForFunction(async (name) => {
      return (await window.keyturn.session())?.user.username === name;
    }, bob.username);
  }
  assert.deepEqual(await callAll(tabs), [200, 200, 200]);
  const subjects = await Promise.all(
    tabs.map((tab) =>
      tab.evaluate(async () => (await (await window.keyturn.fetch("/api/hello")).json()).subject as string),
    ),
  );
  const alive = await house.server.app.sessions.list({ alive: true });
  const owner = alive.find(({ userId }) => userId === subjects[0]);
  assert.ok(owner !== undefined && new Set(subjects).size === 1, "each tab calls as the new user");
});

test("a session that the operator revoked ends in every tab as revoked", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  const [session] = await house.sessions();
  await house.server.app.sessions.end(session!.id, { actor: "operator", reason: "ended_by_operator" });
  assert.equal(await house.passUntil(call(tabs[0]!), visit.context), 401);
  await assertAllSignedOut(tabs, "revoked");
});

test("a stolen refresh token that is used ends the session in every tab as reused", async (t) => {
  const { house, visit, tabs } = await openScene(t, { dpop: false });
  await house.pass(accessTokenSeconds, visit.context);
  assert.equal(await call(tabs[0]!), 200);
  const [stolen] = house.turns.presented();
  // Later than the grace, and replaced more than once since: nobody honest has it any more.
  for (let turn = 0; turn < 5; turn++) {
    await house.pass(accessTokenSeconds + graceSeconds, visit.context);
    assert.deepEqual(await callAll(tabs), [200, 200, 200]);
  }
  const thief = await house.server.call("/refresh", { json: { refreshToken: stolen } });
  assert.deepEqual([thief.status, thief.json.reason], [401, "reused"]);
  await house.pass(accessTokenSeconds, visit.context);
  assert.equal(await house.passUntil(call(tabs[1]!), visit.context), 401);
  await assertAllSignedOut(tabs, "reused");
});

test("a session that nobody used for too long has expired", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  await house.pass(house.server.app.settings.appIdleSeconds + 1, visit.context);
  assert.equal(await house.passUntil(call(tabs[0]!), visit.context), 401);
  await assertAllSignedOut(tabs, "expired");
});

test("stored credentials that are gone, as when the person clears the site's data, are missing", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  const origin = new URL(house.url).origin;
  const debug = await visit.context.newCDPSession(tabs[0]!);
  await debug.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb,local_storage" });
  await house.pass(accessTokenSeconds, visit.context);
  assert.deepEqual(await house.passUntil(callAll(tabs), visit.context), [401, 401, 401]);
  await assertAllSignedOut(tabs, "missing");
});
