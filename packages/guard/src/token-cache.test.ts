import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FeedEvent } from "./feed-events.ts";
import { createGuard } from "./guard.ts";
import type { PublicJsonWebKey } from "./json-web-key.ts";
import type { RevocationEntry } from "./revocations.ts";
import { audience, mint, newKey, reasonOf, staticIssuer } from "./test-issuer.ts";
import { createTokenCache, type VerifiedToken } from "./token-cache.ts";

const entry = (token: string) => ({ token }) as VerifiedToken;

test("a hit is impossible for another token, even one with the same signature", () => {
  const cache = createTokenCache(10);
  cache.set(entry("h.p.signature-of-many-characters"));
  assert.ok(cache.get("h.p.signature-of-many-characters"));
  for (const other of [
    "h.q.signature-of-many-characters",
    "h.p.signature-of-many-characterS",
    "signature-of-many-characters",
    "",
  ]) {
    assert.equal(cache.get(other), undefined);
  }
  cache.delete("h.q.signature-of-many-characters");
  assert.ok(cache.get("h.p.signature-of-many-characters"));
});

test("holds no more than its bound, and keeps what is in use", () => {
  const cache = createTokenCache(10);
  const tokens = Array.from({ length: 1000 }, (_, n) => `h.p.${n.toString(36).padStart(12, "_")}tail`);
  for (const token of tokens) {
    cache.set(entry(token));
    cache.get(tokens[0] as string);
  }
  assert.ok(cache.get(tokens[0] as string), "used all the time");
  assert.ok(tokens.filter((token) => cache.get(token) !== undefined).length <= 10);
});

test("a size of 0 remembers nothing", () => {
  const cache = createTokenCache(0);
  cache.set(entry("h.p.s"));
  assert.equal(cache.get("h.p.s"), undefined);
});

type Step =
  | { readonly do: "verify"; readonly token: number }
  | { readonly do: "revoke"; readonly entry: Omit<RevocationEntry, "seq" | "until"> }
  | { readonly do: "pass"; readonly seconds: number }
  | { readonly do: "keys"; readonly published: readonly number[] };

const start = 1_790_000_000;
const keys = [newKey("k1"), newKey("k2")];
const sessions = ["s1", "s2", "s3"];
const tokens = Array.from({ length: 12 }, (_, n) =>
  mint(keys[n % 2] as never, {
    sid: sessions[n % 3],
    client_id: n % 4 === 0 ? "shop" : "wiki",
    iat: start + ((n % 5) - 3) * 20,
    exp: start + 20 + n * 10,
  }),
);

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("verify" as const), token: fc.nat(tokens.length - 1) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("revoke" as const),
      entry: fc.oneof(
        fc.record({
          session: fc.constantFrom(...sessions),
          before: fc.integer({ min: start - 60, max: start + 60 }),
        }),
        fc.record({
          session: fc.constantFrom(...sessions),
          before: fc.integer({ min: start - 60, max: start + 60 }),
          soft: fc.constant(true as const),
        }),
        fc.record({
          client: fc.constantFrom("shop", "wiki"),
          before: fc.integer({ min: start - 60, max: start + 60 }),
        }),
        fc.record({
          all: fc.constant(true as const),
          before: fc.integer({ min: start - 60, max: start + 60 }),
        }),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("pass" as const), seconds: fc.integer({ min: -20, max: 60 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("keys" as const), published: fc.subarray([0, 1]) }) },
);

/** A guard whose whole world is in the hands of the test. */
function world(cacheTokensMax: number) {
  let nowMs = start * 1000;
  let published: readonly PublicJsonWebKey[] = keys.map(({ jwk }) => jwk);
  let changed = () => {};
  let tell = (_event: FeedEvent) => {};
  let seq = 0;
  const guard = createGuard({
    issuer: staticIssuer,
    audience,
    cacheTokensMax,
    now: () => nowMs,
    source: {
      jwks: () => ({ keys: published }),
      onKeysChanged(listener) {
        changed = listener;
        return () => {};
      },
      follow(listener) {
        tell = listener;
        listener({ type: "snapshot", seq: 0, entries: [] });
        return () => {};
      },
    },
  });
  return (step: Step): string => {
    switch (step.do) {
      case "verify":
        return reasonOf(guard.verify(tokens[step.token] as string) as never);
      case "revoke":
        tell({ type: "revocation", entry: { ...step.entry, seq: ++seq, until: start + 10_000 } });
        return "";
      case "pass":
        nowMs += step.seconds * 1000;
        return "";
      case "keys":
        published = step.published.map((at) => (keys[at] as (typeof keys)[number]).jwk);
        changed();
        return "";
    }
  };
}

test("with the cache and without it every history gives the same answers, whatever expires, is revoked or withdrawn", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(stepArbitrary, { minLength: 20, maxLength: 60, size: "max" }), (steps) => {
      const [cached, tiny, plain] = [world(10_000), world(3), world(0)];
      for (const step of steps) {
        const expected = plain(step);
        seen.add(expected);
        assert.equal(cached(step), expected);
        assert.equal(tiny(step), expected);
      }
    }),
    { numRuns: 200 },
  );
  for (const reason of ["ok", "expired", "not_yet_valid", "revoked", "reminted", "unknown_key"]) {
    assert.ok(seen.has(reason), `the histories must have met ${reason}`);
  }
});
