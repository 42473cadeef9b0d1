import assert from "node:assert/strict";
import { test } from "node:test";
import { bareTabUrl, call, callAll, seen, sees, signIn, username } from "./bare-tab.ts";
import { networkErrors, useBrowser } from "./browser.ts";
import { accessTokenSeconds, alice, bob, openHouse } from "./house.ts";

/** The client's other mode: the session is a cookie that no script can read. */
const browser = useBrowser();

async function openScene(t: Parameters<typeof openHouse>[0]) {
  const house = await openHouse(t);
  const visit = await browser.visit(t, { expected: [networkErrors, /blocked by CORS policy/] });
  await visit.startClock(house.clock.now());
  const url = bareTabUrl(house.url, { mode: "cookie" });
  const tabs = await visit.tabs(3, url);
  await signIn(tabs[0]!, alice);
  await Promise.all(tabs.map((tab) => sees(tab, "signedIn")));
  return { house, visit, tabs, url };
}

test("three tabs share the cookie: signed in by one of them, for as long as it lasts, without a turn", async (t) => {
  const { house, visit, tabs, url } = await openScene(t);
  for (let round = 1; round <= 20; round++) {
    assert.deepEqual(await callAll(tabs), [200, 200, 200]);
    await house.pass(accessTokenSeconds, visit.context);
  }
  const [session, ...others] = await house.sessions();
  assert.deepEqual([others.length, session?.generation, session?.revokedAt], [0, 0, undefined]);
  assert.equal(house.wire.count("POST", "/auth/refresh"), 0);
  for (const tab of tabs) {
    assert.equal(await username(tab), alice.username);
    assert.ok(!(await seen(tab)).some(({ event }) => event === "signedOut"));
  }

  const [cookie, ...more] = await visit.context.cookies();
  assert.deepEqual([more.length, cookie?.httpOnly, cookie?.sameSite], [0, true, "Lax"]);
  const visible = await tabs[0]!.evaluate(async () => {
    const databases = await indexedDB.databases();
    return {
      cookies: document.cookie,
      stored: databases.length + localStorage.length + sessionStorage.length,
    };
  });
  assert.deepEqual(visible, { cookies: "", stored: 0 }, "a script finds nothing that could be taken away");

  await tabs[1]!.close();
  const later = await visit.tab(url);
  assert.equal(await username(later), alice.username);
});

test("signing out in one tab is seen in all, and takes the cookie away", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  assert.deepEqual(await tabs[1]!.evaluate(() => window.keyturn.signOut()), { told: true });
  await Promise.all(tabs.map((tab) => sees(tab, "signedOut", "signed_out")));
  assert.deepEqual(await house.passUntil(callAll(tabs), visit.context), [401, 401, 401]);
  assert.deepEqual(await visit.context.cookies(), []);
  assert.equal((await house.sessions())[0]?.endReason, "signed_out");
});

test("another user who signs in in one tab is signed in in all", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  await signIn(tabs[2]!, bob);
  for (const tab of tabs) {
    await tab.waitForFunction(async (name) => {
      return (await window.keyturn.session())?.user.username === name;
    }, bob.username);
  }
  assert.deepEqual(await house.passUntil(callAll(tabs), visit.context), [200, 200, 200]);
});

test("a session that the operator revoked ends in every tab as revoked", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  assert.deepEqual(await callAll(tabs), [200, 200, 200]);
  const [session] = await house.sessions();
  await house.server.app.sessions.end(session!.id, { actor: "operator", reason: "ended_by_operator" });
  assert.equal(await house.passUntil(call(tabs[0]!), visit.context), 401);
  await Promise.all(tabs.map((tab) => sees(tab, "signedOut", "revoked")));
});

test("lost replies, a storm, an hour offline and a restart sign nobody out", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  const all = async () => house.passUntil(callAll(tabs), visit.context);
  const onSession = "/auth/session";
  await house.pass(accessTokenSeconds, visit.context);
  let faults = 2;
  house.wire.faults(({ path }) => (path === onSession && faults-- > 0 ? "lose-reply" : undefined));
  assert.deepEqual(await all(), [200, 200, 200]);

  await house.pass(accessTokenSeconds, visit.context);
  house.wire.faults(({ path }) => (path === onSession ? { status: 503, retryAfterSeconds: 1 } : undefined));
  assert.deepEqual(new Set(await all()), new Set(["unavailable"]));
  house.wire.faults();
  assert.deepEqual(await all(), [200, 200, 200]);

  await visit.context.setOffline(true);
  await house.pass(3600, visit.context);
  assert.deepEqual(new Set(await all()), new Set(["unavailable"]));
  await visit.context.setOffline(false);
  assert.deepEqual(await all(), [200, 200, 200]);

  await house.pass(accessTokenSeconds, visit.context);
  let calls: Promise<(string | number)[]> | undefined;
  await house.restart(async () => {
    calls = callAll(tabs);
    await house.pass(5, visit.context);
  });
  assert.deepEqual(await house.passUntil(calls!, visit.context), [200, 200, 200]);
  for (const tab of tabs) assert.ok(!(await seen(tab)).some(({ event }) => event === "signedOut"));
});

test("a page of another site reads nothing by the cookie and ends nothing", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  // The same server by another name: to the browser it is another site.
  const elsewhere = await visit.context.newPage();
  await elsewhere.goto(`${house.url.replace("127.0.0.1", "localhost")}/bare`);
  const outcomes = await elsewhere.evaluate(async (issuer) => {
    const attempt = (path: string, init: RequestInit) =>
      fetch(issuer + path, { credentials: "include", ...init }).then(
        (response) => `read ${response.status}`,
        () => "stopped",
      );
    return [
      await attempt("/session", {}),
      await attempt("/logout", {
        method: "POST",
        body: "{}",
        headers: { "content-type": "application/json" },
      }),
      await attempt("/logout", { method: "POST", mode: "no-cors", body: "{}" }),
    ];
  }, house.issuer);
  assert.deepEqual(outcomes.slice(0, 2), ["stopped", "stopped"]);
  await house.pass(accessTokenSeconds, visit.context);
  assert.deepEqual(await house.passUntil(callAll(tabs), visit.context), [200, 200, 200]);
});
