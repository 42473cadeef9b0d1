import { isTransient, KeyturnError } from "./keyturn-error.ts";
import type { Runtime } from "./runtime.ts";

/** Trying again: how often, how long, and when to give up. */

/** How long a call waits for a token that cannot be had. */
export const patienceMs = 60_000;
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

/** 1 s doubling to 30 s, half of it by chance, so that a thousand clients do not return as one. */
function pauseMs(failures: number, { retryAfterSeconds = 0 }: KeyturnError, random: number): number {
  const backoff = Math.min(firstPauseMs * 2 ** failures, longestPauseMs) * (0.5 + random / 2);
  return Math.max(backoff, Math.min(retryAfterSeconds * 1000, longestPauseMs));
}

export interface Patience {
  readonly runtime: Runtime;
  readonly closed: AbortSignal;
  /** Until when somebody waits, by the runtime's clock. It may be put off while it is waited. */
  readonly untilMs: () => number;
}

async function pause(milliseconds: number, { runtime, closed }: Patience): Promise<void> {
  const woken = new AbortController();
  const stop = runtime.onWake("online", () => woken.abort());
  await runtime.sleep(milliseconds, woken.signal, closed);
  stop();
}

/**
 * Tries until it succeeds, is refused for good, or nobody waits any more.
 *
 * @throws KeyturnError `unavailable` in the last case.
 */
export async function tryPatiently<T>(attempt: () => Promise<T>, patience: Patience): Promise<T> {
  const { runtime, closed, untilMs } = patience;
  for (let failures = 0; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (closed.aborted || !isTransient(error)) throw error;
      const milliseconds = pauseMs(failures, error, runtime.random());
      if (runtime.now() + milliseconds > untilMs()) throw unreachable(error);
      await pause(milliseconds, patience);
    }
  }
}

export function unreachable(last?: KeyturnError): KeyturnError {
  const message =
    "Keyturn could not be reached for some time; nobody is signed out, the next call tries again";
  const { status, retryAfterSeconds } = last ?? {};
  return new KeyturnError("unavailable", message, { status, retryAfterSeconds, cause: last });
}
