import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { untilTrue } from "../stage.ts";
import { bareTabUrl, call, callAll, seen, signIn, username } from "./bare-tab.ts";
import { networkErrors, useBrowser, type Visit } from "./browser.ts";
import { accessTokenSeconds, alice, graceSeconds, type House, openHouse } from "./house.ts";
import type { Fault, Passing } from "./wire.ts";

const browser = useBrowser();
const refresh = "/auth/refresh";

interface Scene {
  readonly house: House;
  readonly visit: Visit;
  readonly tab: Page;
}

/** A tab that is signed in and whose access token is over. */
async function openScene(t: Parameters<typeof openHouse>[0]): Promise<Scene> {
  const house = await openHouse(t);
  const visit = await browser.visit(t, { expected: [networkErrors] });
  await visit.startClock(house.clock.now());
  const tab = await visit.tab(bareTabUrl(house.url));
  await signIn(tab, alice);
  await house.pass(accessTokenSeconds, visit.context);
  return { house, visit, tab };
}

/** The fault for refreshes only, by how many came before. */
const onRefresh = (faultOf: (count: number) => Fault | undefined) => (passing: Passing) =>
  passing.path === refresh ? faultOf(passing.count) : undefined;

/** Still the one session, turned so often; no refresh was refused and no tab saw an end. */
async function assertSignedIn({ house, visit }: Scene, turns: number, turnsMax = turns): Promise<void> {
  const [session, ...others] = await house.sessions();
  assert.deepEqual(others, []);
  assert.ok(session && session.generation >= turns && session.generation <= turnsMax);
  assert.equal(session.revokedAt, undefined);
  assert.deepEqual(
    [house.turns.count(), house.turns.forks(), house.turns.refusals],
    [session.generation, [], []],
  );
  for (const page of visit.context.pages()) {
    assert.equal(await username(page), alice.username);
    assert.ok(!(await seen(page)).some(({ event }) => event === "signedOut"));
  }
}

test("a refresh whose reply is lost is tried again and gets the same successor", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  house.wire.faults(onRefresh((count) => (count === 0 ? "lose-reply" : undefined)));
  assert.equal(await house.passUntil(call(tab), visit.context), 200);
  assert.ok(house.wire.count("POST", refresh) >= 2);
  await assertSignedIn(scene, 1);
});

test("a refresh that the browser itself sends again, on a connection that breaks after the server's turn, is one turn", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  house.wire.keepConnections();
  // The connection that is used again.
  assert.equal(await house.passUntil(call(tab), visit.context), 200);
  await house.pass(accessTokenSeconds, visit.context);
  const before = house.wire.count("POST", refresh);
  house.wire.faults(onRefresh((count) => (count === before ? "lose-reply" : undefined)));
  const asked: string[] = [];
  visit.context.on("request", (request) => asked.push(new URL(request.url()).pathname));
  assert.equal(await call(tab), 200);
  assert.equal(house.wire.count("POST", refresh), before + 2);
  assert.equal(asked.filter((path) => path === refresh).length, 1, "the page asked once");
  await assertSignedIn(scene, 2);
});

test("a lost reply that is asked for again after the grace is over: the attempt key answers", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  const lostUntil = house.clock.now() + 2 * graceSeconds * 1000;
  house.wire.faults(
    onRefresh((count) =>
      count === 0 ? "lose-reply" : house.clock.now() < lostUntil ? "lose-request" : undefined,
    ),
  );
  const first = await house.passUntil(call(tab), visit.context);
  assert.ok(first === 200 || first === "unavailable", `the call came to ${first}`);
  while (house.clock.now() < lostUntil) await house.pass(1, visit.context);
  assert.equal(await house.passUntil(call(tab), visit.context), 200);
  await assertSignedIn(scene, 1);
});

for (const [when, seconds] of [
  ["at once", 0],
  ["after the grace", 2 * graceSeconds],
  ["most of a day later", 23 * 60 * 60],
] as const) {
  test(`a reply lost as the page is reloaded, asked for again ${when}: still signed in`, async (t) => {
    const scene = await openScene(t);
    const { house, visit, tab } = scene;
    const gone = Promise.withResolvers<void>();
    house.wire.faults(onRefresh((count) => (count === 0 ? { after: gone.promise } : undefined)));
    call(tab).catch(() => {});
    await untilTrue(5, () => house.turns.count() === 1, "the server did not turn");
    await tab.reload();
    gone.resolve();
    await house.pass(seconds, visit.context);
    assert.equal(await house.passUntil(call(tab), visit.context), 200);
    await assertSignedIn(scene, 1);
  });
}

