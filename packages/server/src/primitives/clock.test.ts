import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { steadyClock } from "./clock.ts";

const DAY = 24 * 60 * 60 * 1000;

function machine() {
  let [wall, steady] = [1_800_000_000_000, 5_000];
  const clock = steadyClock(
    () => wall,
    () => steady,
  );
  return {
    now: () => clock.now(),
    /** Time goes by, on both clocks. */
    pass(milliseconds: number): void {
      wall += milliseconds;
      steady += milliseconds;
    },
    /** The machine's clock is set. */
    set(by: number): void {
      wall += by;
    },
    wall: () => wall,
  };
}

describe("the clock of this machine", () => {
  test("goes as the machine's does, and follows its small steps at once", () => {
    const { now, pass, set, wall } = machine();
    for (const step of [0, 400, -900, 1000, -3]) {
      pass(1234);
      set(step);
      assert.equal(now(), wall());
    }
  });

  for (const jump of [10 * DAY, -DAY, 60_000, -5_000]) {
    test(`a jump of ${jump / 1000} s that lasts for a moment does not show`, () => {
      const { now, pass, set, wall } = machine();
      const before = now();
      set(jump);
      for (let i = 0; i < 9; i++) {
        assert.equal(now(), before + i * 1000);
        pass(1000);
      }
      set(-jump);
      assert.equal(now(), wall());
      pass(1000);
      assert.equal(now(), wall());
    });

    test(`a jump of ${jump / 1000} s that stays is believed after ten seconds`, () => {
      const { now, pass, set, wall } = machine();
      now();
      set(jump);
      now();
      pass(9_999);
      assert.notEqual(now(), wall());
      pass(1);
      assert.equal(now(), wall());
    });
  }

  test("two jumps one after the other are each waited for", () => {
    const { now, pass, set, wall } = machine();
    set(DAY);
    now();
    pass(9_000);
    set(-DAY);
    now();
    pass(500);
    set(DAY);
    now();
    pass(5_000);
    assert.equal(now(), wall() - DAY);
  });

  test("says whole milliseconds", () => {
    const clock = steadyClock(
      () => 1_800_000_000_000,
      () => 0.123_456,
    );
    assert.ok(Number.isSafeInteger(clock.now()));
  });
});
