import { type Algorithm, allAlgorithms, isAlgorithm } from "./algorithms.ts";

/** An option's value as a message shows it. */
export const show = (value: unknown) => JSON.stringify(value) ?? String(value);

export type NumberRange = {
  readonly value: number | undefined;
  readonly fallback: number;
  readonly max: number;
};

/**
 * A number from 0 to `max`, or the fallback.
 *
 * @throws TypeError that names the option.
 */
export function readNumber(name: string, { value, fallback, max }: NumberRange): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && value >= 0 && value <= max) return value;
  throw new TypeError(`${name} takes a number from 0 to ${max}; got ${show(value)}.`);
}

/**
 * A list of algorithms that are known and asymmetric.
 *
 * @throws TypeError that names the option.
 */
export function readAlgorithms(name: string, algorithms: readonly Algorithm[]): ReadonlySet<Algorithm> {
  const unknown = algorithms.filter((one) => !isAlgorithm(one));
  if (unknown.length > 0 || algorithms.length === 0) {
    const got = unknown.length > 0 ? unknown.join(", ") : "an empty list";
    throw new TypeError(`${name} takes any of ${allAlgorithms.join(", ")}; got ${got}.`);
  }
  return new Set(algorithms);
}
