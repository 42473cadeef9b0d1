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

export const selectRequest = (digest: Uint8Array, now: number): Sql => sql`
  SELECT client_id, parameters, pushed, created_at, expires_at, continued_by FROM authorization_requests
  WHERE digest = ${digest} AND used_at IS NULL AND expires_at > ${now}`;

/** Spends it: of any number who do, one changes the row. */
export const spendRequest = (digest: Uint8Array, now: number): Sql => sql`
  UPDATE authorization_requests SET used_at = ${now}
  WHERE digest = ${digest} AND used_at IS NULL AND expires_at > ${now}`;

/** Its user goes on as who they are signed in as. */
export const updateContinued = (digest: Uint8Array, by: { sessionId: Id; now: number }): Sql => sql`
  UPDATE authorization_requests SET continued_by = ${idToBytes(by.sessionId)}
  WHERE digest = ${digest} AND used_at IS NULL AND expires_at > ${by.now} AND pushed = 0`;

export const deleteRequestsBefore = (end: number): Sql =>
  sql`DELETE FROM authorization_requests WHERE expires_at <= ${end}`;
