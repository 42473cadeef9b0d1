import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabasePaused, DatabaseUnavailable } from "./database.ts";
import { openSqliteConnection, type SqliteConnection, sqliteFailure } from "./sqlite-connection.ts";

/** Whole copies of a SQLite database: making, examining and putting them in place. All of it blocks its thread. */

/** How long it is waited for a server that may be closing the file at this moment. */
const ALONE_WAIT_MS = 500;

export interface Examined {
  /** Of the migrations that made its tables, the newest first. */
  readonly version: number;
  /** How many rows each table has. */
  readonly rows: Readonly<Record<string, number>>;
}

/**
 * Writes all of a database, as it is at one moment, to a new file of mode 0600, and looks whether the copy is good.
 * The file appears under its name when it is whole, flushed and examined, or not at all.
 *
 * `VACUUM INTO` reads one snapshot, beside a writer that goes on: only the log cannot start again until it has ended.
 * SQLite's backup API would begin anew at each commit of another process, and under load never end; and it copies the
 * free pages too, in which deleted rows still stand.
 * @throws {DatabaseUnavailable}
 */
export function copySqlite(from: string, to: string): Examined {
  const half = `${to}.half`;
  rmSync(half, { force: true });
  return guarded(to, () => {
    // Made by us first, so that at no moment another user of the machine can read it.
    closeSync(openSync(half, "wx", 0o600));
    try {
      const copied = using(from, { readOnly: true }, (source) => copyAndCompare(source, half));
      flush(half);
      renameSync(half, to);
      flush(dirname(to));
      return copied;
    } finally {
      rmSync(half, { force: true });
    }
  });
}

function copyAndCompare(source: SqliteConnection, half: string): Examined {
  const dataVersion = () => source.rows("PRAGMA data_version", [])[0]?.data_version;
  const began = dataVersion();
  source.run("VACUUM INTO ?", [half]);
  const copied = examineSqlite(half);
  const now = contentsOf(source);
  // With nobody writing meanwhile both are the same to the row; else the counts have moved on, and the rest must fit.
  const isSame =
    dataVersion() === began
      ? JSON.stringify(now) === JSON.stringify(copied)
      : now.version >= copied.version && Object.keys(copied.rows).every((table) => table in now.rows);
  if (!isSame)
    throw new DatabaseUnavailable(`The copy ${half} is not what was copied: the disk may be failing`);
  return copied;
}

/**
 * Whether a file is a whole and sound database of Keyturn, and what is in it.
 * @throws {DatabaseUnavailable} with the reason, when it is none
 */
export function examineSqlite(file: string): Examined {
  return using(file, { readOnly: true }, (copy) => {
    const [check] = copy.rows("PRAGMA integrity_check(1)", []);
    if (check?.integrity_check !== "ok")
      throw new DatabaseUnavailable(
        `SQLite database ${file}: the file is damaged: ${check?.integrity_check}`,
      );
    if (copy.rows("PRAGMA foreign_key_check", []).length > 0)
      throw new DatabaseUnavailable(`SQLite database ${file}: rows in it refer to rows that are missing`);
    return contentsOf(copy);
  });
}

function contentsOf(connection: SqliteConnection): Examined {
  return connection.together(() => {
    const tables = connection
      .rows(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
        [],
      )
      .map(({ name }) => String(name));
    if (!tables.includes("schema_migrations"))
      throw new DatabaseUnavailable("The file is no database of Keyturn: it has no schema_migrations");
    const rows = tables.map((table) => [
      table,
      Number(connection.rows(`SELECT count(*) AS n FROM "${table}"`, [])[0]?.n),
    ]);
    const [newest] = connection.rows("SELECT max(version) AS version FROM schema_migrations", []);
    return { version: Number(newest?.version), rows: Object.fromEntries(rows) };
  });
}

/**
 * Does something while no other process has the database open, with its log moved into the file and gone: then the
 * file is all there is.
 * @returns undefined when another process has it open
 * @throws {DatabaseUnavailable} when the file cannot be opened
 */
export function whileAlone<T>(path: string, work: () => T): T | undefined {
  return using(path, { readOnly: false }, (connection) => {
    connection.exec(`PRAGMA busy_timeout = ${ALONE_WAIT_MS}`);
    try {
      // Every connection in WAL mode holds a lock for as long as it is open, and this asks for it to be gone.
      connection.rows("PRAGMA journal_mode = DELETE", []);
      connection.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      if ((error as { errcode?: number }).errcode === 5) return undefined;
      throw error;
    }
    try {
      return work();
    } finally {
      connection.exec("ROLLBACK");
    }
  });
}

/** Waits until a file, or the names in a folder, are on the disk. */
export function flush(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function using<T>(
  path: string,
  options: { readOnly: boolean },
  work: (connection: SqliteConnection) => T,
): T {
  return guarded(path, () => {
    if (!statSync(path, { throwIfNoEntry: false })?.isFile())
      throw new DatabaseUnavailable(`There is no file ${path}`);
    const connection = openSqliteConnection(path, options);
    try {
      return work(connection);
    } finally {
      connection.close();
    }
  });
}

function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof DatabaseUnavailable) throw error;
    const failure = sqliteFailure(error, path);
    throw failure.kind === "paused"
      ? new DatabasePaused()
      : new DatabaseUnavailable(failure.message, { cause: error });
  }
}
