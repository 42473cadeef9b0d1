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
/** The distance is written down anew when it has gone so far from what was written. */
const WRITTEN_STEP_MS = 500;

/** How far the machine's clock is from its steady one, and since when (of the steady one), in milliseconds. */
export interface ClockDistance {
  readonly distance: number;
  readonly since: number;
}

/** Keeps it from one process to the next, for as long as the machine's steady clock runs. */
export interface ClockMemory {
  read(): ClockDistance | undefined;
  write(known: ClockDistance): void;
}

/** From the start of the machine, the same in all its processes; that of a process begins with it. */
const steadyAtStart = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now();
const machineSteady = () => steadyAtStart + performance.now();

/**
 * The machine's clock, held by the steady one. A clock that jumps for a moment (a machine that moves, a wrong answer of
 * a time server) would make of a token that was turned a second ago one that was turned yesterday, and sign out who
 * asks for a lost reply. So a jump counts from when it has lasted: a real correction does. A process that starts during
 * one takes what the process before it knew.
 */
export function steadyClock({
  wall = () => Date.now(),
  steady = machineSteady,
  memory,
}: {
  readonly wall?: () => number;
  readonly steady?: () => number;
  readonly memory?: ClockMemory | undefined;
} = {}): Clock {
  const remembered = memory?.read();
  const start = steady();
  let { distance, since } = remembered ?? { distance: wall() - start, since: start };
  let written: number | undefined = remembered?.distance;
  let jumpedAt: number | undefined;

  function writeDown(): void {
    if (written !== undefined && Math.abs(distance - written) < WRITTEN_STEP_MS) return;
    written = distance;
    memory?.write({ distance, since });
  }

  writeDown();
  return {
    now() {
      const at = steady();
      const measured = wall() - at;
      if (Math.abs(measured - distance) <= SMALL_STEP_MS) {
        distance = measured;
        jumpedAt = undefined;
        writeDown();
      } else {
        jumpedAt ??= at;
        // What has not stood for so long itself is no better than what comes after it.
        const isKnown = at - since >= BELIEVED_AFTER_MS;
        if (!isKnown || at - jumpedAt >= BELIEVED_AFTER_MS) {
          distance = measured;
          since = jumpedAt;
          jumpedAt = undefined;
          writeDown();
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
