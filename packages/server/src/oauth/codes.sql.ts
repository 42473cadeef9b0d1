import sql, { type Sql } from "sql-template-tag";
import { consentExists } from "../consents/consents.sql.ts";
import { type Id, idToBytes } from "../primitives/id.ts";

export interface CodeRow {
  client_id: string;
  user_id: Uint8Array;
  browser_session: Uint8Array;
  /** JSON. */
  granted: string;
  expires_at: number;
  used_at: number | null;
  gave_session: Uint8Array | null;
}

const sessionIsAlive = (id: Sql | Uint8Array, now: number): Sql =>
  sql`EXISTS (SELECT 1 FROM sessions s WHERE s.id = ${id} AND s.revoked_at IS NULL AND s.expires_at > ${now})`;

/** Only while the browser's session is not over: who has signed out meanwhile lets nobody in. */
export const insertCode = (code: {
  digest: Uint8Array;
  clientId: string;
  userId: Id;
  browserSession: Id;
  granted: string;
  at: number;
  expiresAt: number;
}): Sql => {
  const session = idToBytes(code.browserSession);
  return sql`
    INSERT INTO authorization_codes (digest, client_id, user_id, browser_session, granted, created_at, expires_at)
    SELECT ${code.digest}, ${code.clientId}, ${idToBytes(code.userId)}, ${session}, ${code.granted}, ${code.at},
      ${code.expiresAt}
    WHERE ${sessionIsAlive(session, code.at)}`;
};

export const selectCode = (digest: Uint8Array): Sql => sql`
  SELECT client_id, user_id, browser_session, granted, expires_at, used_at, gave_session
  FROM authorization_codes WHERE digest = ${digest}`;

interface CodeUse {
  readonly digest: Uint8Array;
  readonly clientId: string;
  readonly now: number;
}

/** Whether a code is still what it was: not used, not too old, and what it rests on still holds. */
export function codeIsGood(
  { digest, clientId, now }: CodeUse,
  rests: { readonly browserSession: Id; readonly onConsentOf: Id | undefined },
): Sql {
  const consent = rests.onConsentOf === undefined ? sql`1 = 1` : consentExists(rests.onConsentOf, clientId);
  return sql`EXISTS (SELECT 1 FROM authorization_codes c WHERE c.digest = ${digest} AND c.client_id = ${clientId}
      AND c.used_at IS NULL AND c.expires_at > ${now})
    AND ${sessionIsAlive(idToBytes(rests.browserSession), now)} AND ${consent}`;
}

export const holdCode = (digest: Uint8Array): Sql =>
  sql`UPDATE authorization_codes SET used_at = used_at WHERE digest = ${digest}`;

/** Spends it, for the session that it gives. */
export const spendCode = ({ digest, now }: CodeUse, gave: { sessionId: Id; onlyIf: Sql }): Sql => sql`
  UPDATE authorization_codes SET used_at = ${now}, gave_session = ${idToBytes(gave.sessionId)}
  WHERE digest = ${digest} AND used_at IS NULL AND ${gave.onlyIf}`;

export const deleteCodesBefore = (end: number, rows: number): Sql => sql`
  DELETE FROM authorization_codes WHERE digest IN
    (SELECT digest FROM authorization_codes WHERE expires_at <= ${end} ORDER BY expires_at LIMIT ${rows})`;
