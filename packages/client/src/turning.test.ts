import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { KeyturnError } from "./index.ts";
import { memoryStorage } from "./memory-storage.ts";
import { apiUrl } from "./test-issuer.ts";
import { createWorld, lostReply, offline, signIn, spoilWallClock } from "./test-world.ts";

let restore: () => void;
before(() => {
  restore = spoilWallClock();
});
after(() => restore());

const code = (expected: string, reason?: string) => (error: unknown) => {
  assert.ok(error instanceof KeyturnError, String(error));
  assert.deepEqual([error.code, error.reason ?? reason], [expected, reason]);
  return true;
};

describe("signing in", () => {
  test("gives the session, tells the listeners, and its token is used without another request", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.deepEqual(tab.events, ["signedIn alice"]);
    assert.equal(world.refreshes().length, 0);
    assert.equal((await tab.client.session())?.sessionId, "s0");
  });

  test("a wrong password is the server's own error, and leaves whoever was signed in", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    const wrong = tab.client.signIn({ username: "bob", password: "wrong" });
    await assert.rejects(world.timeline.run(wrong), code("invalid_credentials"));
    assert.equal(await world.whoAmI(tab.client), "alice");
  });

  test("a network that is away is told at once: whoever typed a password is waiting", async () => {
    const world = createWorld();
    const tab = world.openTab();
    world.network = offline;
    await assert.rejects(
      world.timeline.run(tab.client.signIn({ username: "a", password: "right" })),
      code("unavailable"),
    );
    assert.equal(world.timeline.now(), 5000);
  });

  test("the device is what the sign-in says, or else the option", async () => {
    const world = createWorld();
    const { client } = world.openTab({ device: "Laptop" });
    await world.timeline.run(client.signIn({ username: "a", password: "right" }));
    await world.timeline.run(client.signIn({ username: "a", password: "right", device: "Phone" }));
    const logins = world.issuer.requests.filter(({ url }) => url.pathname === "/login");
    assert.deepEqual(
      logins.map(({ json }) => json.device),
      ["Laptop", "Phone"],
    );
  });

  test("over another session it takes its place and ends it", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab, "alice");
    await signIn(world, tab, "bob");
    await world.timeline.settle();
    assert.equal(await world.whoAmI(tab.client), "bob");
    assert.deepEqual(tab.events, ["signedIn alice", "signedIn bob"]);
    assert.equal(world.issuer.sessions.get("s0")?.endReason, "revoked");
  });
});

