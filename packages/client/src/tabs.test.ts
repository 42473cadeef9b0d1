import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { memoryStorage } from "./memory-storage.ts";
import { apiUrl } from "./test-issuer.ts";
import {
  createWorld,
  lostReply,
  type Network,
  offline,
  sharedStorage,
  signIn,
  spoilWallClock,
  type Tab,
  type World,
} from "./test-world.ts";

let restore: () => void;
before(() => {
  restore = spoilWallClock();
});
after(() => restore());

const noChannel = { openChannel: () => undefined };
const noLocks = { locks: undefined };

async function openTabs(count: number, internals: Parameters<World["openTab"]>[1] = {}) {
  const world = createWorld();
  const storage = sharedStorage();
  const tabs = Array.from({ length: count }, () => world.openTab({ storage }, internals));
  const [first] = tabs as [Tab, ...Tab[]];
  await signIn(world, first);
  await world.timeline.settle();
  return { world, tabs, first, storage };
}

const tokensOf = (world: World, tabs: readonly Tab[]) =>
  world.timeline.run(Promise.all(tabs.map(({ client }) => client.accessToken())));

const signedOut = (tabs: readonly Tab[]) =>
  tabs.flatMap(({ events }) => events.filter((event) => event.startsWith("signedOut")));

describe("tabs of one browser", () => {
  test("who signs in in one tab is signed in in all, without another request", async () => {
    const { world, tabs } = await openTabs(5);
    for (const { client } of tabs) assert.equal(await world.whoAmI(client), "alice");
    assert.equal(world.refreshes().length, 0);
  });

  test("that all need a token at one moment make one request", async () => {
    const { world, tabs } = await openTabs(10);
    await world.timeline.advance(700_000);
    const tokens = await tokensOf(world, tabs);
    assert.deepEqual([new Set(tokens).size, world.refreshes().length], [1, 1]);
    assert.ok(tabs.every(({ events }) => events.at(-1) === "refreshed alice"));
  });

  for (const delayMs of [20, 200]) {
    test(`news that comes ${delayMs} ms later than the lock is waited for, and no longer than it takes`, async () => {
      const { world, tabs } = await openTabs(10);
      world.hub.delayMs = delayMs;
      await world.timeline.advance(700_000);
      const startedAt = world.timeline.now();
      await tokensOf(world, tabs);
      assert.equal(world.refreshes().length, 1);
      assert.ok(world.timeline.now() - startedAt < delayMs + 50);
    });

    test(`so is the reason for which another tab has emptied the store, ${delayMs} ms after that`, async () => {
      const { world, tabs, first } = await openTabs(2);
      const [, other] = tabs as [Tab, Tab];
      assert.equal(await world.whoAmI(other.client), "alice");
      world.hub.delayMs = delayMs;
      await world.timeline.run(first.client.signOut());
      await world.timeline.run(other.client.session());
      assert.deepEqual(signedOut([other]), ["signedOut signed_out"]);
    });
  }

  for (const [name, internals] of [
    ["locks", noLocks],
    ["channels", noChannel],
    ["locks and channels", { ...noLocks, ...noChannel }],
  ] as const) {
    test(`without ${name}, 10 tabs turn 100 times, all at once, and nobody is signed out`, async () => {
      const { world, tabs } = await openTabs(10, internals);
      for (let turn = 0; turn < 100; turn++) {
        await world.timeline.advance(620_000);
        for (const token of await tokensOf(world, tabs)) assert.ok(token.length > 10);
      }
      assert.deepEqual(signedOut(tabs), []);
      assert.equal(await world.whoAmI((tabs[3] as Tab).client), "alice");
    });
  }

  test("10 clients that share a plain storage and know nothing of one another turn 100 times", async () => {
    const world = createWorld();
    const storage = memoryStorage();
    const tabs = Array.from({ length: 10 }, () => world.openTab({ storage }));
    await signIn(world, tabs[0] as Tab);
    for (let turn = 0; turn < 100; turn++) {
      await world.timeline.advance(620_000);
      await tokensOf(world, tabs);
    }
    assert.deepEqual(signedOut(tabs), []);
  });

  test("a tab that was frozen with the lock in its hand holds each of the others up for ten seconds, no longer", async () => {
    const { world, tabs } = await openTabs(3);
    await world.timeline.advance(700_000);
    void world.locks.request(
      "keyturn:https://auth.example.com",
      { signal: new AbortController().signal },
      () => {
        return new Promise(() => {});
      },
    );
    const waits = tabs.slice(1).map(async ({ client }, index) => {
      await world.timeline.sleep(index * 3000);
      const startedAt = world.timeline.now();
      await client.accessToken();
      return world.timeline.now() - startedAt;
    });
    // What the first of them brings home is not waited for by the second, and it makes it wait no longer.
    const [first, second = 0] = await world.timeline.run(Promise.all(waits));
    assert.equal(first, 10_000);
    assert.ok(second <= 10_050, `the second waited ${second} ms`);
    assert.deepEqual(signedOut(tabs), []);
  });

  test("also one that took the lock in the very moment in which the other asked for it", async () => {
    const world = createWorld();
    const storage = sharedStorage();
    const first = world.openTab({ storage });
    await signIn(world, first);
    const { locks } = world.runtime;
    let isFrozen = false;
    const later = world.openTab(
      { storage },
      {
        locks: {
          ...locks!,
          request(name, options, work) {
            const { signal } = new AbortController();
            if (!isFrozen) void world.locks.request(name, { signal }, () => new Promise(() => {}));
            isFrozen = true;
            return locks!.request(name, options, work);
          },
        },
      },
    );
    await world.timeline.advance(700_000);
    const startedAt = world.timeline.now();
    assert.equal(await world.whoAmI(later.client), "alice");
    assert.equal(world.timeline.now() - startedAt, 10_000);
  });

  test("signing out in one signs out all, for the same reason", async () => {
    const { world, tabs, first } = await openTabs(3);
    await world.timeline.run(first.client.signOut());
    await world.timeline.settle();
    assert.deepEqual(signedOut(tabs), [
      "signedOut signed_out",
      "signedOut signed_out",
      "signedOut signed_out",
    ]);
    for (const { client } of tabs) assert.equal(await world.whoAmI(client), 401);
  });

  test("a session that the server has ended is over in all, each told once", async () => {
    const { world, tabs } = await openTabs(3);
    world.issuer.end("s0", "revoked");
    await world.timeline.advance(700_000);
    await world.timeline.run(Promise.allSettled(tabs.map(({ client }) => client.accessToken())));
    assert.deepEqual(signedOut(tabs), ["signedOut revoked", "signedOut revoked", "signedOut revoked"]);
  });

  test("somebody else who signs in replaces the session in all", async () => {
    const { world, tabs } = await openTabs(3);
    await signIn(world, tabs[1] as Tab, "bob");
    await world.timeline.settle();
    for (const { client, events } of tabs) {
      assert.equal(await world.whoAmI(client), "bob");
      assert.equal(events.at(-1), "signedIn bob");
    }
    assert.deepEqual(signedOut(tabs), []);
  });

  test("without a channel a tab sees it when it comes in sight, at the latest when it needs a token", async () => {
    const { world, tabs, first } = await openTabs(2, noChannel);
    const other = tabs[1] as Tab;
    assert.equal(await world.whoAmI(other.client), "alice");
    await world.timeline.run(first.client.signOut());
    await world.timeline.settle();
    assert.deepEqual(signedOut([other]), []);
    world.wake("visibilitychange");
    await world.timeline.advance(300);
    assert.deepEqual(signedOut([other]), ["signedOut missing"]);
  });

  for (const [name, internals] of [
    ["", {}],
    [", without a channel", noChannel],
  ] as const)
    test(`signing out while another tab refreshes is not undone by its reply${name}`, async () => {
      const { world, tabs, first } = await openTabs(2, internals);
      const other = tabs[1] as Tab;
      await world.timeline.run(other.client.session());
      await world.timeline.advance(700_000);
      world.network = async (request, deliver) => {
        const response = await deliver(request);
        if (request.url.pathname === "/refresh") await world.timeline.sleep(3000);
        return response;
      };
      const getting = assert.rejects(other.client.accessToken(), { code: "signed_out" });
      await world.timeline.advance(1000);
      await world.timeline.run(first.client.signOut());
      await world.timeline.run(getting);
      for (const { client } of tabs) assert.equal(await client.session(), undefined);
      assert.equal(world.issuer.only().endReason, "revoked");
    });

  test("what comes through the channel in another shape is not heard", async () => {
    const { world, tabs, first } = await openTabs(2);
    const channel = world.hub.open("keyturn:https://auth.example.com");
    const forged = { accessToken: "forged", tokenType: "Bearer", expiresIn: 9e9, sessionId: "s9" };
    const messages = [
      null,
      7,
      "signedOut",
      [],
      { type: "signedOut" },
      { type: "signedOut", sessionId: 5 },
      { type: "signedOut", sessionId: "s0", reason: "signed_out" },
      { type: "refreshed", sessionId: "s9", access: forged },
      { type: "refreshed", sessionId: "s0", access: forged },
      { type: "refreshed", sessionId: "s0", access: { ...forged, sessionId: "s0", accessToken: "a\nb" } },
      { type: "refreshed", sessionId: "s0", access: { ...forged, sessionId: "s0", expiresIn: "soon" } },
      { type: "toString", sessionId: "s0" },
    ];
    for (const message of messages) channel.postMessage(message);
    await world.timeline.settle();
    for (const { client } of tabs) assert.equal(await world.whoAmI(client), "alice");
    assert.deepEqual(signedOut(tabs), []);
    assert.deepEqual(first.events, ["signedIn alice"]);
  });

  for (const [when, more] of [
    ["", 0],
    [", also while another piece of it is tried", 1],
  ] as const)
    test(`news from long ago, heard at waking, gives way to the refusal of the API${when}`, async () => {
      const { world, tabs } = await openTabs(2);
      const channel = world.hub.open("keyturn:https://auth.example.com");
      let told = 0;
      const tell = () => {
        const expiresIn = world.issuer.accessSeconds * 2 + told;
        const access = {
          accessToken: `e30.e30.old${told++}`,
          tokenType: "Bearer",
          expiresIn,
          sessionId: "s0",
        };
        channel.postMessage({ type: "refreshed", sessionId: "s0", access });
      };
      tell();
      await world.timeline.settle();
      world.network = async (request, deliver) => {
        const isCall = request.url.pathname === "/me";
        if (isCall && told <= more) tell();
        const response = await deliver(request);
        // Heard before the answer is here.
        if (isCall) await world.timeline.sleep(10);
        return response;
      };
      assert.equal(await world.whoAmI((tabs[1] as Tab).client), "alice");
      assert.deepEqual([told, world.refreshes().length], [more + 1, 1]);
    });
});

