import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Result, Row, Value } from "./database.ts";
import { PAUSED_WORD } from "./pause-word.ts";
import type { Failure } from "./sqlite-protocol.ts";
import type { StatementFailure } from "./statement-failed.ts";

/** The only file that knows node:sqlite. Everything in it runs on the thread that calls it, and blocks it. */

const STATEMENTS_MAX = 200;
const CACHE_KIB = 16 * 1024;
/** A log that once grew beyond this is cut to it when it starts again. */
const LOG_KEPT_BYTES = 32 * 1024 * 1024;
/** How long a write waits for the write of another process. */
const WRITE_WAIT_MS = 10_000;
const CHECKPOINT_WAIT_MS = 200;
/** A read waits for nobody in WAL mode, except while another process opens or recovers the file. */
const READ_WAIT_MS = 1_000;

interface Prepared {
  readonly statement: StatementSync;
  /** Names of the columns that it gives; empty when it gives no rows. */
  readonly names: string[];
}

export interface SqliteConnection {
  /** Runs a statement: its rows, and how many rows it changed. */
  run(text: string, parameters: readonly Value[]): Result;
  /** The rows of a statement that only reads. */
  rows(text: string, parameters: readonly Value[]): Row[];
  /**
   * Reads in one transaction, all of one state of the rows. A read on its own takes and gives back the lock of the
   * log's index, two calls of the system; together they do so once.
   */
  together<T>(reads: () => T): T;
  /** Runs a text without parameters or rows: BEGIN, COMMIT, a PRAGMA. */
  exec(text: string): void;
  readonly inTransaction: boolean;
  /** How long the write-ahead log is, and how much of it is not yet in the database file. */
  logBytes(): { log: number; waiting: number };
  /** Moves all of the log into the file and starts it again, waiting a moment for whoever is in the way. */
  forceCheckpoint(): void;
  close(): void;
}

/**
 * Opens a file and sets what every connection needs. A connection that writes makes the file when it is missing.
 * @throws what node:sqlite throws; `sqliteFailure` turns it into a sentence
 */
export function openSqliteConnection(
  path: string,
  options: { readOnly: boolean; cacheKib?: number },
): SqliteConnection {
  const db = new DatabaseSync(path, {
    readOnly: options.readOnly,
    timeout: options.readOnly ? READ_WAIT_MS : WRITE_WAIT_MS,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
    allowExtension: false,
    defensive: true,
  });
  try {
    db.exec(
      `PRAGMA trusted_schema = OFF; PRAGMA cache_size = -${options.cacheKib ?? CACHE_KIB}; PRAGMA mmap_size = 0;`,
    );
    if (!options.readOnly) {
      const mode = db.prepare("PRAGMA journal_mode = WAL").get()?.journal_mode;
      if (mode !== "wal")
        throw new Error(`the file system does not take a write-ahead log (it stays in ${mode})`);
      // FULL: the log is flushed at every commit. An acknowledged write survives a power cut.
      // Moving the log into the file is not the commit's business: see sqlite-checkpoints.ts.
      db.exec(
        `PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = ${LOG_KEPT_BYTES}`,
      );
    }
    db.prepare("SELECT count(*) FROM sqlite_schema").get();
  } catch (error) {
    db.close();
    throw error;
  }
  return connectionOf(db);
}

