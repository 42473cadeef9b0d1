import type { Sql } from "sql-template-tag";
import type { ParameterKind, Statement, Value } from "./database.ts";
import { setFrom } from "./statement-set.ts";

/**
 * A statement for the hot path: its text is put together once, from a sample, and only the parameters change, which
 * are given in the order in which they stand in it.
 *
 * @param kinds of the parameters, in the same order. With them, an engine that reads every statement anew (PostgreSQL)
 * may run many such statements that stand side by side as one: see statement-set.ts for what they must look like.
 */
export function prepared(
  { sql, text, values: { length } }: Sql,
  kinds?: readonly ParameterKind[],
): (...values: Value[]) => Statement {
  const set = kinds && setFrom(text, kinds);
  return (...values) => {
    if (values.length !== length)
      throw new TypeError(`A statement takes ${length} parameters, not ${values.length}`);
    return { sql, text, values, set };
  };
}
