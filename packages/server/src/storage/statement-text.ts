import type { Statement, Value } from "./database.ts";

const READS = /^(?:\s|--[^\n]*\n|\()*(?:SELECT|WITH|VALUES)\b/i;

/**
 * Refuses a statement that changes rows where only reads belong. SQLite reads on a connection that cannot write;
 * on PostgreSQL it would work and lose its place in the order of transactions, so both refuse it alike.
 */
export function assertReads(text: string): void {
  if (READS.test(text)) return;
  throw new TypeError(
    "all, one and each only read: give a statement that changes rows to batch or transaction",
  );
}

/**
 * The parameters of a statement, after a look at their types: what one engine would quietly take and the other
 * refuse (undefined, booleans, dates, numbers that no longer count exactly) is refused on both.
 */
export function parametersOf(statement: Statement): Value[] {
  const values = statement.values as unknown[];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (typeof value === "string" || value === null) continue;
    if (typeof value === "number") {
      if (Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value))) continue;
    } else if (value instanceof Uint8Array) continue;
    throw new TypeError(
      `Parameter ${i + 1} of a statement is ${describe(value)}; it takes text, a whole number, bytes or null`,
    );
  }
  return values as Value[];
}

// Says the type and never the value: it may be a secret.
function describe(value: unknown): string {
  if (typeof value === "number") return "a number outside the range that counts exactly";
  if (typeof value === "object") return `a ${(value as object).constructor?.name ?? "object"}`;
  return value === undefined ? "undefined" : `a ${typeof value}`;
}
