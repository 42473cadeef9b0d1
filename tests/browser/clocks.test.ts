import assert from "node:assert/strict";
import { test } from "node:test";
import { bareTabUrl, call, seen, signIn } from "./bare-tab.ts";
import { networkErrors, useBrowser } from "./browser.ts";
import { accessTokenSeconds, alice, openHouse } from "./house.ts";

const browser = useBrowser();
const hour = 3600;
const refreshes = ["POST", "/auth/refresh"] as const;

for (const [wrong, seconds] of [
  ["an hour fast", hour],
  ["an hour slow", -hour],
  ["in another decade", -10 * 365 * 24 * hour],
] as const) {
  test(`a device whose clock is ${wrong} signs in, calls and refreshes like any other`, async (t) => {
    const house = await openHouse(t);
    // The first proof of a device with such a clock is refused with the server's nonce, and the second is good.
    const visit = await browser.visit(t, { expected: [networkErrors] });
    await visit.startClock(house.clock.now() + seconds * 1000);
    const tab = await visit.tab(bareTabUrl(house.url));
    await signIn(tab, alice);
    assert.ok(house.wire.count("POST", "/auth/login") <= 2);
    for (let minute = 1; minute <= 5; minute++) {
      for (let calls = 0; calls < 5; calls++) assert.equal(await call(tab), 200);
      assert.equal(house.wire.count(...refreshes), minute - 1, "one refresh a minute, none for the clock");
      await house.pass(accessTokenSeconds, visit.context);
    }
    assert.ok(!(await seen(tab)).some(({ event }) => event === "signedOut"));
  });
}

for (const [jump, seconds] of [
  ["forward", hour],
  ["back", -hour],
] as const) {
  test(`a clock that jumps an hour ${jump} while the page is open changes nothing`, async (t) => {
    const house = await openHouse(t);
    const visit = await browser.visit(t);
    await visit.startClock(house.clock.now());
    const tab = await visit.tab(bareTabUrl(house.url));
    await signIn(tab, alice);
    assert.equal(await call(tab), 200);
    const before = await tab.evaluate(() => [Date.now(), performance.now()] as const);
    await visit.clock.setSystemTime(house.clock.now() + seconds * 1000);
    const after = await tab.evaluate(() => [Date.now(), performance.now()] as const);
    assert.ok(Math.abs(after[0] - before[0] - seconds * 1000) < 60_000, "the page's date has jumped");
    assert.ok(after[1] >= before[1] && after[1] - before[1] < 60_000, "time itself has not");

    for (let calls = 0; calls < 3; calls++) assert.equal(await call(tab), 200);
    assert.equal(house.wire.count(...refreshes), 0, "the token is as good as before");
    await house.pass(accessTokenSeconds, visit.context);
    assert.equal(await call(tab), 200);
    assert.equal(house.wire.count(...refreshes), 1, "and ends when it would have ended");
    await tab.reload();
    assert.equal(await call(tab), 200);
  });
}

test("a laptop that slept, for whose page no time has passed: one turn, and no sign-out", async (t) => {
  const house = await openHouse(t);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  await visit.startClock(house.clock.now());
  const tab = await visit.tab(bareTabUrl(house.url));
  await signIn(tab, alice);
  for (let night = 1; night <= 3; night++) {
    house.clock.pass(8 * hour);
    // The date is right when it wakes, but a page's own clock does not count the night.
    await visit.clock.setSystemTime(house.clock.now());
    assert.equal(await call(tab), 200);
    assert.equal(house.turns.count(), night);
    assert.ok(house.wire.count(...refreshes) <= 2 * night, "a proof of yesterday is made again with a nonce");
    await house.pass(accessTokenSeconds / 2, visit.context);
  }
  assert.ok(!(await seen(tab)).some(({ event }) => event === "signedOut"));
});
