import sql, { type Sql } from "sql-template-tag";
import { canLoseProvider } from "../users/ways-in.sql.ts";

export interface ProviderRow {
  id: string;
  preset: string;
  label: string;
  issuer: string;
  /** JSON, `{}` where they are the preset's or found by discovery. */
  endpoints: string;
  client_id: string;
  sealed_secret: Uint8Array | null;
  /** JSON: what a signed secret needs besides its key, else `{}`. */
  signing: string;
  scopes: string;
  trusts_email: number;
  keeps_tokens: number;
  created_at: number;
  updated_at: number;
  disabled_at: number | null;
}

const columns = sql`id, preset, label, issuer, endpoints, client_id, sealed_secret, signing, scopes, trusts_email,
  keeps_tokens, created_at, updated_at, disabled_at`;

/** Who wins of two with one id: the first. There are never more than `max`. */
export function insertProvider(row: ProviderRow, max: number): Sql {
  return sql`
    INSERT INTO providers (${columns})
    SELECT ${row.id}, ${row.preset}, ${row.label}, ${row.issuer}, ${row.endpoints}, ${row.client_id},
      ${row.sealed_secret}, ${row.signing}, ${row.scopes}, ${row.trusts_email}, ${row.keeps_tokens},
      ${row.created_at}, ${row.updated_at}, CAST(NULL AS BIGINT)
    WHERE (SELECT count(*) FROM providers) < ${max}
    ON CONFLICT (id) DO NOTHING`;
}

export const selectProvider = (id: string): Sql => sql`SELECT ${columns} FROM providers WHERE id = ${id}`;

/** In the order in which they were added. */
export const selectProviders = (rows: number): Sql =>
  sql`SELECT ${columns} FROM providers ORDER BY created_at, id LIMIT ${rows}`;

export function updateDisabled(change: { id: string; at: number; disabled: boolean }): Sql {
  const { id, at, disabled } = change;
  return disabled
    ? sql`UPDATE providers SET disabled_at = ${at}, updated_at = ${at} WHERE id = ${id} AND disabled_at IS NULL`
    : sql`UPDATE providers SET disabled_at = NULL, updated_at = ${at} WHERE id = ${id} AND disabled_at IS NOT NULL`;
}

export const updateKeepsTokens = (change: { id: string; at: number; keeps: boolean }): Sql => sql`
  UPDATE providers SET keeps_tokens = ${change.keeps ? 1 : 0}, updated_at = ${change.at}
  WHERE id = ${change.id} AND keeps_tokens <> ${change.keeps ? 1 : 0}`;

export const deleteProvider = (id: string): Sql => sql`DELETE FROM providers WHERE id = ${id}`;

/** How many accounts are connected by a provider, and for how many of them it is the only way in. */
export function countIdentities(providerId: string): Sql {
  const canLose = canLoseProvider(sql`i.user_id`, sql`i.provider_id`);
  return sql`
    SELECT count(DISTINCT i.user_id) AS accounts,
      count(DISTINCT CASE WHEN NOT ${canLose} THEN i.user_id END) AS only_way
    FROM identities i WHERE i.provider_id = ${providerId}`;
}
