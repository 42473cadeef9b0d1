/** How long to wait before a new connection: doubling, jittered, so that a thousand guards do not return as one. */
export type ReconnectPause = {
  /** Milliseconds until the next attempt. */
  next(): number;
  /** A connection held: start again from the shortest pause. */
  reset(): void;
  /** The server's wish (`retry:`), in milliseconds, as the shortest pause; taken between 100 ms and a minute. */
  wish(milliseconds: number): void;
};

const shortestMs = 100;
const longestMs = 5000;
const wishMaxMs = 60_000;

/** `random` gives a number from 0 to 1. */
export function createReconnectPause(random: () => number): ReconnectPause {
  let baseMs = shortestMs;
  let attempts = 0;
  return {
    next() {
      const ceilingMs = Math.min(baseMs * 2 ** attempts, Math.max(longestMs, baseMs));
      attempts = Math.min(attempts + 1, 16);
      return Math.max(shortestMs, ceilingMs * (0.5 + random() / 2));
    },
    reset() {
      attempts = 0;
    },
    wish(milliseconds) {
      baseMs = Math.min(Math.max(milliseconds, shortestMs), wishMaxMs);
    },
  };
}
