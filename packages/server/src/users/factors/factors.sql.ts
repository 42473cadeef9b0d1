import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../../primitives/id.ts";
import { canLosePasskey } from "../ways-in.sql.ts";

export interface PasskeyRow {
  id: Uint8Array;
  user_id: Uint8Array;
  credential_id: Uint8Array;
  public_key: Uint8Array;
  counter: number;
  /** Separated by spaces; may be empty. */
  transports: string;
  backup_eligible: number;
  backed_up: number;
  name: string;
  created_at: number;
  used_at: number | null;
}

export interface TotpRow {
  sealed: Uint8Array;
  begun_by: Uint8Array;
  created_at: number;
  confirmed_at: number | null;
  last_step: number;
}

export const anyway: Sql = sql`1 = 1`;
export const both = (one: Sql, other: Sql): Sql => sql`(${one}) AND (${other})`;
/** One row when it is so, none otherwise: for a look under a lock. */
export const selectWhether = (condition: Sql): Sql => sql`SELECT 1 AS yes WHERE ${condition}`;

const columns = sql`id, user_id, credential_id, public_key, counter, transports, backup_eligible, backed_up, name,
  created_at, used_at`;

export const selectPasskeys = (userId: Id): Sql =>
  sql`SELECT ${columns} FROM passkeys WHERE user_id = ${idToBytes(userId)} ORDER BY id`;

export const selectPasskeyByCredential = (credentialId: Uint8Array): Sql =>
  sql`SELECT ${columns} FROM passkeys WHERE credential_id = ${credentialId}`;

/** Who wins of two with one credential id: the first. The other changes nothing. */
export function insertPasskey(row: PasskeyRow, onlyIf: Sql): Sql {
  return sql`
    INSERT INTO passkeys (${columns})
    SELECT ${row.id}, ${row.user_id}, ${row.credential_id}, ${row.public_key}, ${row.counter}, ${row.transports},
      ${row.backup_eligible}, ${row.backed_up}, ${row.name}, ${row.created_at}, ${row.used_at}
    WHERE ${onlyIf}
    ON CONFLICT DO NOTHING`;
}

/** Whether a passkey more may be added: the credential is nobody's yet, and the user has room for it. */
export function passkeyIsNew(row: Pick<PasskeyRow, "user_id" | "credential_id">, passkeysMax: number): Sql {
  return sql`NOT EXISTS (SELECT 1 FROM passkeys WHERE credential_id = ${row.credential_id})
    AND (SELECT COUNT(*) FROM passkeys WHERE user_id = ${row.user_id}) < ${passkeysMax}`;
}

/** Whether the passkey is as it was read: its counter says that no other use came between. */
export const passkeyUnused = (row: Pick<PasskeyRow, "id" | "counter">): Sql =>
  sql`EXISTS (SELECT 1 FROM passkeys WHERE id = ${row.id} AND counter = ${row.counter})`;

export function updatePasskeyUsed(used: {
  id: Uint8Array;
  before: number;
  counter: number;
  backedUp: boolean;
  at: number;
  onlyIf: Sql;
}): Sql {
  return sql`
    UPDATE passkeys SET counter = ${used.counter}, backed_up = ${used.backedUp ? 1 : 0}, used_at = ${used.at}
    WHERE id = ${used.id} AND counter = ${used.before} AND ${used.onlyIf}`;
}

export const updatePasskeyName = (userId: Id, id: Id, name: string): Sql =>
  sql`UPDATE passkeys SET name = ${name} WHERE id = ${idToBytes(id)} AND user_id = ${idToBytes(userId)}`;

const isPasskey = (userId: Id, id: Id): Sql => sql`id = ${idToBytes(id)} AND user_id = ${idToBytes(userId)}`;

export const selectPasskey = (userId: Id, id: Id): Sql =>
  sql`SELECT id FROM passkeys WHERE ${isPasskey(userId, id)}`;

/**
 * Only if the user could sign in without it. Asked while the user's row is held, so that of two removals at once one
 * sees what the other has left.
 */
export function deletePasskey(userId: Id, id: Id): Sql {
  const canLose = canLosePasskey(idToBytes(userId), idToBytes(id));
  return sql`DELETE FROM passkeys WHERE ${isPasskey(userId, id)} AND ${canLose}`;
}

export const deletePasskeysOf = (userId: Id): Sql =>
  sql`DELETE FROM passkeys WHERE user_id = ${idToBytes(userId)}`;

/** The first one stays. */
export const insertHandle = (userId: Id, handle: Uint8Array): Sql =>
  sql`INSERT INTO user_handles (user_id, handle) VALUES (${idToBytes(userId)}, ${handle}) ON CONFLICT DO NOTHING`;

export const selectHandle = (userId: Id): Sql =>
  sql`SELECT handle FROM user_handles WHERE user_id = ${idToBytes(userId)}`;

export const challengeUnspent = (digest: Uint8Array): Sql =>
  sql`NOT EXISTS (SELECT 1 FROM spent_challenges WHERE digest = ${digest})`;

export function insertSpentChallenge(spent: { digest: Uint8Array; expiresAt: number; onlyIf: Sql }): Sql {
  return sql`
    INSERT INTO spent_challenges (digest, expires_at) SELECT ${spent.digest}, ${spent.expiresAt} WHERE ${spent.onlyIf}
    ON CONFLICT DO NOTHING`;
}

export const deleteSpentChallenges = (before: number, rows: number): Sql => sql`
  DELETE FROM spent_challenges WHERE digest IN
    (SELECT digest FROM spent_challenges WHERE expires_at < ${before} ORDER BY expires_at LIMIT ${rows})`;