/** What may befall a request. */
const fates = ["delivered", "lost", "lost reply", "twice", "late", "late again", "busy"] as const;
type Fate = (typeof fates)[number];

/** A server remembers four turns (docs/refresh-tokens.md): a copy that is older is taken for a thief's. */
const turnsLateMax = 3;

function fated(world: World, next: () => Fate): Network {
  const copies = new Map<() => void, number>();
  return async (request, deliver) => {
    if (request.url.pathname !== "/refresh") return deliver(request);
    for (const [send, turns] of copies) if (world.issuer.turns - turns >= turnsLateMax) send();
    switch (next()) {
      case "delivered":
        return deliver(request);
      case "lost":
        return offline(request, deliver);
      case "lost reply":
        return lostReply(request, deliver);
      case "twice":
        await deliver(request);
        return deliver(request);
      case "late":
        await world.timeline.sleep(4000);
        return deliver(request);
      case "late again": {
        const response = await deliver(request);
        // A copy that a proxy has kept comes when everybody has gone on.
        const send = () => copies.delete(send) && void deliver(request);
        copies.set(send, world.issuer.turns);
        void world.timeline.sleep(25_000).then(send);
        await world.timeline.sleep(2000);
        return response;
      }
      case "busy":
        return new Response('{"error":"busy"}', { status: 503, headers: { "retry-after": "2" } });
    }
  };
}

