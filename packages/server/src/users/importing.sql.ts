import sql, { join, type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";

export interface ImportedRow {
  readonly id: Id;
  readonly username: string;
  readonly username_key: string;
  readonly email: string | null;
  readonly email_key: string | null;
  readonly email_verified_at: number | null;
  readonly name: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly disabled_at: number | null;
  readonly external_id: string | null;
}

/** Who is there keeps their names: of a row whose username, address or external id is taken nothing is written. */
export function insertImported(rows: readonly ImportedRow[]): Sql {
  const values = rows.map(
    (row) => sql`(${idToBytes(row.id)}, ${row.username}, ${row.username_key}, ${row.email}, ${row.email_key},
      ${row.email_verified_at}, ${row.name}, ${row.created_at}, ${row.updated_at}, ${row.disabled_at},
      ${row.external_id})`,
  );
  return sql`
    INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, name, created_at, updated_at,
      disabled_at, external_id)
    VALUES ${join(values)} ON CONFLICT DO NOTHING RETURNING id`;
}

export function insertPasswords(rows: readonly { id: Id; userId: Id; hash: string; at: number }[]): Sql {
  const values = rows.map(
    ({ id, userId, hash, at }) =>
      sql`(${idToBytes(id)}, ${idToBytes(userId)}, 'password', ${hash}, ${at}, ${at})`,
  );
  return sql`
    INSERT INTO credentials (id, user_id, kind, secret, created_at, changed_at) VALUES ${join(values)}`;
}

export function insertGrants(rows: readonly { userId: Id; role: string; resource: string }[]): Sql {
  const values = rows.map(({ userId, role, resource }) => sql`(${idToBytes(userId)}, ${role}, ${resource})`);
  return sql`INSERT INTO user_roles (user_id, role, resource) VALUES ${join(values)} ON CONFLICT DO NOTHING`;
}

export interface HolderRow {
  username_key: string;
  email_key: string | null;
  external_id: string | null;
  created_at: number;
}

/** Whoever has one of these names. */
export function selectHolders(names: {
  usernames: readonly string[];
  emails: readonly string[];
  externalIds: readonly string[];
}): Sql {
  const among = (column: Sql, values: readonly string[]) =>
    values.length === 0 ? sql`1 = 0` : sql`${column} IN (${join(values)})`;
  return sql`
    SELECT username_key, email_key, external_id, created_at FROM users
    WHERE ${among(sql`username_key`, names.usernames)} OR ${among(sql`email_key`, names.emails)}
      OR ${among(sql`external_id`, names.externalIds)}`;
}
