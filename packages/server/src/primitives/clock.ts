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
/** What is known is written down so often while the machine's clock agrees, and when small steps have added up. */
const WRITTEN_EVERY_MS = 10_000;
const WRITTEN_STEP_MS = 500;
/** What nobody has confirmed for so long says nothing: a correction may have been made since, or a machine have slept. */
const GOOD_FOR_MS = 60_000;

/** What a process knows of the machine's clock. The times are of the steady one, in milliseconds. */
export interface KnownClock {
  /** How far the two clocks are apart. */
  readonly distance: number;
  readonly since: number;
  /** When the machine's clock agreed last. */
  readonly confirmedAt: number;
}

/** Keeps it from one process to the next, for as long as the machine's steady clock runs. */
export interface ClockMemory {
  read(): KnownClock | undefined;
  write(known: KnownClock): void;
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
  const start = steady();
  const remembered = memory?.read();
  const isGood = remembered !== undefined && start - remembered.confirmedAt <= GOOD_FOR_MS;
  let { distance, since } = isGood ? remembered : { distance: wall() - start, since: start };
  let written = isGood ? remembered : undefined;
  let jumpedAt: number | undefined;

  /** The machine's clock says what is known. */
  function agree(at: number): void {
    jumpedAt = undefined;
    const sinceWritten = at - (written?.confirmedAt ?? Number.NEGATIVE_INFINITY);
    const moved = Math.abs(distance - (written?.distance ?? distance));
    if (sinceWritten < WRITTEN_EVERY_MS && moved < WRITTEN_STEP_MS) return;
    written = { distance, since, confirmedAt: at };
    memory?.write(written);
  }

  return {
    now() {
      const at = steady();
      const measured = wall() - at;
      if (Math.abs(measured - distance) <= SMALL_STEP_MS) {
        distance = measured;
        agree(at);
      } else {
        jumpedAt ??= at;
        // What has not stood for so long itself is no better than what comes after it.
        const isKnown = at - since >= BELIEVED_AFTER_MS;
        if (!isKnown || at - jumpedAt >= BELIEVED_AFTER_MS) {
          distance = measured;
          since = jumpedAt;
          agree(at);
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
