import { chmodSync, closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Clock } from "../primitives/clock.ts";
import { type Database, DatabasePaused, DatabaseUnavailable, type Row, type Statement } from "./database.ts";
import { openSqliteConnection, type SqliteConnection, sqliteFailure } from "./sqlite-connection.ts";
import { openWrites, type Writes } from "./sqlite-writes.ts";
import { StatementFailed } from "./statement-failed.ts";
import { assertReads, parametersOf } from "./statement-text.ts";

export interface SqliteDatabase extends Database {
  /** Ends the writing thread at once, as a crash would. For tests. */
  killWriter(): Promise<void>;
}

/**
 * A database in a file. Reads run on the calling thread (about ten microseconds each, and in WAL mode they wait for
 * nobody); everything that writes goes to a thread of its own.
 * @throws {DatabaseUnavailable} with one sentence that says what to do
 */
export async function openSqlite(options: {
  path: string;
  clock: Clock;
  onDeath(error: Error): void;
}): Promise<SqliteDatabase> {
  const path = resolve(options.path);
  makeFile(path);
  // The writer first: it makes the write-ahead log that a connection without the right to write cannot make.
  const writes = await openWrites({ path, onDeath: options.onDeath });
  try {
    return databaseOf({
      path,
      writes,
      clock: options.clock,
      reader: openSqliteConnection(path, { readOnly: true }),
    });
  } catch (error) {
    await writes.close();
    throw errorOf(error, path);
  }
}

function databaseOf(parts: {
  path: string;
  writes: Writes;
  reader: SqliteConnection;
  clock: Clock;
}): SqliteDatabase {
  const { path, writes, clock } = parts;
  let reader: SqliteConnection | undefined = parts.reader;
  let closed = false;

  function rowsOf(from: SqliteConnection, statement: Statement): Row[] {
    assertReads(statement.sql);
    return from.rows(statement.sql, parametersOf(statement));
  }

  function reading<T>(work: (from: SqliteConnection) => T): T {
    if (closed) throw new DatabaseUnavailable("The database is closed");
    try {
      reader ??= openSqliteConnection(path, { readOnly: true });
      return work(reader);
    } catch (error) {
      const failure = errorOf(error, path);
      if (failure instanceof DatabaseUnavailable) {
        reader?.close();
        reader = undefined;
      }
      throw failure;
    }
  }

  const read = (statement: Statement) => reading((from) => rowsOf(from, statement));

  return {
    engine: "sqlite",
    clock,
    all: async <R>(statement: Statement) => read(statement) as R[],
    one: async <R>(statement: Statement) => read(statement)[0] as R | undefined,
    each: async <R>(statements: readonly Statement[]) =>
      reading((from) => from.together(() => statements.map((statement) => rowsOf(from, statement) as R[]))),
    batch: (statements) => writes.batch(statements),
    transaction: (work) => writes.transaction(work),
    // Processes on one machine; nothing in SQLite tells them of each other's commits.
    listen: () => ({ hears: () => false, doubt() {}, stop: async () => {} }),
    async close() {
      if (closed) return;
      closed = true;
      // The last connection to close moves the log into the file and removes it; one that only reads cannot.
      reader?.close();
      await writes.close();
    },
    killWriter: () => writes.kill(),
  };
}

// Made by us before SQLite sees it, so that at no moment another user of the machine can read it.
function makeFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw new DatabaseUnavailable(`SQLite database ${path}: it is a folder; give the path of a file`);
    }
    closeSync(openSync(path, "wx", 0o600));
    chmodSync(path, 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && statSync(path, { throwIfNoEntry: false })?.isFile()) return;
    if (error instanceof DatabaseUnavailable) throw error;
    const reason =
      code === "EACCES" || code === "EPERM" || code === "EROFS"
        ? "this user may not make a file there: check the owner and mode of the folder"
        : message;
    throw new DatabaseUnavailable(`SQLite database ${path}: ${reason}`, { cause: error });
  }
}

function errorOf(error: unknown, path: string): Error {
  if (error instanceof TypeError || error instanceof DatabaseUnavailable) return error;
  const failure = sqliteFailure(error, path);
  if (failure.kind === "paused") return new DatabasePaused();
  return failure.kind === "unavailable"
    ? new DatabaseUnavailable(failure.message, { cause: error })
    : new StatementFailed(failure.message, failure.failure);
}
