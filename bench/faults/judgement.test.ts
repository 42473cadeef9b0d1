import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { judge, type StoredSession } from "./judgement.ts";
import { acknowledge, begin, complain, digestOf, emptyLedger, generationOf, type Ledger } from "./ledger.ts";

function tokenOf(generation: number): string {
  const bytes = randomBytes(70);
  bytes.writeUInt32BE(generation, 18);
  return `krt_${bytes.toString("base64url")}`;
}

/** One session that has turned twice, and its row as it should be. */
function scene() {
  const ledger = emptyLedger();
  const session = begin(ledger, { id: "s1", username: "alice", token: tokenOf(0) });
  for (const generation of [1, 2]) acknowledge(ledger, session, tokenOf(generation));
  const good: StoredSession = { generation: 2, digest: digestOf(session.token), isRevoked: false };
  return { ledger, session, good };
}

function found(ledger: Ledger, row: StoredSession | undefined): Record<string, number> {
  const { counters } = judge(ledger, new Map(row === undefined ? [] : [["s1", row]]));
  return Object.fromEntries(Object.entries(counters).filter(([, count]) => count > 0));
}

test("a ledger that agrees with the database has no complaint", () => {
  const { ledger, good, session } = scene();
  assert.equal(session.generation, 2);
  assert.equal(generationOf(session.token), 2);
  assert.deepEqual(found(ledger, good), {});
});

test("an acknowledged turn that is not stored is a lost write", () => {
  const { ledger, good } = scene();
  assert.deepEqual(found(ledger, { ...good, generation: 1 }), { "acknowledged write lost": 1 });
});

test("an acknowledged sign-in that is not stored is a lost write, but after the restore of an older copy", () => {
  const { ledger, session } = scene();
  assert.deepEqual(found(ledger, undefined), { "acknowledged write lost": 1 });
  session.mayBeForgotten = true;
  assert.deepEqual(found(ledger, undefined), {});
});

test("a living session that the database has ended is an honest sign-out", () => {
  const { ledger, good } = scene();
  assert.deepEqual(found(ledger, { ...good, isRevoked: true }), { "honest sign-out": 1 });
});

test("an ended session must be ended in the database", () => {
  const { ledger, session, good } = scene();
  session.state = "ended";
  assert.deepEqual(found(ledger, { ...good, isRevoked: true }), {});
  assert.deepEqual(found(ledger, good), { "ended session came back": 1 });
});

test("a turn that nobody was told of is a wrong answer", () => {
  const { ledger, good } = scene();
  assert.deepEqual(found(ledger, { ...good, generation: 3 }), { "wrong answer": 1 });
});

test("another secret for the acknowledged generation is a second successor, stored or handed out", () => {
  const { ledger, session, good } = scene();
  assert.deepEqual(found(ledger, { ...good, digest: "00" }), { "two successors of one generation": 1 });
  acknowledge(ledger, session, tokenOf(2));
  assert.equal(found(ledger, good)["two successors of one generation"], 1);
});

test("the same token handed out again is no second successor", () => {
  const { ledger, session, good } = scene();
  acknowledge(ledger, session, session.token);
  assert.deepEqual(found(ledger, good), {});
});

test("nothing is promised of a session that a thief holds too", () => {
  const { ledger, session } = scene();
  session.state = "shared";
  assert.deepEqual(found(ledger, undefined), {});
});

test("what clients complained of is counted, with the session's last steps", () => {
  const { ledger, session, good } = scene();
  session.history.push("1.000 turn 1 to 2");
  complain(ledger, { kind: "thief not caught", what: "answered 200", of: session });
  const { complaints } = judge(ledger, new Map([["s1", good]]));
  assert.deepEqual(complaints, [
    { kind: "thief not caught", what: "answered 200", session: "s1", history: ["1.000 turn 1 to 2"] },
  ]);
});
