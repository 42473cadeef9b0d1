import { setImmediate as nextRound } from "node:timers/promises";
import type { Subtle } from "./keys.ts";

/** Time that passes only when nothing else can happen, or when the test says so. */

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly end: () => void;
}

export function createTimeline() {
  let nowMs = 5_000;
  let order = 0;
  let busy = 0;
  const timers = new Set<Timer>();

  function sleep(milliseconds: number, ...signals: readonly AbortSignal[]): Promise<void> {
    return new Promise((resolve) => {
      if (signals.some((signal) => signal.aborted)) return resolve();
      const end = () => {
        timers.delete(timer);
        for (const signal of signals) signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = { atMs: nowMs + milliseconds, order: order++, end };
      timers.add(timer);
      for (const signal of signals) signal.addEventListener("abort", end);
    });
  }

  /** Until everything waits: for time, or for the test. */
  async function settle(): Promise<void> {
    // Streams and bodies take some rounds of the event loop, in which nothing is to be seen of them.
    for (let quiet = 0; quiet < 6; quiet++) {
      await nextRound();
      if (busy > 0) quiet = -1;
    }
  }

  const next = () => [...timers].sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];

  async function advance(milliseconds: number): Promise<void> {
    const untilMs = nowMs + milliseconds;
    await settle();
    for (let timer = next(); timer !== undefined && timer.atMs <= untilMs; timer = next()) {
      nowMs = Math.max(nowMs, timer.atMs);
      timer.end();
      await settle();
    }
    nowMs = untilMs;
  }

  return {
    now: () => nowMs,
    sleep,
    settle,
    advance,
    /** How many wait for time to pass. */
    waiting: () => timers.size,
    /** Lets time pass until the promise is settled. */
    async run<T>(promise: Promise<T>): Promise<T> {
      let isSettled = false;
      const done = () => {
        isSettled = true;
      };
      promise.then(done, done);
      for (let rounds = 0; ; rounds++) {
        await settle();
        if (isSettled) return promise;
        const timer = next();
        if (timer === undefined || rounds > 100_000) throw new Error("This waits for what never comes");
        nowMs = Math.max(nowMs, timer.atMs);
        timer.end();
      }
    },
    /** WebCrypto works on other threads; time must not pass meanwhile. */
    watch(subtle: Subtle): Subtle {
      return new Proxy(subtle, {
        get(target, name) {
          const own = Reflect.get(target, name);
          if (typeof own !== "function") return own;
          return async (...parameters: unknown[]) => {
            busy++;
            try {
              return await own.apply(target, parameters);
            } finally {
              busy--;
            }
          };
        },
      });
    },
  };
}
