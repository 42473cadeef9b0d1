import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { explainSession } from "../../packages/server/src/admin/commands/sessions.ts";
import { networkErrors, useBrowser } from "./browser.ts";
import { alice, openHouse } from "./house.ts";
import type { Fault, Passing } from "./wire.ts";

const browser = useBrowser();
const tabsCount = 10;
const stepMinutes = 15;
const accessTokenSeconds = 600;

/** The same numbers at every run (mulberry32): a day that went wrong can be lived again. */
function randomFrom(seed: number) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A poor network: of what goes to Keyturn and the API, every fourth request meets with something. */
function poorNetwork(random: () => number) {
  const met = new Map<string, number>();
  const fault = (name: string, what: Fault): Fault => {
    met.set(name, (met.get(name) ?? 0) + 1);
    return what;
  };
  return {
    met,
    faultOf({ path }: Passing): Fault | undefined {
      if (!/^\/(auth|api)\//.test(path)) return undefined;
      const dice = random();
      if (dice < 0.06) return fault("lost requests", "lose-request");
      if (dice < 0.14) return fault("lost replies", "lose-reply");
      if (dice < 0.18) return fault("duplicates", "duplicate");
      if (dice < 0.21) return fault("503", { status: 503, retryAfterSeconds: 1 });
      if (dice < 0.25) {
        const milliseconds = random() * 80;
        return fault("delays", random() < 0.5 ? { before: milliseconds } : { after: milliseconds });
      }
      return undefined;
    },
  };
}

/** Clicks and does not wait for what comes of it. */
const callTheApi = (page: Page) => page.evaluate(() => document.getElementById("call")?.click());

test("ten tabs of examples/spa through a day with a poor network: all are still signed in", async (t) => {
  const house = await openHouse(t, { accessTokenSeconds });
  const visit = await browser.visit(t, { expected: [networkErrors] });
  await visit.startClock(house.clock.now());
  const tabs = await visit.tabs(tabsCount, house.spa);
  const [first] = tabs;
  await first!.getByLabel("Username").fill(alice.username);
  await first!.getByLabel("Password").fill(alice.password);
  await first!.getByRole("button", { name: "Sign in" }).click();
  for (const tab of tabs) await tab.getByText(`Signed in as ${alice.username}`).waitFor();

  const seed = 20_261_125;
  const random = randomFrom(seed);
  const network = poorNetwork(random);
  house.wire.faults(network.faultOf);
  const endAt = house.clock.now() + 24 * 3600 * 1000;
  while (house.clock.now() < endAt) {
    const active = tabs.filter(() => random() < 0.4);
    for (const tab of active) {
      if (random() < 0.1) await tab.reload();
      else await callTheApi(tab);
    }
    // A request that takes no second is not under way for a quarter of an hour.
    await house.calm();
    await house.pass(1 + Math.floor(random() * 2 * stepMinutes * 60), visit.context);
  }

  house.wire.faults();
  const story = `seed ${seed}; ${[...network.met].map(([name, count]) => `${count} ${name}`).join(", ")}`;
  await house.pass(accessTokenSeconds, visit.context);
  for (const tab of tabs) {
    assert.doesNotMatch((await tab.locator("#log").textContent()) ?? "", /signedOut/, story);
    await callTheApi(tab);
  }
  const answers = Promise.all(tabs.map((tab) => tab.locator("#answer", { hasText: "Hello, " }).waitFor()));
  await house.passUntil(answers, visit.context);
  for (const tab of tabs) assert.ok(await tab.getByText(`Signed in as ${alice.username}`).isVisible(), story);

  const [session, ...others] = await house.sessions();
  assert.deepEqual([others.length, house.turns.forks(), house.turns.refusals], [0, [], []], story);
  assert.equal(session?.generation, house.turns.count(), story);
  const { app } = house.server;
  const explained = await explainSession({ ...app, clock: app.database.clock }, session!.id);
  assert.ok(explained.outcome === "explained");
  const { state, summary, moments } = explained.explanation;
  assert.equal(state, "alive", summary);
  assert.match(moments[0]?.text ?? "", /^Signed in/);
  assert.match(moments.map(({ text }) => text).join("\n"), /\d+ earlier turns/);
  t.diagnostic(`${story}; ${summary}`);
});
