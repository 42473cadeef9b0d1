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
  fresh_until: number | null;
  created_at: number;
  updated_at: number;
}

const columns = sql`id, name, type, secret_digest, metadata, origin, registration_digest, last_used_at, expires_at,
  fresh_until, created_at, updated_at`;

/** Who wins of two with one id: the first. The other changes nothing. */
export function insertClient(row: ClientRow): Sql {
  return sql`
    INSERT INTO clients (${columns})
    VALUES (${row.id}, ${row.name}, ${row.type}, ${row.secret_digest}, ${row.metadata}, ${row.origin},
      ${row.registration_digest}, ${row.last_used_at}, ${row.expires_at}, ${row.fresh_until},
      ${row.created_at}, ${row.updated_at})
    ON CONFLICT (id) DO NOTHING`;
}

export function selectClient(id: string): Sql {
  return sql`SELECT ${columns} FROM clients WHERE id = ${id}`;
}

export function insertResources(clientId: string, identifiers: readonly string[]): Sql {
  const rows = join(identifiers.map((one) => sql`(${one}, ${clientId})`));
  return sql`INSERT INTO resources (identifier, client_id) VALUES ${rows}`;
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
  /** Undefined: as it is. */
  readonly secretDigest?: Uint8Array | null | undefined;
  readonly expiresAt: number | null;
  readonly freshUntil: number | null;
  readonly at: number;
  /** Only if nobody has changed it since. */
  readonly before: number;
}

export function updateClient(change: ClientChange): Sql {
  const { secretDigest } = change;
  const secret = secretDigest === undefined ? sql`` : sql`secret_digest = ${secretDigest},`;
  return sql`
    UPDATE clients SET ${secret} name = ${change.name}, type = ${change.type}, metadata = ${change.metadata},
      expires_at = ${change.expiresAt}, fresh_until = ${change.freshUntil}, updated_at = ${change.at}
    WHERE id = ${change.id} AND updated_at = ${change.before}`;
}

/** The same document again. */
export const updateFresh = (id: string, freshUntil: number): Sql =>
  sql`UPDATE clients SET fresh_until = ${freshUntil} WHERE id = ${id} AND origin = 'document'`;

/** Notes a use, once in a while; `expiresAt` is for those that are forgotten when nobody uses them. */
export function updateUsed(use: { id: string; at: number; notedBefore: number; expiresAt: number }): Sql {
  return sql`
    UPDATE clients SET last_used_at = ${use.at},
      expires_at = CASE WHEN expires_at IS NULL THEN NULL ELSE CAST(${use.expiresAt} AS BIGINT) END
    WHERE id = ${use.id} AND (last_used_at IS NULL OR last_used_at < ${use.notedBefore})`;
}

export const selectOfOrigin = (origin: string, rows: number): Sql =>
  sql`SELECT id FROM clients WHERE origin = ${origin} ORDER BY id LIMIT ${rows}`;

export const selectUnused = (at: number, rows: number): Sql =>
  sql`SELECT id FROM clients WHERE expires_at <= ${at} ORDER BY expires_at LIMIT ${rows}`;

/** In the order of their ids. */
export function selectClients({ after, rows }: { after: string | undefined; rows: number }): Sql {
  const later = after === undefined ? sql`1 = 1` : sql`id > ${after}`;
  return sql`SELECT ${columns} FROM clients WHERE ${later} ORDER BY id LIMIT ${rows}`;
}

/** `updated_at` grows, whatever the clock says: by it others tell that a client is not what it was. */
export function updateSecret({ id, digest, at }: { id: string; digest: Uint8Array; at: number }): Sql {
  return sql`
    UPDATE clients SET secret_digest = ${digest},
      updated_at = CASE WHEN updated_at < ${at} THEN CAST(${at} AS BIGINT) ELSE updated_at + 1 END
    WHERE id = ${id}`;
}

/** @param unusedAt only if nobody has used it by then */
export function deleteClient(id: string, unusedAt?: number): Sql {
  const only = unusedAt === undefined ? sql`1 = 1` : sql`expires_at <= ${unusedAt}`;
  return sql`DELETE FROM clients WHERE id = ${id} AND ${only}`;
}

export function clientExists(id: string): Sql {
  return sql`EXISTS (SELECT 1 FROM clients WHERE id = ${id})`;
}

/** What people, and requests under way, have given to a client. */
export const deleteGranted = (id: string): Sql[] => [
  deleteConsents(id),
  sql`DELETE FROM authorization_codes WHERE client_id = ${id}`,
  sql`DELETE FROM authorization_requests WHERE client_id = ${id}`,
  sql`DELETE FROM device_authorizations WHERE client_id = ${id}`,
  sql`DELETE FROM logout_deliveries WHERE client_id = ${id}`,
];

export const deleteConsents = (id: string): Sql => sql`DELETE FROM consents WHERE client_id = ${id}`;

/** Whose sessions end with their client. */
export const whichOfClient = (id: string): Sql => sql`client_id = ${id} AND client_id <> 'first-party'`;
