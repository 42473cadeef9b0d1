import assert from "node:assert/strict";
import { test } from "node:test";
import { bareTabUrl, callAll, seen, signIn, username } from "./bare-tab.ts";
import { useBrowser } from "./browser.ts";
import { accessTokenSeconds, alice, openHouse } from "./house.ts";

const browser = useBrowser();
const rounds = 100;

for (const count of [2, 10]) {
  test(`${count} tabs that call at once when the token is over, ${rounds} times: one turn each time, nobody is signed out`, async (t) => {
    const house = await openHouse(t);
    const visit = await browser.visit(t);
    await visit.startClock(house.clock.now());
    const tabs = await visit.tabs(count, bareTabUrl(house.url));
    await signIn(tabs[0]!, alice);

    for (let round = 1; round <= rounds; round++) {
      await house.pass(accessTokenSeconds, visit.context);
      assert.deepEqual(
        await callAll(tabs),
        tabs.map(() => 200),
        `round ${round}`,
      );
    }

    const [session, ...others] = await house.sessions();
    assert.deepEqual(others, []);
    assert.equal(session?.revokedAt, undefined);
    assert.equal(session?.generation, house.turns.count());
    assert.deepEqual([house.turns.forks(), house.turns.refusals], [[], []]);
    // A tab that hears of another's turn late turns once more, which costs a request and nothing else.
    const spare = house.turns.count() - rounds;
    assert.ok(spare >= 0 && spare <= rounds / 10, `${spare} turns more than rounds`);
    const asked = house.wire.count("POST", "/auth/refresh");
    assert.ok(asked < rounds * 1.5, `${asked} requests: the tabs take turns, they do not race`);
    for (const tab of tabs) {
      assert.equal(await username(tab), alice.username);
      assert.ok(!(await seen(tab)).some(({ event }) => event === "signedOut"));
    }
  });
}
