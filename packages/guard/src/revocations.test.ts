import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuardEvent } from "./events.ts";
import type { FeedEvent } from "./feed-events.ts";
import { createGuardWith, type Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
import { createRevocations, type RevocationEntry } from "./revocations.ts";
import { audience, mint, newKey, nowSeconds, reasonOf, staticIssuer } from "./test-issuer.ts";

const token = (sessionId: string, clientId: string, issuedAt: number) =>
  ({ sessionId, clientId, issuedAt }) as Identity;

test("the feed's contract: what each kind of entry refuses, and what it leaves alone", () => {
  const check = (entry: Omit<RevocationEntry, "seq" | "until">, identity: Identity) => {
    const revocations = createRevocations(5);
    assert.equal(revocations.add({ seq: 1, until: 2000, ...entry }, 1000), true);
    return revocations.refuses(identity);
  };
  assert.equal(check({ session: "s", before: 100 }, token("s", "c", 99)), "revoked");
  assert.equal(check({ session: "s", before: 100 }, token("s", "c", 500)), "revoked");
  assert.equal(check({ session: "s", before: 100 }, token("t", "c", 99)), undefined);
  assert.equal(check({ session: "s", before: 100, soft: true }, token("s", "c", 99)), "reminted");
  assert.equal(check({ session: "s", before: 100, soft: true }, token("s", "c", 100)), undefined);
  assert.equal(check({ client: "c", before: 100 }, token("s", "c", 99)), "revoked");
  assert.equal(check({ client: "c", before: 100 }, token("s", "c", 100)), undefined);
  assert.equal(check({ client: "s", before: 100 }, token("s", "c", 99)), undefined);
  assert.equal(check({ client: "c", before: 100, soft: true }, token("s", "c", 99)), "reminted");
  assert.equal(check({ all: true, before: 100 }, token("s", "c", 99)), "revoked");
  assert.equal(check({ all: true, before: 100 }, token("s", "c", 100)), undefined);
});

test("entries of one subject merge: a soft one never weakens a hard one, an earlier never a later", () => {
  const revocations = createRevocations(0);
  revocations.add({ seq: 1, session: "s", before: 100, until: 2000 }, 0);
  revocations.add({ seq: 2, session: "s", before: 900, until: 1000, soft: true }, 0);
  revocations.add({ seq: 3, client: "c", before: 500, until: 2000 }, 0);
  revocations.add({ seq: 4, client: "c", before: 100, until: 900 }, 0);
  revocations.forget(1500);
  assert.equal(revocations.refuses(token("s", "x", 1000)), "revoked");
  assert.equal(revocations.refuses(token("x", "c", 400)), "revoked");
});

test("an entry is forgotten after until and the tolerance, not before", () => {
  const revocations = createRevocations(5);
  revocations.add({ seq: 1, session: "s", before: 1, until: 100 }, 0);
  revocations.forget(105);
  assert.equal(revocations.size(), 1);
  revocations.forget(166);
  assert.equal(revocations.size(), 0);
  assert.equal(revocations.add({ seq: 2, session: "t", before: 1, until: 100 }, 106), true);
  assert.equal(revocations.size(), 0);
});

test("a full memory says so, and has room again once entries are over", () => {
  const revocations = createRevocations(0, 2);
  const add = (session: string, now: number) =>
    revocations.add({ seq: 1, session, before: 1, until: now + 10 }, now);
  assert.deepEqual([add("a", 0), add("b", 0), add("c", 0), add("a", 0)], [true, true, false, true]);
  assert.equal(add("c", 11), true);
});

const key = newKey("k1");

function scene(revocationsMax = 1000) {
  let tell: (event: FeedEvent) => void = () => {};
  const events: GuardEvent[] = [];
  const guard: Guard = createGuardWith(
    {
      issuer: staticIssuer,
      audience,
      onEvent: (event) => events.push(event),
      source: {
        jwks: () => ({ keys: [key.jwk] }),
        onKeysChanged: () => () => {},
        follow(listener) {
          tell = listener;
          return () => {
            tell = () => {};
          };
        },
      },
    },
    { revocationsMax },
  );
  const verify = (one: string, requirement = {}) => reasonOf(guard.verify(one, requirement) as never);
  return { guard, events, verify, tell: (event: FeedEvent) => tell(event) };
}

const later = () => nowSeconds() + 3600;
const revoke = (session: string, seq = 1): FeedEvent => ({
  type: "revocation",
  entry: { seq, session, before: nowSeconds(), until: later() },
});

test("in process: a revocation is felt by the very next call, for a remembered token too", () => {
  const { guard, verify, tell } = scene();
  tell({ type: "snapshot", seq: 3, entries: [] });
  const one = mint(key, { sid: "s1" });
  const other = mint(key, { sid: "s2" });
  assert.deepEqual([verify(one), verify(other)], ["ok", "ok"]);
  tell(revoke("s1", 4));
  assert.deepEqual([verify(one), verify(other)], ["revoked", "ok"]);
  assert.deepEqual(guard.feed(), { state: "live", lastSeq: 4, staleForSeconds: 0, entries: 1 });
  guard.close();
});

test("whenFeedBroken refuse: 503 until the first snapshot, for this route only; a bad token is still 401", () => {
  const { guard, verify, tell } = scene();
  const good = mint(key);
  assert.equal(guard.feed().state, "connecting");
  assert.equal(verify(good, { whenFeedBroken: "refuse" }), "feed_broken");
  assert.equal(verify(good), "ok");
  assert.equal(verify(`${good}x`, { whenFeedBroken: "refuse" }), "malformed");
  tell({ type: "snapshot", seq: 0, entries: [] });
  assert.equal(verify(good, { whenFeedBroken: "refuse" }), "ok");
  guard.close();
});

test("whenFeedBroken refuse without any feed refuses, and createGuard says so beforehand", () => {
  const source = { jwks: () => ({ keys: [key.jwk] }) };
  const guard = createGuardWith({ issuer: staticIssuer, audience, source }, {});
  assert.equal(guard.feed().state, "off");
  assert.equal(reasonOf(guard.verify(mint(key), { whenFeedBroken: "refuse" }) as never), "feed_broken");
  assert.throws(
    () => createGuardWith({ issuer: staticIssuer, audience, source, whenFeedBroken: "refuse" }, {}),
    /resource/,
  );
  guard.close();
});

test("more entries than fit make the feed broken and the log say so", () => {
  const { guard, verify, tell, events } = scene(2);
  tell({ type: "snapshot", seq: 0, entries: [] });
  for (const session of ["a", "b", "c"]) tell(revoke(session));
  assert.equal(guard.feed().state, "broken");
  assert.equal(verify(mint(key), { whenFeedBroken: "refuse" }), "feed_broken");
  assert.ok(events.some((event) => event.type === "feed_down" && event.reason === "full"));
  guard.close();
});
