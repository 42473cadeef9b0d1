import assert from "node:assert/strict";
import { test } from "node:test";
import { testEngine } from "../../packages/server/src/storage/test-database.ts";
import { bareTabUrl, callAll, signIn } from "./bare-tab.ts";
import { useBrowser } from "./browser.ts";
import { accessTokenSeconds, alice, openHouse } from "./house.ts";

// On both engines: which of several racers wins is the database's to decide.
const browser = useBrowser();
const rounds = 10;

test(`without Web Locks ten tabs race, and the server brings them to one session (${testEngine})`, async (t) => {
  const house = await openHouse(t);
  const visit = await browser.visit(t);
  await visit.context.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, "locks", { value: undefined });
  });
  await visit.startClock(house.clock.now());
  const tabs = await visit.tabs(10, bareTabUrl(house.url));
  await signIn(tabs[0]!, alice);
  for (let round = 1; round <= rounds; round++) {
    // What the tabs tell one another has arrived: news is not under way for a minute.
    await house.calm();
    await house.pass(accessTokenSeconds, visit.context);
    assert.deepEqual(new Set(await callAll(tabs)), new Set([200]), `round ${round}`);
  }
  const [session, ...others] = await house.sessions();
  assert.deepEqual([others.length, session?.revokedAt], [0, undefined]);
  assert.equal(session?.generation, house.turns.count());
  assert.deepEqual([house.turns.forks(), house.turns.refusals], [[], []]);
  assert.ok(house.wire.count("POST", "/auth/refresh") > house.turns.count(), "they did race");
});
