import sql, { type Sql } from "sql-template-tag";

/** A statement that needs the right to write and changes no row. */
export function writeNothing(): Sql {
  return sql`DELETE FROM schema_migrations WHERE version < 0`;
}
