import type { Sql } from "sql-template-tag";
import type { Statement, Value } from "./database.ts";

/**
 * A statement for the hot path: its text is put together once, from a sample, and only the parameters change, which
 * are given in the order in which they stand in it.
 */
export function prepared({ sql, text, values: { length } }: Sql): (...values: Value[]) => Statement {
  return (...values) => {
    if (values.length !== length)
      throw new TypeError(`A statement takes ${length} parameters, not ${values.length}`);
    return { sql, text, values };
  };
}
