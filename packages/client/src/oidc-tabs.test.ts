import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { apiUrl } from "./test-issuer.ts";
import { createProviderWorld, type OidcTab, type ProviderWorld, setPage, signInBy } from "./test-provider.ts";
import { lostReply, offline, sharedStorage } from "./test-world.ts";

/** What may befall a request on its way to the token endpoint. */
const harmless = ["delivered", "lost", "late", "busy"] as const;
/** What no client can make good where each token works once. */
const costly = ["lost reply", "twice"] as const;
type Fate = (typeof harmless)[number] | (typeof costly)[number];

function befall({ world, provider }: ProviderWorld, next: () => Fate): void {
  world.network = async (request, deliver) => {
    if (request.url.pathname !== "/token") return provider.handle(request);
    switch (next()) {
      case "delivered":
        return provider.handle(request);
      case "lost":
        return offline(request, deliver);
      case "lost reply":
        return lostReply(request, provider.handle);
      case "twice":
        await provider.handle(request);
        return provider.handle(request);
      case "late":
        await world.timeline.sleep(9000);
        return provider.handle(request);
      case "busy":
        return new Response(null, { status: 503, headers: { "retry-after": "2" } });
    }
  };
}

/** Each tab needs a token of its own, and each request takes long: the last in the row waits longer than for a frozen tab. */
const slowRow = {
  tabs: 4,
  channel: false,
  drawn: ["late" as Fate],
  steps: [0, 3, 1, 2, 0].map((tab, index) => ({
    tab,
    pauseMs: [620_000, 0, 0, 0, 3_300_000][index] as number,
    reload: false,
  })),
};

for (const rotates of [true, false]) {
  const fates: readonly Fate[] = rotates ? harmless : [...harmless, ...costly];
  const title = rotates
    ? "where each refresh token works once, up to six tabs and requests that are lost, late or refused sign nobody out"
    : "where the refresh token stays the same, whatever befalls the requests of up to six tabs signs nobody out";
  test(title, async () => {
    const step = fc.record({
      tab: fc.nat(5),
      pauseMs: fc.constantFrom(0, 50, 1000, 20_000, 620_000, 3_300_000),
      reload: fc.boolean(),
    });
    const plan = fc.record({
      tabs: fc.integer({ min: 1, max: 6 }),
      channel: fc.boolean(),
      drawn: fc.array(fc.constantFrom(...fates), { minLength: 1, maxLength: 30 }),
      steps: fc.array(step, { minLength: 3, maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ tabs: count, channel, drawn, steps }) => {
        const world = createProviderWorld();
        world.provider.rotates = rotates;
        const storage = sharedStorage();
        const internals = channel ? {} : { openChannel: () => undefined };
        const open = () => world.openTab({ storage }, internals);
        const tabs = Array.from({ length: count }, open) as [OidcTab, ...OidcTab[]];
        const all: OidcTab[] = [...tabs];
        const page = setPage();
        await signInBy(world, tabs[0], page);
        page.remove();
        let draws = 0;
        befall(world, () => drawn[draws++ % drawn.length] as Fate);
        const calls: Promise<unknown>[] = [];
        for (const { tab, pauseMs, reload } of steps) {
          const at = tab % count;
          // Closed in the middle of a refresh, a page has lost its reply.
          if (reload && !rotates) {
            tabs[at]?.client.close();
            tabs[at] = open();
            all.push(tabs[at] as OidcTab);
          }
          calls.push((tabs[at] as OidcTab).client.fetch(`${apiUrl}/me`).catch(() => {}));
          await world.timeline.advance(pauseMs);
        }
        world.world.network = (request) => world.provider.handle(request);
        await world.timeline.run(Promise.all(calls));
        const ends = all.flatMap(({ events }) => events.filter((event) => event.startsWith("signedOut")));
        assert.deepEqual([ends, world.provider.isOver], [[], false]);
        for (const { client } of tabs) {
          assert.equal((await world.timeline.run(client.fetch(`${apiUrl}/me`))).status, 200);
        }
      }),
      { numRuns: 100, examples: [[slowRow]] },
    );
  });
}
