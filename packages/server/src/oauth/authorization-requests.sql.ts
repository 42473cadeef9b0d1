import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";

export interface KeptRow {
  client_id: string;
  /** JSON: names and values, as they came. */
  parameters: string;
  pushed: number;
  created_at: number;
  expires_at: number;
  continued_by: Uint8Array | null;
}

export const insertRequest = (kept: {
  digest: Uint8Array;
  clientId: string;
  parameters: string;
  pushed: boolean;
  at: number;
  expiresAt: number;
}): Sql => sql`
  INSERT INTO authorization_requests (digest, client_id, parameters, pushed, created_at, expires_at)
  VALUES (${kept.digest}, ${kept.clientId}, ${kept.parameters}, ${kept.pushed ? 1 : 0}, ${kept.at}, ${kept.expiresAt})`;

/** Whose a request may be, and when. */
export interface RequestUse {
  readonly digest: Uint8Array;
  readonly now: number;
  /** The browser's session; undefined: nobody is signed in, or it is used up for good. */
  readonly sessionId: Id | undefined;
  /** Since when a use by the same session may be repeated. */
  readonly repeatableSince: number;
}

/** Not used yet, or a moment ago by the same browser, which had to wait for a person. A pushed one is used once. */
function usable({ digest, now, sessionId, repeatableSince }: RequestUse): Sql {
  const repeated =
    sessionId === undefined
      ? sql`1 = 0`
      : sql`pushed = 0 AND used_by = ${idToBytes(sessionId)} AND used_at > ${repeatableSince}`;
  return sql`digest = ${digest} AND expires_at > ${now} AND (used_at IS NULL OR (${repeated}))`;
}

export const selectRequest = (use: RequestUse): Sql => sql`
  SELECT client_id, parameters, pushed, created_at, expires_at, continued_by FROM authorization_requests
  WHERE ${usable(use)}`;

/** Spends it: of any number who do, one changes the row, but for the same browser in the same moment. */
export const spendRequest = (use: RequestUse): Sql => sql`
  UPDATE authorization_requests SET used_at = COALESCE(used_at, ${use.now}),
    used_by = ${use.sessionId === undefined ? null : idToBytes(use.sessionId)}
  WHERE ${usable(use)}`;

/** Its user goes on as who they are signed in as. */
export const updateContinued = (digest: Uint8Array, by: { sessionId: Id; now: number }): Sql => sql`
  UPDATE authorization_requests SET continued_by = ${idToBytes(by.sessionId)}
  WHERE digest = ${digest} AND used_at IS NULL AND expires_at > ${by.now} AND pushed = 0`;

export const deleteRequestsBefore = (end: number, rows: number): Sql => sql`
  DELETE FROM authorization_requests WHERE digest IN
    (SELECT digest FROM authorization_requests WHERE expires_at <= ${end} ORDER BY expires_at LIMIT ${rows})`;