export const selectTotp = (userId: Id): Sql =>
  sql`SELECT sealed, begun_by, created_at, confirmed_at, last_step FROM totp_secrets WHERE user_id = ${idToBytes(userId)}`;

/** A secret that waits for its first code, in place of another that waits; a confirmed one stays. */
export function putPendingTotp(pending: {
  userId: Id;
  sealed: Uint8Array;
  begunBy: Uint8Array;
  at: number;
}): Sql {
  return sql`
    INSERT INTO totp_secrets (user_id, sealed, begun_by, created_at, confirmed_at, last_step)
    VALUES (${idToBytes(pending.userId)}, ${pending.sealed}, ${pending.begunBy}, ${pending.at}, NULL, 0)
    ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, begun_by = excluded.begun_by,
      created_at = excluded.created_at WHERE totp_secrets.confirmed_at IS NULL`;
}

export const totpIsPending = (userId: Id, sealed: Uint8Array): Sql =>
  sql`EXISTS (SELECT 1 FROM totp_secrets WHERE user_id = ${idToBytes(userId)} AND sealed = ${sealed}
    AND confirmed_at IS NULL)`;

export function confirmTotp(confirmed: {
  userId: Id;
  sealed: Uint8Array;
  step: number;
  at: number;
  onlyIf: Sql;
}): Sql {
  return sql`
    UPDATE totp_secrets SET confirmed_at = ${confirmed.at}, last_step = ${confirmed.step}
    WHERE user_id = ${idToBytes(confirmed.userId)} AND sealed = ${confirmed.sealed} AND confirmed_at IS NULL
      AND ${confirmed.onlyIf}`;
}

/** RFC 6238 §5.2: "The verifier MUST NOT accept the second attempt of the OTP after the successful validation". */
export const stepUnspent = (userId: Id, step: number): Sql =>
  sql`EXISTS (SELECT 1 FROM totp_secrets WHERE user_id = ${idToBytes(userId)} AND confirmed_at IS NOT NULL
    AND last_step < ${step})`;

export function spendStep(spent: { userId: Id; step: number; onlyIf: Sql }): Sql {
  return sql`
    UPDATE totp_secrets SET last_step = ${spent.step}
    WHERE user_id = ${idToBytes(spent.userId)} AND last_step < ${spent.step} AND ${spent.onlyIf}`;
}

/** Confirmed secrets whose seal does not begin as those of the current master secret do. */
export const selectTotpSealedBefore = (header: Uint8Array, rows: number): Sql =>
  sql`SELECT user_id, sealed FROM totp_secrets WHERE confirmed_at IS NOT NULL AND substr(sealed, 1, 2) <> ${header}
    ORDER BY user_id LIMIT ${rows}`;

/** Only in place of the very seal that was opened: whoever has set up another app meanwhile keeps it. */
export const replaceSeal = (userId: Uint8Array, seals: { from: Uint8Array; to: Uint8Array }): Sql =>
  sql`UPDATE totp_secrets SET sealed = ${seals.to} WHERE user_id = ${userId} AND sealed = ${seals.from}`;

export const deleteTotp = (userId: Id): Sql =>
  sql`DELETE FROM totp_secrets WHERE user_id = ${idToBytes(userId)} AND confirmed_at IS NOT NULL`;

export const countRecoveryCodes = (userId: Id): Sql =>
  sql`SELECT COUNT(*) AS count FROM recovery_codes WHERE user_id = ${idToBytes(userId)}`;

/** Whether there is nothing that recovery codes could stand in for. */
export const hasNoFactor = (userId: Id): Sql => sql`
  NOT EXISTS (SELECT 1 FROM passkeys WHERE user_id = ${idToBytes(userId)})
  AND NOT EXISTS (SELECT 1 FROM totp_secrets WHERE user_id = ${idToBytes(userId)} AND confirmed_at IS NOT NULL)`;

export const recoveryCodeUnspent = (userId: Id, digest: Uint8Array): Sql =>
  sql`EXISTS (SELECT 1 FROM recovery_codes WHERE user_id = ${idToBytes(userId)} AND digest = ${digest})`;

export const spendRecoveryCode = (userId: Id, digest: Uint8Array, onlyIf: Sql): Sql =>
  sql`DELETE FROM recovery_codes WHERE user_id = ${idToBytes(userId)} AND digest = ${digest} AND ${onlyIf}`;

export const deleteRecoveryCodes = (userId: Id, onlyIf: Sql): Sql =>
  sql`DELETE FROM recovery_codes WHERE user_id = ${idToBytes(userId)} AND ${onlyIf}`;

export function insertRecoveryCode(code: { userId: Id; digest: Uint8Array; at: number; onlyIf: Sql }): Sql {
  return sql`
    INSERT INTO recovery_codes (user_id, digest, created_at)
    SELECT ${idToBytes(code.userId)}, ${code.digest}, ${code.at} WHERE ${code.onlyIf}`;
}

/** A session goes on as if it had been signed in just now. */
export function updateProven(proven: { sessionId: Id; amr: string; at: number }): Sql {
  return sql`
    UPDATE sessions SET authenticated_at = ${proven.at}, amr = ${proven.amr}
    WHERE id = ${idToBytes(proven.sessionId)} AND revoked_at IS NULL AND expires_at > ${proven.at}`;
}

export const sessionIsAlive = (id: Id): Sql =>
  sql`EXISTS (SELECT 1 FROM sessions WHERE id = ${idToBytes(id)} AND revoked_at IS NULL)`;
