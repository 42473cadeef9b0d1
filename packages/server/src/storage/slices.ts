import { limits } from "../primitives/limits.ts";
import type { Database, Sql } from "./database.ts";

/**
 * Deletes what is over, a slice a transaction: one statement for a backlog of months would hold up every writer of
 * SQLite, and run into PostgreSQL's time-out again and again.
 * @param slice the statement that deletes so many rows at most
 * @returns how many were deleted; what is left after many slices waits for the next call
 */
export async function deleteInSlices(
  database: Pick<Database, "batch">,
  slice: (rows: number) => Sql,
): Promise<number> {
  let deleted = 0;
  for (let slices = 0; slices < limits.slicesPerRunMax; slices++) {
    const [result] = await database.batch([slice(limits.rowsPerSlice)]);
    deleted += result?.changes ?? 0;
    if ((result?.changes ?? 0) < limits.rowsPerSlice) break;
  }
  return deleted;
}
