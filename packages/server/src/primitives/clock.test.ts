import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type KnownClock, steadyClock } from "./clock.ts";

const DAY = 24 * 60 * 60 * 1000;

function machine() {
  let [wall, steady] = [1_800_000_000_000, 5_000];
  let remembered: KnownClock | undefined;
  const memory = {
    read: () => remembered,
    write: (known: KnownClock) => {
      remembered = known;
    },
  };
  const start = () => steadyClock({ wall: () => wall, steady: () => steady, memory });
  let clock = start();
  // It has run for a while.
  wall += 20_000;
  steady += 20_000;
  clock.now();
  return {
    now: () => clock.now(),
    /** The process dies, and another takes its place. */
    restart(): void {
      clock = start();
    },
    forget(): void {
      remembered = undefined;
    },
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

  test("a process that starts while the clock is wrong takes what the one before it knew", () => {
    const { now, pass, set, wall, restart } = machine();
    now();
    set(DAY);
    restart();
    assert.equal(now(), wall() - DAY);
    pass(1000);
    restart();
    set(-DAY);
    assert.equal(now(), wall());
  });

  test("that holds for processes that each live for a moment only", () => {
    const { now, pass, set, wall, restart, forget } = machine();
    forget();
    for (let life = 0; life < 12; life++) {
      restart();
      now();
      pass(1000);
    }
    set(-DAY);
    restart();
    assert.equal(now(), wall() + DAY);
  });

  test("the first process of a machine believes no jump more than another: what comes after it is taken at once", () => {
    const { now, pass, set, wall, restart, forget } = machine();
    forget();
    set(DAY);
    restart();
    assert.equal(now(), wall());
    pass(1000);
    set(-DAY);
    assert.equal(now(), wall());
  });

  test("a correction that was made while no process ran is believed after ten seconds", () => {
    const { now, pass, set, wall, restart } = machine();
    now();
    set(-DAY);
    restart();
    now();
    pass(10_000);
    assert.equal(now(), wall());
    restart();
    assert.equal(now(), wall());
  });

  test("commands that live for a moment take the machine's clock once nobody has confirmed another for a minute", () => {
    const { now, pass, set, wall, restart } = machine();
    now();
    // Nothing runs; the machine sleeps, or is set right.
    set(DAY);
    pass(60_001);
    restart();
    assert.equal(now(), wall());
  });

  test("a jump that is not believed yet confirms nothing", () => {
    const { now, pass, set, wall, restart } = machine();
    now();
    set(DAY);
    for (let second = 0; second < 9; second++) {
      now();
      pass(1000);
    }
    pass(51_001);
    restart();
    assert.equal(now(), wall());
  });

  test("small steps that add up are remembered", () => {
    const { now, pass, set, wall, restart } = machine();
    for (let step = 0; step < 20; step++) {
      set(700);
      now();
      pass(1000);
    }
    restart();
    assert.equal(now(), wall());
  });

  test("says whole milliseconds", () => {
    const clock = steadyClock({ wall: () => 1_800_000_000_000, steady: () => 0.123_456 });
    assert.ok(Number.isSafeInteger(clock.now()));
  });
});
