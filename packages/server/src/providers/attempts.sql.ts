import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";

export interface AttemptRow {
  sealed: Uint8Array;
  return_to: string | null;
  user_id: Uint8Array | null;
  session_id: Uint8Array | null;
}

export function insertAttempt(attempt: {
  stateDigest: Uint8Array;
  providerId: string;
  binderDigest: Uint8Array;
  sealed: Uint8Array;
  returnTo: string | undefined;
  linkTo: { userId: Id; sessionId: Id } | undefined;
  at: number;
  expiresAt: number;
}): Sql {
  const { stateDigest, providerId, binderDigest, sealed, returnTo, linkTo, at, expiresAt } = attempt;
  return sql`
    INSERT INTO provider_attempts
      (state_digest, provider_id, binder_digest, sealed, return_to, user_id, session_id, created_at, expires_at)
    VALUES (${stateDigest}, ${providerId}, ${binderDigest}, ${sealed}, ${returnTo ?? null},
      ${linkTo ? idToBytes(linkTo.userId) : null}, ${linkTo ? idToBytes(linkTo.sessionId) : null}, ${at}, ${expiresAt})`;
}

/**
 * Spends an attempt: of any number of answers with one state, one gets the row. An answer for another provider, or in
 * another browser, gets none and spends nothing.
 */
export function spendAttempt(spent: {
  stateDigest: Uint8Array;
  providerId: string;
  binderDigest: Uint8Array;
  now: number;
}): Sql {
  return sql`
    DELETE FROM provider_attempts
    WHERE state_digest = ${spent.stateDigest} AND provider_id = ${spent.providerId}
      AND binder_digest = ${spent.binderDigest} AND expires_at > ${spent.now}
    RETURNING sealed, return_to, user_id, session_id`;
}

export interface PendingRow {
  provider_id: string;
  sealed: Uint8Array;
  return_to: string | null;
  created_at: number;
}

/** The newest of a browser takes the place of the one before. */
export function putPending(pending: {
  binderDigest: Uint8Array;
  providerId: string;
  sealed: Uint8Array;
  returnTo: string | undefined;
  at: number;
  expiresAt: number;
}): Sql {
  const { binderDigest, providerId, sealed, returnTo, at, expiresAt } = pending;
  return sql`
    INSERT INTO pending_identities (binder_digest, provider_id, sealed, return_to, created_at, expires_at)
    VALUES (${binderDigest}, ${providerId}, ${sealed}, ${returnTo ?? null}, ${at}, ${expiresAt})
    ON CONFLICT (binder_digest) DO UPDATE SET provider_id = excluded.provider_id, sealed = excluded.sealed,
      return_to = excluded.return_to, created_at = excluded.created_at, expires_at = excluded.expires_at`;
}

export const selectPending = (binderDigest: Uint8Array, now: number): Sql => sql`
  SELECT provider_id, sealed, return_to, created_at FROM pending_identities
  WHERE binder_digest = ${binderDigest} AND expires_at > ${now}`;

/** Spends it: the same row that was read, once. */
export const spendPending = (
  binderDigest: Uint8Array,
  { createdAt, now }: { createdAt: number; now: number },
): Sql => sql`
  DELETE FROM pending_identities
  WHERE binder_digest = ${binderDigest} AND created_at = ${createdAt} AND expires_at > ${now}`;

export const deletePastAttempts = (now: number, rows: number): Sql => sql`
  DELETE FROM provider_attempts WHERE state_digest IN
    (SELECT state_digest FROM provider_attempts WHERE expires_at <= ${now} ORDER BY expires_at LIMIT ${rows})`;

export const deletePastPending = (now: number, rows: number): Sql => sql`
  DELETE FROM pending_identities WHERE binder_digest IN
    (SELECT binder_digest FROM pending_identities WHERE expires_at <= ${now} ORDER BY expires_at LIMIT ${rows})`;