test("whatever befalls the requests of up to six tabs, with or without locks and channels: nobody is signed out", async () => {
  const step = fc.record({
    tab: fc.nat(5),
    // Together less than a day: for so long the server answers an attempt again.
    pauseMs: fc.constantFrom(0, 50, 1000, 20_000, 40_000, 620_000, 3_300_000),
    reload: fc.boolean(),
  });
  const plan = fc.record({
    tabs: fc.integer({ min: 1, max: 6 }),
    locks: fc.boolean(),
    channel: fc.boolean(),
    fates: fc.array(fc.constantFrom(...fates), { minLength: 1, maxLength: 40 }),
    steps: fc.array(step, { minLength: 3, maxLength: 25 }),
  });
  await fc.assert(
    fc.asyncProperty(plan, async ({ tabs: count, locks, channel, fates: drawn, steps }) => {
      const world = createWorld();
      const storage = sharedStorage();
      const internals = { ...(!locks && noLocks), ...(!channel && noChannel) };
      const open = () => world.openTab({ storage }, internals);
      const tabs = Array.from({ length: count }, open);
      const all = [...tabs];
      await signIn(world, tabs[0] as Tab);
      let draws = 0;
      world.network = fated(world, () => drawn[draws++ % drawn.length] as Fate);
      const calls: Promise<unknown>[] = [];
      for (const { tab, pauseMs, reload } of steps) {
        const at = tab % count;
        if (reload) {
          // Closed in the middle of whatever it does, as by a crash.
          tabs[at]?.client.close();
          tabs[at] = open();
          all.push(tabs[at]);
        }
        calls.push((tabs[at] as Tab).client.fetch(`${apiUrl}/me`).catch(() => {}));
        await world.timeline.advance(pauseMs);
      }
      world.network = (request, deliver) => deliver(request);
      await world.timeline.run(Promise.all(calls));
      assert.deepEqual(signedOut(all), []);
      assert.equal(world.issuer.only().endReason, undefined);
      for (const { client } of tabs) assert.equal(await world.whoAmI(client), "alice");
    }),
    { numRuns: 200 },
  );
});
