import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuardEvent } from "./events.ts";
import { createGuard, type Guard } from "./guard.ts";
import type { GuardOptions } from "./options.ts";
import {
  audience,
  goodClaims,
  json,
  mint,
  newKey,
  reasonOf,
  startIssuer,
  startServer,
  type TestIssuer,
} from "./test-issuer.ts";

const key = newKey("k1");
const next = newKey("k2");

type Scene = {
  issuer: TestIssuer;
  guard: Guard;
  clock: { nowMs: number };
  events: GuardEvent[];
  token: (from?: typeof key, header?: Record<string, unknown>) => string;
  jwksHits: () => number;
};

async function scene(run: (scene: Scene) => Promise<void>, options: Partial<GuardOptions> = {}) {
  const issuer = await startIssuer([key]);
  const clock = { nowMs: Date.now() };
  const events: GuardEvent[] = [];
  const guard = createGuard({
    issuer: issuer.url,
    audience,
    now: () => clock.nowMs,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const token = (from = key, header = {}) =>
    mint(from, { iss: issuer.url, exp: Math.floor(Date.now() / 1000) + 200_000 }, header);
  const jwksHits = () => issuer.hits.get("/jwks") ?? 0;
  try {
    await run({ issuer, guard, clock, events, token, jwksHits });
  } finally {
    guard.close();
    await issuer.close();
  }
}

/** Waits until the guard told its log of something. */
async function told(events: readonly GuardEvent[], type: GuardEvent["type"], count: number) {
  for (let i = 0; i < 1000 && events.filter((event) => event.type === type).length < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.ok(events.filter((event) => event.type === type).length >= count, `${count} of ${type}`);
}

test("keys are fetched on first need, once however many wait, and then everything is synchronous", () =>
  scene(async ({ guard, token, jwksHits, issuer }) => {
    assert.equal(jwksHits(), 0);
    const all = await Promise.all(Array.from({ length: 50 }, () => guard.verify(token())));
    assert.ok(all.every(({ ok }) => ok));
    assert.equal(jwksHits(), 1);
    assert.equal(issuer.hits.get("/.well-known/openid-configuration"), 1);
    const again = guard.verify(token());
    assert.ok(!(again instanceof Promise) && again.ok);
  }));

test("an unknown kid causes one fetch in 10 s, however many come, and nobody with a known key waits", () =>
  scene(async ({ guard, token, jwksHits, clock, issuer }) => {
    await guard.ready();
    assert.equal(jwksHits(), 1);
    const strangers = Array.from({ length: 100 }, (_, n) =>
      guard.verify(token(key, { kid: `made-up-${n}` })),
    );
    const honest = guard.verify(token());
    assert.ok(!(honest instanceof Promise) && honest.ok);
    for (const stranger of strangers) assert.equal(reasonOf(await stranger), "unknown_key");
    assert.equal(jwksHits(), 2);
    clock.nowMs += 9_900;
    for (let n = 0; n < 50; n++)
      assert.equal(reasonOf(await guard.verify(token(key, { kid: `x${n}` }))), "unknown_key");
    assert.equal(jwksHits(), 2);
    clock.nowMs += 200;
    issuer.keys = [key, next];
    assert.equal(reasonOf(await guard.verify(token(next))), "ok");
    assert.equal(jwksHits(), 3);
  }));

test("keys are refreshed in the background before they end; those at hand answer meanwhile", () =>
  scene(async ({ guard, token, jwksHits, clock, events }) => {
    await guard.ready();
    clock.nowMs += 470_000;
    assert.equal(reasonOf(await guard.verify(token())), "ok");
    assert.equal(jwksHits(), 1);
    clock.nowMs += 20_000;
    const verification = guard.verify(token());
    assert.ok(!(verification instanceof Promise) && verification.ok);
    await told(events, "keys_fetched", 2);
    assert.equal(jwksHits(), 2);
  }));

test("RFC 9111 §5.2.2.1: max-age is followed, between a minute and a day", () =>
  scene(async ({ guard, issuer, events, clock, token }) => {
    for (const [count, header, seconds] of [
      [1, "max-age=5", 60],
      [2, "public, max-age=7200", 7200],
      [3, "max-age=99999999", 86_400],
      [4, "no-store", 600],
    ] as const) {
      issuer.routes.set("/jwks", json({ keys: [key.jwk] }, { "cache-control": header }));
      await guard.verify(token());
      await told(events, "keys_fetched", count);
      const fetched = events.filter((event) => event.type === "keys_fetched");
      assert.equal(fetched.at(-1)?.lifeSeconds, seconds);
      clock.nowMs += seconds * 900;
    }
  }));

test("while the issuer is down the keys at hand serve on, without waiting, and it is not asked at every request", () =>
  scene(async ({ guard, issuer, token, clock, events }) => {
    await guard.ready();
    issuer.routes.set("/jwks", (_request, response) => response.writeHead(500).end());
    clock.nowMs += 650_000;
    assert.equal(reasonOf(await guard.verify(token())), "ok");
    await told(events, "keys_failed", 1);
    const hits = issuer.hits.get("/jwks");
    for (let n = 0; n < 20; n++) {
      const verification = guard.verify(token());
      assert.ok(!(verification instanceof Promise) && verification.ok);
    }
    assert.equal(issuer.hits.get("/jwks"), hits);
    clock.nowMs += 100_000;
    const later = guard.verify(token());
    assert.ok(!(later instanceof Promise) && later.ok);
    await told(events, "keys_failed", 2);
  }));

test("a key that is no longer published takes what it verified with it", () =>
  scene(async ({ guard, issuer, token, clock, events }) => {
    const remembered = token();
    assert.equal(reasonOf(await guard.verify(remembered)), "ok");
    issuer.keys = [next];
    clock.nowMs += 500_000;
    await guard.verify(remembered);
    await told(events, "keys_fetched", 2);
    assert.equal(reasonOf(await guard.verify(remembered)), "unknown_key");
  }));

test("503 with Retry-After while keys were never had; every failure is told to the log, not to the public", async () => {
  const large = JSON.stringify({ keys: [key.jwk], pad: "x".repeat(300_000) });
  const failures: [string, (issuer: TestIssuer) => void, RegExp][] = [
    [
      "redirect",
      ({ routes }) =>
        routes.set("/jwks", (_, response) => response.writeHead(302, { location: "/other" }).end()),
      /302/,
    ],
    [
      "too large",
      ({ routes }) => routes.set("/jwks", (_, response) => response.end(large)),
      /more than 262144 bytes/,
    ],
    ["not JSON", ({ routes }) => routes.set("/jwks", (_, response) => response.end("<html>")), /JSON/],
    ["no keys", ({ routes }) => routes.set("/jwks", json({})), /list of keys/],
    [
      "too many keys",
      ({ routes }) => routes.set("/jwks", json({ keys: Array(101).fill(key.jwk) })),
      /more than 100/,
    ],
    [
      "RFC 8414 §3.3: issuer differs",
      ({ routes, url }) =>
        routes.set("/.well-known/openid-configuration", json({ issuer: `${url}/`, jwks_uri: `${url}/jwks` })),
      /set the guard's issuer to exactly that/,
    ],
    [
      "http elsewhere",
      ({ routes, url }) =>
        routes.set(
          "/.well-known/openid-configuration",
          json({ issuer: url, jwks_uri: "http://192.0.2.1/jwks" }),
        ),
      /must be https/,
    ],
    ["no metadata", ({ routes }) => routes.delete("/.well-known/openid-configuration"), /404/],
  ];
  for (const [name, breakIt, message] of failures) {
    await scene(async ({ guard, issuer, token, events }) => {
      breakIt(issuer);
      const verification = await guard.verify(token());
      assert.ok(!verification.ok, name);
      assert.equal(verification.refusal.reason, "keys_unavailable", name);
      assert.equal(verification.refusal.status, 503);
      assert.match(verification.refusal.headers["Retry-After"] ?? "", /^[1-9]/);
      const failed = events.find((event) => event.type === "keys_failed");
      assert.match(failed?.message ?? "", message, name);
      // Within the pause nothing is asked again, and the answer comes at once.
      assert.ok(!(guard.verify(token()) instanceof Promise), name);
    });
  }
});

test("metadata is found where RFC 8414 §3.1 inserts it, for an issuer with a path", async () => {
  const server = await startServer();
  const issuer = `${server.url}/tenant/one`;
  server.routes.set(
    "/.well-known/oauth-authorization-server/tenant/one",
    json({ issuer, jwks_uri: `${server.url}/k` }),
  );
  server.routes.set("/k", json({ keys: [key.jwk] }));
  const guard = createGuard({ issuer, audience });
  assert.equal(reasonOf(await guard.verify(mint(key, goodClaims({ iss: issuer })))), "ok");
  guard.close();
  await server.close();
});

test("ready() says what is missing after a bounded time", async () => {
  const { createGuardWith } = await import("./guard.ts");
  const guard = createGuardWith({ issuer: "http://127.0.0.1:9", audience }, { readyWithinMs: 300 });
  await assert.rejects(
    guard.ready(),
    /Guard not ready after 0\.3 s: the issuer's keys could not be had: http:\/\/127\.0\.0\.1:9/,
  );
  guard.close();
});
