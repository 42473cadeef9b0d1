import sql, { type Sql } from "sql-template-tag";
import { type Database, DatabaseUnavailable } from "./database.ts";

/**
 * What a move says of a database, in rows of `schema_migrations` beyond every migration: whoever opens the database
 * reads that table first, and a Keyturn that knows no marks takes them for a version that is too new, and stays away.
 */
export const marks = {
  /** Of a source: its writes are paused until `applied_at`. */
  pause: 1_000_000,
  /** Of a target: it is half made. The name says of what. */
  half: 1_000_001,
} as const;

export const MARKS_FROM = marks.pause;

/** No clock comes to it: the last millisecond that a Date can say. */
export const FOR_GOOD = 8_640_000_000_000_000;

export interface Mark {
  readonly version: number;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly applied_at: number;
}

const selectMarks: Sql = sql`
  SELECT version, name, applied_at FROM schema_migrations WHERE version >= ${MARKS_FROM} ORDER BY version`;

export const insertMark = (mark: Mark): Sql => sql`
  INSERT INTO schema_migrations (version, name, applied_at) VALUES (${mark.version}, ${mark.name}, ${mark.applied_at})
  ON CONFLICT (version) DO UPDATE SET name = excluded.name, applied_at = excluded.applied_at`;

export const deleteMark = (version: number): Sql =>
  sql`DELETE FROM schema_migrations WHERE version = ${version}`;

/** @throws {DatabaseUnavailable} when it is not to be worked on */
export function refuseMarked(found: readonly Mark[], now: number): void {
  for (const mark of found) {
    if (mark.version === marks.half)
      throw new DatabaseUnavailable(
        "The database is the half-made target of a move: run keyturn move again, or empty it",
      );
    // A pause whose mover is gone ends by itself.
    if (mark.version !== marks.pause || mark.applied_at <= now) continue;
    throw new DatabaseUnavailable(
      mark.applied_at === FOR_GOOD
        ? `The database was ${mark.name}: give that one by KEYTURN_DATABASE, or take this one up again by keyturn move --resume`
        : "The database is being moved, and takes no writes for some seconds; try again",
    );
  }
}

/** The marks of a database that has tables. */
export const marksOf = (database: Database): Promise<Mark[]> => database.all<Mark>(selectMarks);
