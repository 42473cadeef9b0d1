import sql, { type Sql } from "sql-template-tag";

export interface DeliveryRow {
  session_id: Uint8Array;
  client_id: string;
  user_id: Uint8Array;
  created_at: number;
  next_try_at: number;
  tries: number;
  expires_at: number;
  done_at: number | null;
  problem: string | null;
}

const columns = sql`session_id, client_id, user_id, created_at, next_try_at, tries, expires_at, done_at, problem`;

export const selectDue = (now: number, rows: number): Sql => sql`
  SELECT ${columns} FROM logout_deliveries WHERE done_at IS NULL AND next_try_at <= ${now}
  ORDER BY next_try_at LIMIT ${rows}`;

/** Of several nodes that see a row as due, one gets it: the others find that its next try is another one. */
export const claimDelivery = (claim: { sessionId: Uint8Array; seen: number; until: number }): Sql => sql`
  UPDATE logout_deliveries SET next_try_at = ${claim.until}, tries = tries + 1
  WHERE session_id = ${claim.sessionId} AND next_try_at = ${claim.seen} AND done_at IS NULL`;

export const markDone = (done: { sessionId: Uint8Array; at: number; problem: string | null }): Sql => sql`
  UPDATE logout_deliveries SET done_at = ${done.at}, problem = ${done.problem}
  WHERE session_id = ${done.sessionId} AND done_at IS NULL`;

export const markFailed = (failed: { sessionId: Uint8Array; nextTryAt: number; problem: string }): Sql => sql`
  UPDATE logout_deliveries SET next_try_at = ${failed.nextTryAt}, problem = ${failed.problem}
  WHERE session_id = ${failed.sessionId} AND done_at IS NULL`;

/** The newest first. */
export function selectDeliveries(filter: {
  clientId: string | undefined;
  before: Uint8Array | undefined;
  rows: number;
}): Sql {
  const ofClient = filter.clientId === undefined ? sql`1 = 1` : sql`client_id = ${filter.clientId}`;
  const older = filter.before === undefined ? sql`1 = 1` : sql`session_id < ${filter.before}`;
  return sql`
    SELECT ${columns} FROM logout_deliveries WHERE ${ofClient} AND ${older} ORDER BY session_id DESC LIMIT ${filter.rows}`;
}

export const deleteDeliveriesBefore = (end: number, rows: number): Sql => sql`
  DELETE FROM logout_deliveries WHERE session_id IN
    (SELECT session_id FROM logout_deliveries WHERE expires_at < ${end} LIMIT ${rows})`;