describe("refreshing", () => {
  test("happens on use, before the token ends, and holds nobody up", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    await world.timeline.advance(500_000);
    assert.equal(world.refreshes().length, 0, "no timer refreshes");
    await world.timeline.advance(60_000);
    world.network = async (request, deliver) => {
      if (request.url.pathname === "/refresh") await world.timeline.sleep(5000);
      return deliver(request);
    };
    const startedAt = world.timeline.now();
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.equal(world.timeline.now(), startedAt, "the good token was used meanwhile");
    await world.timeline.advance(5000);
    assert.deepEqual(tab.events, ["signedIn alice", "refreshed alice"]);
  });

  test("20 calls at once over an expired token make one request", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    await world.timeline.advance(3_600_000);
    const all = Promise.all(Array.from({ length: 20 }, () => tab.client.accessToken()));
    const tokens = new Set(await world.timeline.run(all));
    assert.deepEqual([tokens.size, world.refreshes().length], [1, 1]);
  });

  test("every try with one token carries the same attempt key, and every token has its own", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    let losses = 0;
    world.network = (request, deliver) => (losses++ < 3 ? lostReply(request, deliver) : deliver(request));
    await world.timeline.advance(700_000);
    await world.timeline.run(tab.client.accessToken());
    world.network = (request, deliver) => deliver(request);
    await world.timeline.advance(700_000);
    await world.timeline.run(tab.client.accessToken());
    const keys = world.refreshes().map(({ headers }) => headers.get("idempotency-key"));
    assert.equal(keys.length, 5);
    assert.equal(new Set(keys.slice(0, 4)).size, 1);
    assert.match(keys[0] ?? "", /^[\w-]{43}$/);
    assert.notEqual(keys[4], keys[0]);
  });

  test("a lost reply is asked for again hours later, and nobody is signed out", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    world.network = lostReply;
    await assert.rejects(world.timeline.run(tab.client.accessToken()), code("unavailable"));
    await world.timeline.advance(20 * 3_600_000);
    world.network = (request, deliver) => deliver(request);
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.equal(world.issuer.turns, 1, "it was one turn all the while");
  });

  test("while the token is good a failing refresh holds nobody up; when it is over, a minute, then unavailable", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    world.network = (request, deliver) =>
      request.url.pathname === "/refresh" ? offline(request, deliver) : deliver(request);
    await world.timeline.advance(560_000);
    const startedAt = world.timeline.now();
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.equal(world.timeline.now(), startedAt);
    await world.timeline.advance(100_000);
    const failing = world.timeline.now();
    await assert.rejects(world.timeline.run(tab.client.fetch(`${apiUrl}/me`)), code("unavailable"));
    const waited = world.timeline.now() - failing;
    assert.ok(waited > 20_000 && waited <= 60_000, `${waited}`);
    assert.deepEqual(tab.events, ["signedIn alice"]);
    world.network = (request, deliver) => deliver(request);
    assert.equal(await world.whoAmI(tab.client), "alice", "the next call tries again");
  });

  test("the caller's own signal ends the waiting with its reason", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    world.network = offline;
    const controller = new AbortController();
    const calling = tab.client.fetch(`${apiUrl}/me`, { signal: controller.signal });
    await world.timeline.settle();
    controller.abort(new Error("enough"));
    await assert.rejects(world.timeline.run(calling), /enough/);
  });

  for (const status of [408, 425, 429, 500, 502, 503]) {
    test(`${status} is waited out, as long as Retry-After says, and signs nobody out`, async () => {
      const world = createWorld();
      const tab = world.openTab();
      await signIn(world, tab);
      await world.timeline.advance(700_000);
      let failures = 0;
      world.network = async (request, deliver) => {
        if (failures++ > 0) return deliver(request);
        return new Response('{"error":"busy"}', { status, headers: { "retry-after": "7" } });
      };
      const startedAt = world.timeline.now();
      assert.equal(await world.whoAmI(tab.client), "alice");
      assert.equal(world.timeline.now() - startedAt, 7000);
    });
  }

  test("the pauses double from a second to half a minute, and the network's return ends them", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    const times: number[] = [];
    world.network = async (request, deliver) => {
      times.push(world.timeline.now());
      return offline(request, deliver);
    };
    const getting = tab.client.accessToken();
    await world.timeline.advance(12_000);
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    assert.deepEqual(pauses, [750, 1500, 3000, 6000]);
    world.network = (request, deliver) => deliver(request);
    const wokenAt = world.timeline.now();
    world.wake("online");
    await world.timeline.run(getting);
    assert.equal(world.timeline.now(), wokenAt);
  });

  test("a request without an answer is given up after a quarter of a minute, and made again", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    let silent = 0;
    world.network = (request, deliver) => (silent++ === 0 ? new Promise(() => {}) : deliver(request));
    const startedAt = world.timeline.now();
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.equal(world.timeline.now() - startedAt, 15_750);
  });

  test("without WebCrypto everything works, without attempt key and proof", async () => {
    const world = createWorld();
    const tab = world.openTab({ dpop: true }, { subtle: undefined });
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.equal(world.refreshes()[0]?.headers.get("idempotency-key"), null);
    assert.equal(world.refreshes()[0]?.headers.get("dpop"), null);
  });

  test("after a reload the age of a token cannot be known: the first use refreshes", async () => {
    const world = createWorld();
    const storage = memoryStorage();
    await signIn(world, world.openTab({ storage }));
    const reloaded = world.openTab({ storage });
    assert.equal((await world.timeline.run(reloaded.client.session()))?.user.username, "alice");
    assert.equal(world.refreshes().length, 0);
    assert.equal(await world.whoAmI(reloaded.client), "alice");
    assert.equal(world.refreshes().length, 1);
    assert.deepEqual(reloaded.events, ["refreshed alice"]);
  });
});

