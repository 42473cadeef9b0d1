/** A source of time. Everything that decides by time is given one, so that tests own it. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC, a whole number. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** A step of the machine's clock that is smaller is taken at once: they are made all the time. */
const SMALL_STEP_MS = 1000;
/** A larger one is believed when it has stood for so long. */
const BELIEVED_AFTER_MS = 10_000;

/**
 * The machine's clock, held by the steady one. A clock that jumps for a moment (a machine that moves, a wrong answer of
 * a time server) would make of a token that was turned a second ago one that was turned yesterday, and sign out who
 * asks for a lost reply. So a jump counts from when it has lasted: a real correction does.
 */
export function steadyClock(
  wall: () => number = () => Date.now(),
  steady: () => number = () => performance.now(),
): Clock {
  let distance = wall() - steady();
  let jumpedAt: number | undefined;
  return {
    now() {
      const at = steady();
      const measured = wall() - at;
      if (Math.abs(measured - distance) <= SMALL_STEP_MS) {
        distance = measured;
        jumpedAt = undefined;
      } else {
        jumpedAt ??= at;
        if (at - jumpedAt >= BELIEVED_AFTER_MS) {
          distance = measured;
          jumpedAt = undefined;
        }
      }
      return Math.floor(at + distance);
    },
  };
}

/** Seconds since 1970, rounded down: the NumericDate of a JWT (RFC 7519 §2). */
export function toSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
