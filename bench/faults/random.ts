/** Chance that a seed decides: the same seed gives the same faults, in the same order, after the same pauses. */
export interface Random {
  /** From 0 up to, but not including, 1. */
  next(): number;
  /** A whole number, both ends included. */
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(values: readonly T[]): T;
}

/** A generator of its own for each purpose, so that how fast one goes does not change what another one decides. */
export function seededRandom(seed: number, purpose: string): Random {
  let state = seed >>> 0;
  for (const letter of purpose) state = (Math.imul(state ^ letter.charCodeAt(0), 0x01000193) + 1) >>> 0;
  // Mulberry32: 32 bits of state are enough to choose faults by.
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  return {
    next,
    between: (least, most) => least + Math.floor(next() * (most - least + 1)),
    chance: (probability) => next() < probability,
    pick<T>(values: readonly T[]): T {
      if (values.length === 0) throw new Error("There is nothing to pick from.");
      return values[Math.floor(next() * values.length)] as T;
    },
  };
}