describe("the session is over only when the server says so", () => {
  for (const reason of ["expired", "revoked", "reused"]) {
    test(`${reason}: the credentials go, once it is told`, async () => {
      const world = createWorld();
      const tab = world.openTab();
      await signIn(world, tab);
      world.issuer.end("s0", reason);
      await world.timeline.advance(700_000);
      const both = Promise.allSettled([tab.client.accessToken(), tab.client.accessToken()]);
      for (const one of await world.timeline.run(both)) {
        assert.equal(one.status, "rejected");
        code("signed_out", reason)((one as PromiseRejectedResult).reason);
      }
      assert.deepEqual(tab.events, ["signedIn alice", `signedOut ${reason}`]);
      assert.equal(await tab.client.session(), undefined);
      assert.equal(await world.whoAmI(tab.client), 401, "requests go on without a token");
    });
  }

  for (const reason of ["superseded", "unknown", "malformed", undefined, "a reason of tomorrow"]) {
    test(`${reason}: everything is kept, and the caller hears of it`, async () => {
      const world = createWorld();
      const tab = world.openTab();
      await signIn(world, tab);
      await world.timeline.advance(700_000);
      const { network } = world;
      world.network = async () =>
        new Response(JSON.stringify({ error: "invalid_refresh_token", reason }), { status: 401 });
      await assert.rejects(
        world.timeline.run(tab.client.accessToken()),
        code("invalid_refresh_token", reason?.includes(" ") ? undefined : reason),
      );
      assert.deepEqual(tab.events, ["signedIn alice"]);
      world.network = network;
      assert.equal(await world.whoAmI(tab.client), "alice");
    });
  }

  test("a refusal of a token that is no longer the stored one says nothing about the new one", async () => {
    const world = createWorld();
    const storage = memoryStorage();
    const tab = world.openTab({ storage });
    await signIn(world, tab, "alice");
    await world.timeline.advance(700_000);
    const { network } = world;
    let answer = (_: Response) => {};
    world.network = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const asking = tab.client.fetch(`${apiUrl}/me`);
    await world.timeline.settle();
    world.network = network;
    await signIn(world, world.openTab({ storage }), "bob");
    assert.equal(world.timeline.now(), 705_000, "the request is still out");
    answer(new Response('{"error":"invalid_refresh_token","reason":"revoked"}', { status: 401 }));
    assert.equal((await (await world.timeline.run(asking)).json()).username, "bob");
    assert.deepEqual(tab.events, ["signedIn alice", "signedIn bob", "refreshed bob"]);
  });
});

describe("signing out", () => {
  test("forgets, tells the server and everybody", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    assert.deepEqual(await world.timeline.run(tab.client.signOut()), { told: true });
    assert.equal(world.issuer.only().endReason, "revoked");
    assert.deepEqual(tab.events, ["signedIn alice", "signedOut signed_out"]);
    await assert.rejects(tab.client.accessToken(), code("signed_out", "signed_out"));
  });

  test("without a network the credentials go all the same, and it says that nobody was told", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    world.network = offline;
    assert.deepEqual(await world.timeline.run(tab.client.signOut()), { told: false });
    assert.equal(await tab.client.session(), undefined);
  });

  test("with nobody signed in there is nothing to tell", async () => {
    const world = createWorld();
    assert.deepEqual(await world.timeline.run(world.openTab().client.signOut()), { told: false });
    assert.equal(world.issuer.requests.length, 0);
  });

  test("during a refresh it is not undone by the reply", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    world.network = async (request, deliver) => {
      const response = await deliver(request);
      if (request.url.pathname === "/refresh") await world.timeline.sleep(2000);
      return response;
    };
    const getting = assert.rejects(tab.client.accessToken(), code("signed_out", "signed_out"));
    await world.timeline.advance(1000);
    assert.deepEqual(await world.timeline.run(tab.client.signOut()), { told: true });
    await world.timeline.run(getting);
    assert.equal(await tab.client.session(), undefined);
    assert.equal(await world.whoAmI(tab.client), 401);
    assert.deepEqual(tab.events, ["signedIn alice", "signedOut signed_out"]);
  });

  test("is not undone by a refresh whose storage is slow to say that it has written", async () => {
    const world = createWorld();
    const inner = memoryStorage();
    let delayMs = 0;
    const storage = {
      ...inner,
      async replace(...parameters: Parameters<typeof inner.replace>) {
        const isDone = await inner.replace(...parameters);
        const wait = delayMs;
        delayMs = 0;
        await world.timeline.sleep(wait);
        return isDone;
      },
    };
    const tab = world.openTab({ storage });
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    delayMs = 5000;
    const getting = assert.rejects(tab.client.accessToken(), code("signed_out", "signed_out"));
    await world.timeline.advance(1000);
    assert.deepEqual(await world.timeline.run(tab.client.signOut()), { told: true });
    await world.timeline.run(getting);
    assert.deepEqual(tab.events, ["signedIn alice", "signedOut signed_out"]);
  });

  test("everywhere, also when the reply to the last turn was lost", async () => {
    const world = createWorld();
    const tab = world.openTab();
    const other = world.openTab();
    await signIn(world, tab);
    await signIn(world, other);
    await world.timeline.advance(700_000);
    world.network = lostReply;
    await assert.rejects(world.timeline.run(tab.client.accessToken()));
    world.network = (request, deliver) => deliver(request);
    assert.deepEqual(await world.timeline.run(tab.client.signOut({ everywhere: true })), { told: true });
    assert.deepEqual(
      [...world.issuer.sessions.values()].map(({ endReason }) => endReason),
      ["revoked", "revoked"],
    );
  });
});
