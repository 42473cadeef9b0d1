import type { Sql } from "sql-template-tag";
import type { Clock } from "../primitives/clock.ts";

/** A statement with its parameters. Written in `*.sql.ts` only; other files hand it on. */
export type { Sql };

/** What an engine needs of a statement. `prepared` makes one whose text is not put together anew at every use. */
export interface Statement extends Pick<Sql, "sql" | "text" | "values"> {
  /** How many of them are said as one, where that may be. See `prepared`. */
  readonly set?: StatementSet | undefined;
}

/**
 * What a parameter of a statement is when many run as one: a column of its type in the set of all their parameters,
 * or the same value for all.
 */
export type ParameterKind = "bytea" | "bigint" | "text" | "same";

/** How many statements of one text, that differ in their parameters, are said as one. PostgreSQL's words. */
export interface StatementSet {
  readonly text: string;
  readonly kinds: readonly ParameterKind[];
  readonly changesRows: boolean;
}

export type Engine = "sqlite" | "postgres";

/** What a column holds. Times are whole milliseconds; booleans are 0 and 1; ids and digests are bytes. */
export type Value = string | number | null | Uint8Array;

export type Row = Record<string, Value>;

export interface Result {
  /** Rows of a SELECT, or of a RETURNING. */
  readonly rows: Row[];
  /** How many rows an INSERT, UPDATE or DELETE changed. */
  readonly changes: number;
}

export interface Reader {
  all<R = Row>(statement: Statement): Promise<R[]>;
  one<R = Row>(statement: Statement): Promise<R | undefined>;
}

export interface Transaction extends Reader {
  /** Runs a statement that changes rows, and says how many it changed. */
  run(statement: Statement): Promise<number>;
}

/**
 * The storage seam. It offers what a race needs, conditional updates and real transactions, and not the four
 * verbs of a key-value store: "only if it is still so" is said in SQL, where the engine can hold to it.
 *
 * An acknowledged write is durable: `batch` and `transaction` resolve after the engine has flushed it.
 * Every method rejects with `DatabaseUnavailable` when the engine cannot do its part (disk full, connection lost).
 */
export interface Database extends Reader {
  readonly engine: Engine;
  /** The database's clock where it has one (PostgreSQL), so that nodes with wrong clocks agree. */
  readonly clock: Clock;
  /** Several reads in one trip, each seeing what is committed. Rows of each, in order. */
  each<R = Row>(statements: readonly Statement[]): Promise<R[][]>;
  /**
   * All statements in one transaction and one trip to the engine: all of them happen, or none.
   * A statement that changes nothing (its condition no longer holds) is not a failure: look at `changes`.
   */
  batch(statements: readonly Statement[]): Promise<Result[]>;
  /**
   * A transaction whose later statements depend on the answers of earlier ones. Await nothing but `tx` inside.
   * It may run again from the start when the engine asks for that (serialization, deadlock): no side effects.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Calls `onWord` when a process has changed what the channel is about, or may have. Whoever listens must look by the
   * clock as well: some engines say nothing (SQLite), and words get lost.
   */
  listen(channel: Channel, onWord: () => void): Listener;
  close(): Promise<void>;
}

/** What triggers in the database speak of; see the migrations. */
export type Channel = "keyturn_feed";

export interface Listener {
  /** Whether words arrive now, as far as that can be known. */
  hears(): boolean;
  /** There was news without a word: tries whether words arrive. */
  doubt(): void;
  stop(): Promise<void>;
}

/** The engine could not do its part. Nothing was changed, or the outcome is unknown; asking again is right. */
export class DatabaseUnavailable extends Error {
  override readonly name: string = "DatabaseUnavailable";
}

/** Its writes are paused for some seconds, because it is being moved. Nothing was changed. */
export class DatabasePaused extends DatabaseUnavailable {
  override readonly name = "DatabasePaused";
  constructor() {
    super("The database is being moved and takes no writes for some seconds; ask again");
  }
}
