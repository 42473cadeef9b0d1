import assert from "node:assert/strict";
import { test } from "node:test";
import { bareTabUrl, call, callAll, seen, signIn, username } from "./bare-tab.ts";
import { networkErrors, useBrowser } from "./browser.ts";
import { accessTokenSeconds, alice, openHouse } from "./house.ts";

/** Browsers that lack something, or keep it from the page. */
const browser = useBrowser();

async function openScene(t: Parameters<typeof openHouse>[0], lacking: () => void = () => {}) {
  const house = await openHouse(t);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  await visit.context.addInitScript(lacking);
  await visit.startClock(house.clock.now());
  return { house, visit };
}

test("a lock that a hanging tab holds keeps the others no longer than lockSeconds", async (t) => {
  const { house, visit } = await openScene(t);
  const lockSeconds = 30;
  const [first, ...others] = await visit.tabs(4, bareTabUrl(house.url, { lockSeconds }));
  await signIn(first!, alice);

  // The lock's name is the client's own: it is seen while a refresh is under way.
  await house.pass(accessTokenSeconds, visit.context);
  const held = Promise.withResolvers<void>();
  house.wire.faults(({ path, count }) =>
    path === "/auth/refresh" && count === 0 ? { before: held.promise } : undefined,
  );
  const calling = call(first!);
  const name = await others[0]!.evaluate(async () => {
    for (;;) {
      const { held = [] } = await navigator.locks.query();
      if (held[0]?.name !== undefined) return held[0].name;
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  });
  held.resolve();
  assert.equal(await calling, 200);

  await first!.evaluate((lock) => {
    void navigator.locks.request(lock, () => new Promise(() => {}));
  }, name);
  await house.pass(accessTokenSeconds, visit.context);
  const asked = house.wire.count("POST", "/auth/refresh");
  const calls = callAll(others);
  await house.pass(lockSeconds / 2, visit.context);
  assert.equal(house.wire.count("POST", "/auth/refresh"), asked, "nobody goes ahead before that");
  await house.pass(lockSeconds / 2, visit.context);
  assert.deepEqual(await calls, [200, 200, 200]);
  const [session] = await house.sessions();
  assert.equal(session?.revokedAt, undefined);
  assert.deepEqual([house.turns.forks(), house.turns.refusals], [[], []]);
});

test("a tab that stands still while it refreshes does not keep the others out", async (t) => {
  const { house, visit } = await openScene(t);
  const [still, ...others] = await visit.tabs(3, bareTabUrl(house.url, { lockSeconds: 1 }));
  await signIn(still!, alice);
  await house.pass(accessTokenSeconds, visit.context);
  const late = Promise.withResolvers<void>();
  house.wire.faults(({ path, count }) =>
    path === "/auth/refresh" && count === 0 ? { after: late.promise } : undefined,
  );
  const asleep = call(still!);
  await others[0]!.waitForFunction(async () => ((await navigator.locks.query()).held ?? []).length > 0);
  // As the browser stops a tab in the background, or a person one in the debugger: no line of its script runs.
  const debug = await visit.context.newCDPSession(still!);
  await debug.send("Debugger.enable");
  await debug.send("Debugger.pause");
  late.resolve();
  // Real seconds: the clocks of all tabs are moved together, and that of one which stands still cannot be.
  assert.deepEqual(await callAll(others), [200, 200]);
  await debug.send("Debugger.disable");
  assert.equal(await asleep, 200);
  const [session] = await house.sessions();
  assert.deepEqual([session?.generation, session?.revokedAt], [house.turns.count(), undefined]);
  assert.deepEqual([house.turns.forks(), house.turns.refusals], [[], []]);
});

for (const [what, lacking] of [
  ["there is no IndexedDB", () => Object.defineProperty(window, "indexedDB", { value: undefined })],
  [
    "the page may not see IndexedDB",
    () =>
      Object.defineProperty(window, "indexedDB", {
        get() {
          throw new DOMException("The operation is insecure.", "SecurityError");
        },
      }),
  ],
  [
    "opening IndexedDB throws",
    () => {
      IDBFactory.prototype.open = () => {
        throw new DOMException("The operation is insecure.", "SecurityError");
      };
    },
  ],
  [
    "opening IndexedDB fails",
    () => {
      IDBFactory.prototype.open = () => {
        const request = new EventTarget() as IDBOpenDBRequest;
        const error = new DOMException("A mutation operation was attempted.", "InvalidStateError");
        Object.defineProperty(request, "error", { value: error });
        queueMicrotask(() => {
          request.onerror?.(new Event("error"));
          request.dispatchEvent(new Event("error"));
        });
        return request;
      };
    },
  ],
] as const) {
  test(`where ${what}, a tab works from memory: signs in, calls, refreshes, signs out`, async (t) => {
    const { house, visit } = await openScene(t, lacking as () => void);
    const tab = await visit.tab(bareTabUrl(house.url));
    await signIn(tab, alice);
    assert.equal(await username(tab), alice.username);
    for (let turn = 1; turn <= 3; turn++) {
      await house.pass(accessTokenSeconds, visit.context);
      assert.equal(await house.passUntil(call(tab), visit.context), 200);
    }
    assert.equal((await house.sessions())[0]?.generation, 3);
    assert.deepEqual(await tab.evaluate(() => window.keyturn.signOut()), { told: true });
    const ends = (await seen(tab)).filter(({ event }) => event === "signedOut");
    assert.deepEqual(ends, [{ event: "signedOut", reason: "signed_out" }]);
    await tab.reload();
    assert.equal(await username(tab), undefined);
  });
}
