/** When keys are to be fetched again: ahead of their end, and with growing pauses while the issuer is down. */
export type RefreshPlan = {
  /** They came, good for so long. Returns the milliseconds until the next refresh; Infinity for never. */
  succeeded(lifeSeconds: number): number;
  /** They did not come. Returns the milliseconds until the next attempt is allowed. */
  failed(): number;
  /** Whether an attempt is allowed: the pause after the last failure is over. */
  mayTry(): boolean;
  isDue(): boolean;
  /**
   * Whether to wait for new keys before trusting those at hand: past their end and nobody has asked since (a machine
   * that slept). Once asking has failed the old ones serve on, and nobody waits.
   */
  mustWait(): boolean;
  retryAfterSeconds(): number;
};

const failurePauseMaxMs = 30_000;
const refreshAtShare = 0.8;

/** `elapsedMs` gives milliseconds that never go back. */
export function createRefreshPlan(elapsedMs: () => number): RefreshPlan {
  let dueAtMs = 0;
  let endsAtMs = 0;
  let retryAtMs = 0;
  let failures = 0;

  return {
    succeeded(lifeSeconds) {
      const lifeMs = lifeSeconds * 1000;
      failures = 0;
      retryAtMs = 0;
      dueAtMs = elapsedMs() + lifeMs * refreshAtShare;
      endsAtMs = elapsedMs() + lifeMs;
      return lifeMs * refreshAtShare;
    },
    failed() {
      const pauseMs = Math.min(1000 * 2 ** failures, failurePauseMaxMs);
      failures = Math.min(failures + 1, 10);
      retryAtMs = elapsedMs() + pauseMs;
      return pauseMs;
    },
    mayTry: () => elapsedMs() >= retryAtMs,
    isDue: () => elapsedMs() >= Math.max(dueAtMs, retryAtMs),
    mustWait: () => elapsedMs() >= endsAtMs && failures === 0,
    retryAfterSeconds: () => Math.max(1, (retryAtMs - elapsedMs()) / 1000),
  };
}
