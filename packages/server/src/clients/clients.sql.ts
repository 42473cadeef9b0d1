import sql, { join, type Sql } from "sql-template-tag";

export interface ClientRow {
  id: string;
  name: string;
  type: string;
  secret_digest: Uint8Array | null;
  /** JSON; `{}` for a client of the time before there was any. */
  metadata: string;
  origin: string;
  registration_digest: Uint8Array | null;
  last_used_at: number | null;
  expires_at: number | null;
  created_at: number;
  updated_at: number;
}

const columns = sql`id, name, type, secret_digest, metadata, origin, registration_digest, last_used_at, expires_at,
  created_at, updated_at`;

/** Who wins of two with one id: the first. The other changes nothing. */
export function insertClient(row: ClientRow): Sql {
  return sql`
    INSERT INTO clients (${columns})
    VALUES (${row.id}, ${row.name}, ${row.type}, ${row.secret_digest}, ${row.metadata}, ${row.origin},
      ${row.registration_digest}, ${row.last_used_at}, ${row.expires_at}, ${row.created_at}, ${row.updated_at})
    ON CONFLICT (id) DO NOTHING`;
}

export function selectClient(id: string): Sql {
  return sql`SELECT ${columns} FROM clients WHERE id = ${id}`;
}

/** Only for a client that this very act has added or changed. */
export function insertResources(clientId: string, identifiers: readonly string[], onlyIf: Sql): Sql {
  const rows = join(
    identifiers.map((one) => sql`SELECT ${one} AS identifier`),
    " UNION ALL ",
  );
  return sql`
    INSERT INTO resources (identifier, client_id) SELECT r.identifier, ${clientId} FROM (${rows}) r WHERE ${onlyIf}`;
}

export const deleteResources = (clientId: string): Sql =>
  sql`DELETE FROM resources WHERE client_id = ${clientId}`;

export interface ResourceRow {
  identifier: string;
  client_id: string;
  metadata: string;
}

/** The APIs that are known by these identifiers. */
export const selectResources = (identifiers: readonly string[]): Sql => sql`
  SELECT r.identifier, r.client_id, c.metadata FROM resources r JOIN clients c ON c.id = r.client_id
  WHERE r.identifier IN (${join(identifiers)})`;

export const selectAllResources = (rows: number): Sql => sql`
  SELECT r.identifier, r.client_id, c.metadata FROM resources r JOIN clients c ON c.id = r.client_id
  ORDER BY r.identifier LIMIT ${rows}`;

export interface ClientChange {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly metadata: string;
  readonly expiresAt: number | null;
  readonly at: number;
}

export const updateClient = (change: ClientChange): Sql => sql`
  UPDATE clients SET name = ${change.name}, type = ${change.type}, metadata = ${change.metadata},
    expires_at = ${change.expiresAt}, updated_at = ${change.at}
  WHERE id = ${change.id}`;

export const clientChangedAt = (id: string, at: number): Sql =>
  sql`EXISTS (SELECT 1 FROM clients WHERE id = ${id} AND updated_at = ${at})`;

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
