import { raw } from "sql-template-tag";
import type { Database } from "../database.ts";

/** A table, as far as copying its rows asks for it. */
export interface Shape {
  readonly name: string;
  readonly columns: readonly string[];
  /** Of the primary key, in its order. */
  readonly key: readonly { readonly column: string; readonly isText: boolean }[];
  /** Tables whose rows must be there before. */
  readonly parents: readonly string[];
}

interface ColumnRow {
  table_name: string;
  column_name: string;
  type: string;
  /** Its place in the primary key, from 1; 0 when it is not in it. */
  key_place: number;
}

/** Kept apart: each database has its own. */
const NOT_COPIED = "schema_migrations";

/** Every table but the list of migrations, parents first. Found in the database, so that none can be forgotten. */
export async function shapesOf(database: Database): Promise<Shape[]> {
  const [columns, references] = await database.each<Record<string, unknown>>(
    (database.engine === "sqlite" ? SQLITE : POSTGRES).map((text) => raw(text)),
  );
  const shapes = new Map<string, { columns: string[]; key: (Shape["key"][number] & { place: number })[] }>();
  for (const row of (columns ?? []) as unknown as ColumnRow[]) {
    if (row.table_name === NOT_COPIED) continue;
    const shape = shapes.get(row.table_name) ?? { columns: [], key: [] };
    shapes.set(row.table_name, shape);
    shape.columns.push(row.column_name);
    const { column_name: column, key_place: place } = row;
    if (place > 0) shape.key.push({ column, place, isText: row.type.toLowerCase() === "text" });
  }
  const parentsOf = (name: string) =>
    (references ?? [])
      .filter((row) => row.child === name && row.parent !== name)
      .map((row) => String(row.parent));
  return parentsFirst(
    [...shapes].map(([name, { columns: all, key }]) => {
      if (key.length === 0) throw new Error(`Bug in Keyturn: the table ${name} has no primary key`);
      key.sort((a, b) => a.place - b.place);
      return { name, columns: all.sort(), key, parents: parentsOf(name) };
    }),
  );
}

/** Whether both have the same tables with the same columns. */
export function sameShapes(one: readonly Shape[], other: readonly Shape[]): boolean {
  const facts = (shapes: readonly Shape[]) =>
    shapes
      .map(({ name, columns, key }) => JSON.stringify([name, columns, key.map(({ column }) => column)]))
      .sort();
  return JSON.stringify(facts(one)) === JSON.stringify(facts(other));
}

function parentsFirst(shapes: readonly Shape[]): Shape[] {
  const placed: Shape[] = [];
  let left = [...shapes].sort((a, b) => (a.name < b.name ? -1 : 1));
  while (left.length > 0) {
    const ready = left.filter(({ parents }) =>
      parents.every((parent) => !left.some(({ name }) => name === parent)),
    );
    if (ready.length === 0) throw new Error("Bug in Keyturn: tables refer to each other in a ring");
    placed.push(...ready);
    left = left.filter((shape) => !ready.includes(shape));
  }
  return placed;
}

const SQLITE = [
  `SELECT t.name AS table_name, c.name AS column_name, c.type AS type, c.pk AS key_place
    FROM sqlite_schema t, pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY t.name, c.cid`,
  `SELECT t.name AS child, f."table" AS parent FROM sqlite_schema t, pragma_foreign_key_list(t.name) f
    WHERE t.type = 'table'`,
];

const POSTGRES = [
  `SELECT CAST(t.relname AS TEXT) AS table_name, CAST(a.attname AS TEXT) AS column_name,
      format_type(a.atttypid, NULL) AS type,
      COALESCE((SELECT k.place FROM pg_index i, unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY AS k (attnum, place)
        WHERE i.indrelid = t.oid AND i.indisprimary AND k.attnum = a.attnum), 0) AS key_place
    FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE t.relkind = 'r' AND t.relnamespace = CAST(current_schema() AS regnamespace) ORDER BY t.relname, a.attnum`,
  `SELECT CAST(c.relname AS TEXT) AS child, CAST(p.relname AS TEXT) AS parent
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
    WHERE f.contype = 'f' AND f.connamespace = CAST(current_schema() AS regnamespace)`,
];
