/**
 * Whether kinds of calls can be told apart by their time, on a machine that does other work as well. The kinds take
 * turns in an order that is drawn anew each round, so that whatever slows the machine slows all of them; what is looked
 * at is each kind's difference to the first one within a round. Where a row of rounds gives reason to suspect a kind, a
 * second row is measured, of that kind and the first; it counts as different only when the whole confidence interval
 * (99.3 %, bootstrapped) of the median difference lies beyond the tolerance. So chance has to be wrong twice.
 */

/** Over a network of a millisecond's jitter, less than this takes tens of thousands of calls to see; limits allow ten. */
const TOLERANCE_MS = 0.75;
const ROUNDS_MIN = 15;
const ROUNDS_MAX = 400;
const WARM_UP_ROUNDS = 3;
/** A difference that was seen may take longer to be certain of. */
const SECOND_ROW_FACTOR = 3;
const RESAMPLES = 300;
/** Of the resampled medians, this many lie outside of the interval on each side. */
const TAIL = 1 / 299;

export interface TimingOptions {
  /** For one row of rounds. */
  readonly millisecondsMax: number;
  /** Before each round, outside of what is measured. */
  readonly before?: () => Promise<unknown>;
  /** Takes the place of the machine's clock, in milliseconds. */
  readonly now?: () => number;
}

export interface Difference {
  readonly kind: string;
  /** Milliseconds, against the first kind. */
  readonly low: number;
  readonly median: number;
  readonly high: number;
  readonly rounds: number;
}

type Kinds = Readonly<Record<string, () => Promise<unknown>>>;

/** The kinds that take another time than the first one. */
export async function timeDifferences(kinds: Kinds, options: TimingOptions): Promise<Difference[]> {
  await measure(kinds, options, { rounds: WARM_UP_ROUNDS });
  const suspects = (await row(kinds, options)).filter(isSuspect);
  if (suspects.length === 0) return [];
  const [first = ""] = Object.keys(kinds);
  const names = [first, ...suspects.map(({ kind }) => kind)];
  const again = Object.fromEntries(names.map((name) => [name, kinds[name] as () => Promise<unknown>]));
  const millisecondsMax = options.millisecondsMax * SECOND_ROW_FACTOR;
  return (await row(again, { ...options, millisecondsMax })).filter(isDifferent);
}

const machineClock = () => performance.now();

const isDifferent = ({ low, high }: Difference) => low > TOLERANCE_MS || high < -TOLERANCE_MS;
/** Worth another row of rounds. */
const isSuspect = ({ low, median, high }: Difference) =>
  Math.abs(median) > TOLERANCE_MS && (low > 0 || high < 0);
const isDecided = (one: Difference) =>
  isDifferent(one) || (one.low > -TOLERANCE_MS && one.high < TOLERANCE_MS);

/** Rounds until each difference is known well enough, or the time is over. */
async function row(kinds: Kinds, options: TimingOptions): Promise<Difference[]> {
  const now = options.now ?? machineClock;
  const until = now() + options.millisecondsMax;
  const rounds: number[][] = [];
  for (;;) {
    // Each look is one more chance to be wrong, and costs time itself: few of them.
    const more = Math.max(ROUNDS_MIN, Math.ceil(rounds.length / 2));
    rounds.push(...(await measure(kinds, options, { rounds: more, until })));
    const found = differences(Object.keys(kinds), rounds);
    const isOver = now() > until || rounds.length >= ROUNDS_MAX;
    if (isOver || found.every(isDecided)) return found;
  }
}

/** A row of milliseconds for each round, in the order of the kinds. */
async function measure(
  kinds: Kinds,
  { before, now = machineClock }: TimingOptions,
  { rounds, until = Number.POSITIVE_INFINITY }: { rounds: number; until?: number },
): Promise<number[][]> {
  const calls = Object.values(kinds);
  const measured: number[][] = [];
  for (let round = 0; round < rounds && now() < until; round++) {
    await before?.();
    const times: number[] = [];
    for (const index of shuffled(calls.length)) {
      const startedAt = now();
      await calls[index]?.();
      times[index] = now() - startedAt;
    }
    measured.push(times);
  }
  return measured;
}

function differences(names: readonly string[], rounds: readonly number[][]): Difference[] {
  return names.slice(1).map((kind, index) => {
    const values = rounds.map((times) => (times[index + 1] ?? 0) - (times[0] ?? 0));
    const medians = Array.from({ length: RESAMPLES }, () => median(resampled(values))).sort((a, b) => a - b);
    const at = (share: number) => medians[Math.round(share * (RESAMPLES - 1))] ?? 0;
    return { kind, low: at(TAIL), median: median(values), high: at(1 - TAIL), rounds: rounds.length };
  });
}

const resampled = (values: readonly number[]) =>
  values.map(() => values[Math.floor(Math.random() * values.length)] ?? 0);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

function shuffled(length: number): number[] {
  const order = Array.from({ length }, (_, index) => index);
  for (let last = length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other] ?? 0, order[last] ?? 0];
  }
  return order;
}
