export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  return { min: Math.min(...values), median: median(values), max: Math.max(...values) };
}

/** Round by round: of runs that are neighbours in time. A round that one of the two did not run has none. */
export function ratios(own: readonly number[], others: readonly number[]): number[] {
  return own.flatMap((value, round) => {
    const other = others[round];
    return other === undefined || other === 0 ? [] : [value / other];
  });
}

/** One line of a results page: what was asked for, and what was measured. */
export interface Finding {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  readonly reached: boolean;
}

export const rounded = (value: number, digits = 2) => value.toFixed(digits);
export const shown = ({ min, median, max }: Spread, digits = 2) =>
  `${rounded(median, digits)} (${rounded(min, digits)} to ${rounded(max, digits)})`;
