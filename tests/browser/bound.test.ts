import assert from "node:assert/strict";
import { test } from "node:test";
import { bareTabUrl, call, callAll, seen, signIn, username } from "./bare-tab.ts";
import { networkErrors, useBrowser } from "./browser.ts";
import { accessTokenSeconds, alice, graceSeconds, type HouseOptions, openHouse } from "./house.ts";

/** RFC 9449: sessions that are bound to a key which cannot be taken out of the browser. */
const browser = useBrowser();
const tokensToo: HouseOptions = { accessTokenBinding: "dpop" };

async function openScene(t: Parameters<typeof openHouse>[0], settings: HouseOptions = {}) {
  const house = await openHouse(t, settings);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  await visit.startClock(house.clock.now());
  const tabs = await visit.tabs(3, bareTabUrl(house.url));
  await signIn(tabs[0]!, alice);
  return { house, visit, tabs };
}

test("a stolen refresh token is worth nothing to a thief, and costs the owner nothing", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  await house.pass(accessTokenSeconds, visit.context);
  assert.deepEqual(await callAll(tabs), [200, 200, 200]);
  const [stolen] = house.turns.presented();
  const json = { refreshToken: stolen };
  for (const seconds of [0, accessTokenSeconds + graceSeconds]) {
    await house.pass(seconds, visit.context);
    const thief = await house.server.call("/refresh", { json });
    assert.deepEqual([thief.status, thief.json.error], [400, "invalid_dpop_proof"]);
    assert.deepEqual(await callAll(tabs), [200, 200, 200]);
  }
  for (const tab of tabs) assert.ok(!(await seen(tab)).some(({ event }) => event === "signedOut"));
});

test("no script of the page can take the keys away", async (t) => {
  const { house, visit, tabs } = await openScene(t);
  const [tab] = tabs;
  const attempts = await tab!.evaluate(async () => {
    const keys: CryptoKey[] = [];
    const collect = (value: unknown): void => {
      if (value instanceof CryptoKey) keys.push(value);
      else if (typeof value === "object" && value !== null) Object.values(value).forEach(collect);
    };
    for (const { name = "" } of await indexedDB.databases()) {
      const database = await new Promise<IDBDatabase>((resolve, reject) => {
        const opening = indexedDB.open(name);
        opening.onsuccess = () => resolve(opening.result);
        opening.onerror = () => reject(opening.error);
      });
      for (const store of database.objectStoreNames) {
        const reading = database.transaction(store).objectStore(store).getAll();
        await new Promise((resolve) => {
          reading.onsuccess = resolve;
        });
        collect(reading.result);
      }
      database.close();
    }
    return Promise.all(
      keys.map((key) =>
        crypto.subtle.exportKey("jwk", key).then(
          () => "taken away",
          (error) => (error as Error).name,
        ),
      ),
    );
  });
  assert.deepEqual(
    attempts,
    ["InvalidAccessError", "InvalidAccessError"],
    "the device's key and the session's",
  );
  await tab!.reload();
  await house.pass(accessTokenSeconds, visit.context);
  assert.equal(await call(tab!), 200, "and after a reload they are still of use");
});

test("where access tokens are bound too, each request of each tab carries its own proof", async (t) => {
  const { house, visit, tabs } = await openScene(t, tokensToo);
  for (let round = 1; round <= 5; round++) {
    assert.deepEqual(await callAll(tabs), [200, 200, 200]);
    assert.equal(await call(tabs[1]!, `${house.issuer}/sessions?before=`), 400);
    assert.equal(await call(tabs[2]!, `${house.issuer}/sessions`), 200);
    await house.pass(accessTokenSeconds, visit.context);
  }
  const token = await tabs[0]!.evaluate(() => window.keyturn.accessToken());
  for (const scheme of ["Bearer", "DPoP"]) {
    const thief = await fetch(`${house.url}/api/hello`, { headers: { authorization: `${scheme} ${token}` } });
    assert.equal(thief.status, 401, `by ${scheme}, without a proof`);
  }
});

test("a device whose clock is an hour wrong proves by the server's nonce and time", async (t) => {
  for (const seconds of [3600, -3600]) {
    const house = await openHouse(t, tokensToo);
    const visit = await browser.visit(t, { expected: [networkErrors] });
    await visit.startClock(house.clock.now() + seconds * 1000);
    const tab = await visit.tab(bareTabUrl(house.url));
    await signIn(tab, alice);
    for (let round = 0; round < 3; round++) {
      assert.equal(await call(tab), 200);
      await house.pass(accessTokenSeconds, visit.context);
    }
    await tab.reload();
    assert.equal(await username(tab), alice.username);
    assert.equal(await call(tab), 200, "after a reload, when the page knows no time again");
  }
});
