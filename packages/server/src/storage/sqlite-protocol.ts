import type { Result, Row } from "./database.ts";
import type { EncodedStatements } from "./sqlite-statements.ts";
import type { StatementFailure } from "./statement-failed.ts";

/** What the calling thread asks of the writing thread. */
export type Request =
  /** All statements in one transaction. */
  | { id: number; kind: "batch"; statements: EncodedStatements }
  /** Statements inside the transaction that `begin` opened. */
  | { id: number; kind: "run"; statements: EncodedStatements }
  | { id: number; kind: "begin" | "commit" | "rollback" | "close" };

export type Failure =
  | { kind: "unavailable"; message: string }
  | { kind: "paused" }
  | { kind: "statement"; message: string; failure: StatementFailure };

export interface Reply {
  id: number;
  /** One number a statement. */
  changes?: number[];
  /** One list a statement; left out when no statement gave rows, as is usual. */
  rows?: Row[][];
  failure?: Failure;
}

/** The first message of the writing thread, then a list of replies for every group of requests. */
export type WriterMessage = { opened: true } | { refused: string } | Reply[];

export function replyOf(id: number, results: readonly Result[]): Reply {
  const reply: Reply = { id, changes: results.map(({ changes }) => changes) };
  if (results.some(({ rows }) => rows.length > 0)) reply.rows = results.map(({ rows }) => rows);
  return reply;
}

export function resultsOf({ changes = [], rows }: Reply): Result[] {
  return changes.map((count, index) => ({ rows: (rows?.[index] ?? []).map(withBuffers), changes: count }));
}

// A Buffer crosses to another thread as a bare Uint8Array.
function withBuffers(row: Row): Row {
  for (const name in row) {
    const value = row[name];
    if (value instanceof Uint8Array)
      row[name] = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return row;
}
