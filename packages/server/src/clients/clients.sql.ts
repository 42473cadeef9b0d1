import sql, { type Sql } from "sql-template-tag";

export interface ClientRow {
  id: string;
  name: string;
  type: string;
  secret_digest: Uint8Array | null;
  created_at: number;
  updated_at: number;
}

const columns = sql`id, name, type, secret_digest, created_at, updated_at`;

/** Who wins of two with one id: the first. The other changes nothing. */
export function insertClient(row: ClientRow): Sql {
  return sql`
    INSERT INTO clients (${columns})
    VALUES (${row.id}, ${row.name}, ${row.type}, ${row.secret_digest}, ${row.created_at}, ${row.updated_at})
    ON CONFLICT (id) DO NOTHING`;
}

export function selectClient(id: string): Sql {
  return sql`SELECT ${columns} FROM clients WHERE id = ${id}`;
}

/** In the order of their ids. */
export function selectClients({ after, rows }: { after: string | undefined; rows: number }): Sql {
  const later = after === undefined ? sql`1 = 1` : sql`id > ${after}`;
  return sql`SELECT ${columns} FROM clients WHERE ${later} ORDER BY id LIMIT ${rows}`;
}

export function updateSecret(change: { id: string; digest: Uint8Array; at: number }): Sql {
  return sql`UPDATE clients SET secret_digest = ${change.digest}, updated_at = ${change.at} WHERE id = ${change.id}`;
}

export function deleteClient(id: string): Sql {
  return sql`DELETE FROM clients WHERE id = ${id}`;
}

export function clientExists(id: string): Sql {
  return sql`EXISTS (SELECT 1 FROM clients WHERE id = ${id})`;
}

/** Whether the secret in force is this one: the condition for what follows the act that set it. */
export function clientHasSecret(id: string, digest: Uint8Array): Sql {
  return sql`EXISTS (SELECT 1 FROM clients WHERE id = ${id} AND secret_digest = ${digest})`;
}
