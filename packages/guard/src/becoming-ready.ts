import type { Feed } from "./feed.ts";
import type { KeySet } from "./key-set.ts";

/** Waits for keys and feed; see `Guard.ready`. */
export async function becomeReady(keySet: KeySet, feed: Feed, withinMs: number): Promise<void> {
  let isLate = false;
  let deadline: ReturnType<typeof setTimeout> | undefined;
  // Not unref'd: whoever awaits ready() wants the process to live on until it is decided.
  const late = new Promise<void>((resolve) => {
    deadline = setTimeout(resolve, withinMs);
  }).then(() => {
    isLate = true;
  });
  async function keysAtHand(): Promise<void> {
    while (!keySet.isLoaded() && !isLate) {
      await keySet.wait();
      if (!keySet.isLoaded()) {
        await Promise.race([
          late,
          new Promise((resolve) => setTimeout(resolve, Math.min(withinMs / 10, 250))),
        ]);
      }
    }
  }
  await Promise.race([late, Promise.all([keysAtHand(), feed.firstSnapshot])]);
  clearTimeout(deadline);
  if (!isLate) return;
  const missing = keySet.isLoaded()
    ? `the revocation feed is not followed: ${feed.lastProblem() ?? "no snapshot came"}`
    : `the issuer's keys could not be had: ${keySet.lastProblem() ?? "no answer yet"}`;
  throw new Error(`Guard not ready after ${withinMs / 1000} s: ${missing}`);
}
