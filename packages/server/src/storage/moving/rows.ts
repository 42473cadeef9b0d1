import type { Database, Engine, Row, Statement, Value } from "../database.ts";
import type { Shape } from "./shapes.ts";

/** Rows by the table's shape: pages in the order of the primary key, and the writes that make a page equal. */

/** As many parameters as one statement carries; SQLite takes 32,766, PostgreSQL 65,535. */
const PARAMETERS_MAX = 8_000;
/** Rows that one DELETE names: SQLite bounds the depth of an expression. */
const DELETED_AT_ONCE = 200;

export type Key = readonly Value[];

export const keyOf = (shape: Shape, row: Row): Key => shape.key.map(({ column }) => row[column] ?? null);

/** The next rows after a key. */
export function readPage(
  database: Database,
  { shape, after, rows }: { shape: Shape; after: Key | undefined; rows: number },
): Promise<Row[]> {
  const columns = orderColumns(shape, database.engine);
  const beyond = after === undefined ? "" : `WHERE (${columns}) > (${after.map(() => "?").join()})`;
  return database.all<Row>(
    statement(
      `SELECT ${shape.columns.map(quoted).join()} FROM ${quoted(shape.name)} ${beyond} ORDER BY ${columns} LIMIT ${rows}`,
      after ?? [],
    ),
  );
}

/** The rows after a key, up to and with another. */
export function readRange(
  database: Database,
  { shape, after, upTo, rows }: { shape: Shape; after: Key | undefined; upTo: Key; rows: number },
): Promise<Row[]> {
  const columns = orderColumns(shape, database.engine);
  const places = upTo.map(() => "?").join();
  const beyond = after === undefined ? "" : `(${columns}) > (${places}) AND`;
  return database.all<Row>(
    statement(
      `SELECT ${shape.columns.map(quoted).join()} FROM ${quoted(shape.name)}
        WHERE ${beyond} (${columns}) <= (${places}) ORDER BY ${columns} LIMIT ${rows}`,
      [...(after ?? []), ...upTo],
    ),
  );
}

/** Inserts rows, in place of those with the same key. */
export function upserts(shape: Shape, rows: readonly Row[]): Statement[] {
  const { columns } = shape;
  const keys = shape.key.map(({ column }) => column);
  const others = columns.filter((column) => !keys.includes(column));
  const instead =
    others.length === 0
      ? "DO NOTHING"
      : `DO UPDATE SET ${others.map((column) => `${quoted(column)} = excluded.${quoted(column)}`).join()}`;
  const one = `(${columns.map(() => "?").join()})`;
  return slices(rows, Math.max(1, Math.floor(PARAMETERS_MAX / columns.length))).map((slice) =>
    statement(
      `INSERT INTO ${quoted(shape.name)} (${columns.map(quoted).join()}) VALUES ${slice.map(() => one).join()}
        ON CONFLICT (${keys.map(quoted).join()}) ${instead}`,
      slice.flatMap((row) => columns.map((column) => row[column] ?? null)),
    ),
  );
}

export function deletions(shape: Shape, keys: readonly Key[]): Statement[] {
  const one = `(${shape.key.map(({ column }) => `${quoted(column)} = ?`).join(" AND ")})`;
  return slices(keys, DELETED_AT_ONCE).map((slice) =>
    statement(`DELETE FROM ${quoted(shape.name)} WHERE ${slice.map(() => one).join(" OR ")}`, slice.flat()),
  );
}

/** The order of both engines: bytes by their value, text by that of its UTF-8, numbers by theirs. */
export function compareKeys(one: Key, other: Key): number {
  for (const [index, a] of one.entries()) {
    const b = other[index] as Value;
    const order =
      typeof a === "number" && typeof b === "number" ? a - b : Buffer.compare(bytesOf(a), bytesOf(b));
    if (order !== 0) return order;
  }
  return 0;
}

/** A row as a text that no other row has: each value with its kind and length. */
export function encodeRow(shape: Shape, row: Row): string {
  let text = "";
  for (const column of shape.columns) {
    const value = row[column] ?? null;
    if (value === null) text += "-";
    else if (typeof value === "number") text += `n${value};`;
    else if (typeof value === "string") text += `s${value.length}:${value}`;
    else text += `b${value.length}:${bytesOf(value).toString("latin1")}`;
  }
  return text;
}

export function sameRow(shape: Shape, one: Row, other: Row): boolean {
  return shape.columns.every((column) => {
    const a = one[column] ?? null;
    const b = other[column] ?? null;
    return a === b || (a instanceof Uint8Array && b instanceof Uint8Array && bytesOf(a).equals(b));
  });
}

function bytesOf(value: Value): Buffer {
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(String(value));
}

const quoted = (name: string) => `"${name}"`;

/** PostgreSQL orders text by the language of the database unless told otherwise; SQLite by bytes. */
function orderColumns(shape: Shape, engine: Engine): string {
  return shape.key
    .map(({ column, isText }) => quoted(column) + (isText && engine === "postgres" ? ' COLLATE "C"' : ""))
    .join();
}

/** A text whose question marks are its parameters, as both engines take it. */
function statement(text: string, values: readonly Value[]): Statement {
  let place = 0;
  return { sql: text, text: text.replaceAll("?", () => `$${++place}`), values: [...values] };
}

function slices<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
    all.slice(index * size, (index + 1) * size),
  );
}
