import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createGenerations } from "./generations.ts";
import { createProofReplays } from "./proof-replays.ts";

test("holds no more than its bound, and keeps what is in use", () => {
  const memory = createGenerations<number>(10);
  for (let n = 0; n < 1000; n++) {
    memory.set(`k${n}`, n);
    memory.get("k0");
  }
  assert.equal(memory.get("k0"), 0);
  const held = Array.from({ length: 1000 }, (_, n) => memory.get(`k${n}`)).filter(
    (value) => value !== undefined,
  );
  assert.ok(held.length <= 10);
  const none = createGenerations<number>(0);
  none.set("a", 1);
  assert.equal(none.get("a"), undefined);
});

test("within its bound and the time no use is forgotten, whatever the clock does in between", () => {
  const step = fc.record({ jti: fc.nat(30), seconds: fc.integer({ min: 0, max: 40 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const replays = createProofReplays(1000, 120_000);
      const usedAt = new Map<number, number>();
      let now = 1_790_000_000_000;
      for (const { jti, seconds } of steps) {
        now += seconds * 1000;
        const before = usedAt.get(jti);
        const isFirst = replays.isFirstUse("t", String(jti), now);
        if (before === undefined) assert.ok(isFirst, "never used");
        else if (now - before < 120_000) assert.ok(!isFirst, "used lately");
        if (isFirst) usedAt.set(jti, now);
      }
    }),
    { numRuns: 300 },
  );
});

test("when it is full the oldest are forgotten, and the latest half of the bound never is", () => {
  const replays = createProofReplays(100, 120_000);
  for (let n = 0; n < 1000; n++) {
    assert.ok(replays.isFirstUse("t", String(n), 0));
    for (let back = 1; back < 50 && back <= n; back += 7)
      assert.ok(!replays.isFirstUse("t", String(n - back), 0));
  }
  assert.ok(replays.isFirstUse("t", "0", 0), "forgotten");
});

test("a generation that fills up just before its time is over is not forgotten with it", () => {
  const replays = createProofReplays(100, 120_000);
  for (let n = 0; n < 60; n++) assert.ok(replays.isFirstUse("t", String(n), 119_999));
  for (let n = 0; n < 60; n++) assert.ok(!replays.isFirstUse("t", String(n), 120_001 + n));
});