test("a refresh that never arrives is tried again", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  house.wire.faults(onRefresh((count) => (count < 2 ? "lose-request" : undefined)));
  assert.equal(await house.passUntil(call(tab), visit.context), 200);
  await assertSignedIn(scene, 1);
});

test("a refresh that arrives twice at once is one turn", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  house.wire.faults(onRefresh(() => "duplicate"));
  for (let turn = 1; turn <= 5; turn++) {
    assert.equal(await call(tab), 200);
    await assertSignedIn(scene, turn);
    await house.pass(accessTokenSeconds, visit.context);
  }
});

test("an answer that takes longer than the grace, so that the client asks again meanwhile, signs nobody out", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  const late = Promise.withResolvers<void>();
  house.wire.faults(onRefresh((count) => (count === 0 ? { after: late.promise } : undefined)));
  const status = await house.passUntil(call(tab), visit.context);
  late.resolve();
  if (status !== 200) assert.equal(await house.passUntil(call(tab), visit.context), 200);
  await assertSignedIn(scene, 1);
});

for (const status of [429, 503] as const) {
  test(`a storm of ${status} answers from a proxy signs nobody out, and is over when it is over`, async (t) => {
    const scene = await openScene(t);
    const { house, visit, tab } = scene;
    const more = await visit.tabs(2, bareTabUrl(house.url));
    let isStorm = true;
    house.wire.faults(onRefresh(() => (isStorm ? { status, retryAfterSeconds: 2 } : undefined)));
    const during = await house.passUntil(callAll([tab, ...more]), visit.context);
    assert.deepEqual(new Set(during), new Set(["unavailable"]));
    const asked = house.wire.count("POST", refresh);
    assert.ok(asked < 60, `${asked} refreshes in the minute of the storm: three tabs must not add to it`);
    isStorm = false;
    assert.deepEqual(await house.passUntil(callAll([tab, ...more]), visit.context), [200, 200, 200]);
    await assertSignedIn(scene, 1);
  });
}

test("a portal that answers in Keyturn's place, whatever it answers, signs nobody out", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  const statuses = [200, 204, 302, 400, 401, 403, 404, 500, 511];
  house.wire.faults(
    onRefresh((count) => (count < statuses.length ? { status: statuses[count] ?? 0 } : undefined)),
  );
  for (let calls = 0; calls < statuses.length; calls++) {
    const came = await house.passUntil(call(tab), visit.context);
    if (came === 200) break;
    assert.equal(came, "unavailable");
  }
  assert.ok(house.wire.count("POST", refresh) > statuses.length);
  assert.equal(await house.passUntil(call(tab), visit.context), 200);
  await assertSignedIn(scene, 1);
});

test("a tab that is offline for an hour stays signed in and goes on when the network is back", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  await visit.context.setOffline(true);
  assert.equal(await house.passUntil(call(tab), visit.context), "unavailable");
  await house.pass(3600, visit.context);
  assert.equal(await username(tab), alice.username);
  await visit.context.setOffline(false);
  assert.equal(await house.passUntil(call(tab), visit.context), 200);
  await assertSignedIn(scene, 1);
});

test("a server that restarts while tabs refresh signs nobody out", async (t) => {
  const scene = await openScene(t);
  const { house, visit, tab } = scene;
  const tabs = [tab, ...(await visit.tabs(2, bareTabUrl(house.url)))];
  house.wire.faults(onRefresh((count) => (count === 0 ? "lose-reply" : undefined)));
  let calls: Promise<(string | number)[]> | undefined;
  await house.restart(async () => {
    calls = callAll(tabs);
    await house.pass(5, visit.context);
  });
  assert.deepEqual(await house.passUntil(calls!, visit.context), [200, 200, 200]);
  // A tab that hears late of the turn of another one makes its own, which signs nobody out.
  await assertSignedIn(scene, 1, tabs.length);
});
