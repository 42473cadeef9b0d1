import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";
import type { IdentityKey } from "../users/identities.sql.ts";

export interface KeptRow {
  identity_id: Uint8Array;
  issuer: string;
  subject: string;
  /** Null when nothing is kept for the identity. */
  sealed: Uint8Array | null;
  changed_at: number | null;
}

/** Identities of the user at the provider, the newest first, with what is kept for each. */
export const selectKept = (userId: Id, providerId: string): Sql => sql`
  SELECT i.id AS identity_id, i.issuer, i.subject, t.sealed, t.changed_at
  FROM identities i LEFT JOIN provider_tokens t ON t.identity_id = i.id
  WHERE i.user_id = ${idToBytes(userId)} AND i.provider_id = ${providerId}
  ORDER BY CASE WHEN t.changed_at IS NULL THEN 1 ELSE 0 END, i.created_at DESC, i.id DESC LIMIT 1`;

export const selectKeptOf = ({ issuer, subject }: IdentityKey): Sql => sql`
  SELECT t.sealed FROM identities i JOIN provider_tokens t ON t.identity_id = i.id
  WHERE i.issuer = ${issuer} AND i.subject = ${subject}`;

/** Only for an identity that is this user's, of a provider whose tokens are kept: both are asked in the statement. */
export function putTokens(kept: IdentityKey & { userId: Id; sealed: Uint8Array; at: number }): Sql {
  return sql`
    INSERT INTO provider_tokens (identity_id, sealed, changed_at, renewing_until)
    SELECT i.id, ${kept.sealed}, ${kept.at}, CAST(NULL AS BIGINT)
    FROM identities i JOIN providers p ON p.id = i.provider_id AND p.keeps_tokens = 1
    WHERE i.issuer = ${kept.issuer} AND i.subject = ${kept.subject} AND i.user_id = ${idToBytes(kept.userId)}
    ON CONFLICT (identity_id) DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at,
      renewing_until = NULL`;
}

/** One of any number gets it: to renew alone, until then. */
export const leaseRenewal = (of: {
  identity: Uint8Array;
  sealed: Uint8Array;
  at: number;
  until: number;
}): Sql => sql`
  UPDATE provider_tokens SET renewing_until = ${of.until}
  WHERE identity_id = ${of.identity} AND sealed = ${of.sealed}
    AND (renewing_until IS NULL OR renewing_until <= ${of.at})`;

export const endLease = (identity: Uint8Array, sealed: Uint8Array): Sql => sql`
  UPDATE provider_tokens SET renewing_until = NULL WHERE identity_id = ${identity} AND sealed = ${sealed}`;

/** Only in place of the very tokens that were renewed: who has signed in meanwhile has newer ones. */
export const replaceTokens = (of: {
  identity: Uint8Array;
  from: Uint8Array;
  to: Uint8Array;
  at: number;
}): Sql => sql`
  UPDATE provider_tokens SET sealed = ${of.to}, changed_at = ${of.at}, renewing_until = NULL
  WHERE identity_id = ${of.identity} AND sealed = ${of.from}`;

export const deleteTokens = (identity: Uint8Array, sealed: Uint8Array): Sql =>
  sql`DELETE FROM provider_tokens WHERE identity_id = ${identity} AND sealed = ${sealed}`;

export const deleteTokensOf = (providerId: string): Sql => sql`
  DELETE FROM provider_tokens
  WHERE identity_id IN (SELECT id FROM identities WHERE provider_id = ${providerId})`;

export const countTokensOf = (providerId: string): Sql => sql`
  SELECT count(*) AS n FROM provider_tokens t JOIN identities i ON i.id = t.identity_id
  WHERE i.provider_id = ${providerId}`;

/** Those that another master secret than the one with this header has closed. */
export const selectSealedBefore = (header: Uint8Array, rows: number): Sql => sql`
  SELECT t.identity_id, i.issuer, i.subject, t.sealed, t.changed_at
  FROM provider_tokens t JOIN identities i ON i.id = t.identity_id
  WHERE substr(t.sealed, 1, 2) <> ${header} ORDER BY t.identity_id LIMIT ${rows}`;

export const replaceTokensSeal = (
  identity: Uint8Array,
  seals: { from: Uint8Array; to: Uint8Array },
): Sql => sql`
  UPDATE provider_tokens SET sealed = ${seals.to} WHERE identity_id = ${identity} AND sealed = ${seals.from}`;