function connectionOf(db: DatabaseSync): SqliteConnection {
  const prepared = new Map<string, Prepared>();
  const changedSoFar = db.prepare("SELECT total_changes() AS n", { returnArrays: true });
  const logState = db.prepare("PRAGMA wal_checkpoint(NOOP)", { returnArrays: true });
  const [pageBytes] = db.prepare("PRAGMA page_size", { returnArrays: true }).get() as unknown as [number];
  const begin = db.prepare("BEGIN");
  const commit = db.prepare("COMMIT");
  const totalChanges = () => (changedSoFar.get() as unknown as [number])[0];

  function prepare(text: string): Prepared {
    const found = prepared.get(text);
    if (found !== undefined) return found;
    const statement = db.prepare(text, { returnArrays: true });
    const made = { statement, names: statement.columns().map((column) => column.name) };
    if (prepared.size >= STATEMENTS_MAX) prepared.delete(prepared.keys().next().value as string);
    prepared.set(text, made);
    return made;
  }

  const read = ({ statement, names }: Prepared, parameters: readonly Value[]): Row[] =>
    (statement.all(...parameters.map(bindable)) as unknown as Value[][]).map((values) =>
      toRow(names, values),
    );

  return {
    run(text, parameters) {
      const found = prepare(text);
      if (found.names.length === 0) {
        return { rows: [], changes: Number(found.statement.run(...parameters.map(bindable)).changes) };
      }
      const before = totalChanges();
      const rows = read(found, parameters);
      // A SELECT leaves the total alone; of an INSERT, UPDATE or DELETE, RETURNING gives one row a change.
      return { rows, changes: totalChanges() === before ? 0 : rows.length };
    },
    rows: (text, parameters) => read(prepare(text), parameters),
    together(reads) {
      begin.run();
      try {
        return reads();
      } finally {
        commit.run();
      }
    },
    exec: (text) => db.exec(text),
    get inTransaction() {
      return db.isTransaction;
    },
    logBytes() {
      const [, log, moved] = logState.get() as unknown as [number, number, number];
      return { log: log * pageBytes, waiting: (log - moved) * pageBytes };
    },
    forceCheckpoint() {
      db.exec(`PRAGMA busy_timeout = ${CHECKPOINT_WAIT_MS}`);
      try {
        db.exec("PRAGMA wal_checkpoint(RESTART)");
      } finally {
        db.exec(`PRAGMA busy_timeout = ${WRITE_WAIT_MS}`);
      }
    },
    close() {
      prepared.clear();
      db.close();
    },
  };
}

// node:sqlite binds every number as a double, and a double in a TEXT column reads "5.0", where PostgreSQL has "5".
function bindable(value: Value): Value | bigint {
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
}

// An object literal grown in one order stays fast; the objects of node:sqlite have no prototype and are slower.
function toRow(names: readonly string[], values: readonly Value[]): Row {
  const row: Row = {};
  for (let i = 0; i < names.length; i++) {
    const value = values[i] as Value;
    row[names[i] as string] = value instanceof Uint8Array ? asBuffer(value) : value;
  }
  return row;
}

/** The same bytes as a Buffer: both engines hand out Buffers. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Result codes (https://sqlite.org/rescode.html) that mean the engine could not do its part. */
const UNAVAILABLE = new Map([
  [5, "another process holds the write lock for too long"],
  [6, "a table is locked"],
  [7, "there is no memory left"],
  [8, "the file cannot be written: check its owner and mode, and those of its folder"],
  [9, "the operation was interrupted"],
  [10, "the disk reports an input/output error"],
  [11, "the file is damaged: restore it from a backup"],
  [13, "the disk is full: make room, nothing else is needed"],
  [
    14,
    "the file cannot be opened: check that it is a file and that this user may read and write it and its folder",
  ],
  [15, "the locking protocol failed: SQLite does not work on a network file system"],
  [26, "it is not a SQLite database: give another path, or restore the file from a backup"],
]);

const CONSTRAINT_TRIGGER = 1811;

const CONSTRAINTS = new Map<number, StatementFailure>([
  [275, "check"],
  [787, "foreign_key"],
  [1299, "not_null"],
  [1555, "unique"],
  [2067, "unique"],
  [2579, "unique"],
]);

/** What went wrong, as something that can cross from one thread to another. SQLite's own words hold no values. */
export function sqliteFailure(error: unknown, path: string): Failure {
  const { errcode, message } = error as { errcode?: number; message: string };
  if (errcode === undefined) {
    return error instanceof TypeError || error instanceof RangeError
      ? { kind: "statement", message, failure: "other" }
      : { kind: "unavailable", message: `SQLite database ${path}: ${message}` };
  }
  if (errcode === CONSTRAINT_TRIGGER && message === PAUSED_WORD) return { kind: "paused" };
  const reason = UNAVAILABLE.get(errcode & 0xff);
  if (reason !== undefined)
    return { kind: "unavailable", message: `SQLite database ${path}: ${reason} (SQLite code ${errcode})` };
  return { kind: "statement", message, failure: CONSTRAINTS.get(errcode) ?? "other" };
}
