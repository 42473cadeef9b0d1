import sql, { join, type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";
import { endedAny } from "./sessions.sql.ts";

export interface RevocationRow {
  seq: number;
  session_id: Uint8Array | null;
  client_id: string | null;
  before_seconds: number;
  until_seconds: number;
  soft: number;
}

/**
 * Sends the sessions that an act has ended (see `updateEnded`) down the feed: first the position moves by as
 * many as there are, which locks it until the commit; then each takes a number of its own.
 */
export function appendEnded(ended: { which: Sql; eventId: Id; before: number; until: number }): Sql[] {
  const mark = idToBytes(ended.eventId);
  return [
    sql`
      UPDATE revocation_position SET seq = seq + (
        SELECT count(*) FROM sessions WHERE (${ended.which}) AND end_event = ${mark})
      WHERE id = 1 AND ${endedAny(ended.which, ended.eventId)}`,
    sql`
      INSERT INTO revocations (seq, session_id, client_id, before_seconds, until_seconds, soft)
      SELECT p.seq + 1 - row_number() OVER (ORDER BY s.id), s.id, NULL, ${ended.before}, ${ended.until}, 0
      FROM (SELECT id FROM sessions WHERE (${ended.which}) AND end_event = ${mark}) s, revocation_position p
      WHERE p.id = 1`,
  ];
}

/** What a re-mint concerns: some sessions, or everybody's. */
export type Reminted = { readonly sessions: readonly Uint8Array[] } | "everybody";

/** The latest second before which the feed asks for new tokens already, for any of these sessions. */
export function selectLatestBefore(reminted: Reminted): Sql {
  const ofSessions =
    reminted === "everybody" ? sql`soft = 1` : sql`session_id IN (${join(reminted.sessions)}) AND soft = 1`;
  return sql`
    SELECT max(before_seconds) AS before_seconds FROM revocations WHERE (${ofSessions}) OR session_id IS NULL`;
}

/** Re-mint, an entry a session: tokens minted before must be exchanged, and nobody is signed out. */
export function appendRemints(entry: {
  sessions: readonly Uint8Array[];
  before: number;
  until: number;
}): Sql[] {
  const { sessions, before, until } = entry;
  return [
    sql`UPDATE revocation_position SET seq = seq + ${sessions.length} WHERE id = 1`,
    sql`
      INSERT INTO revocations (seq, session_id, client_id, before_seconds, until_seconds, soft)
      SELECT p.seq + 1 - row_number() OVER (ORDER BY s.id), s.id, NULL, ${before}, ${until}, 1
      FROM (SELECT id FROM sessions WHERE id IN (${join(sessions)})) s, revocation_position p
      WHERE p.id = 1`,
  ];
}

/** An entry for a client or for everything. */
export function appendWide(entry: {
  clientId: string | null;
  before: number;
  until: number;
  soft: boolean;
}): Sql[] {
  return [
    sql`UPDATE revocation_position SET seq = seq + 1 WHERE id = 1`,
    sql`
      INSERT INTO revocations (seq, session_id, client_id, before_seconds, until_seconds, soft)
      SELECT seq, NULL, ${entry.clientId}, ${entry.before}, ${entry.until}, ${entry.soft ? 1 : 0}
      FROM revocation_position WHERE id = 1`,
  ];
}

/**
 * After an older copy was put in place: numbers that were given out since the copy are passed over, so that none of
 * them names another entry. A guard that has seen them then misses nothing of what comes.
 * @param skipped.beyond a number that is known to have been given out
 */
export const skipPositions = (skipped: { beyond: number; many: number }): Sql => sql`
  UPDATE revocation_position
  SET seq = CASE WHEN seq > ${skipped.beyond} THEN seq ELSE CAST(${skipped.beyond} AS BIGINT) END + ${skipped.many}
  WHERE id = 1`;

export interface EndedRow {
  seq: number;
  id: Uint8Array;
  expires_at: number;
  revoked_at: number;
  end_reason: string;
}

/** Sessions that have ended, in the order of the feed, also those whose tokens are all past. */
export function selectEndedAfter(seq: number, rows: number): Sql {
  return sql`
    SELECT r.seq, s.id, s.expires_at, s.revoked_at, s.end_reason FROM revocations r
    JOIN sessions s ON s.id = r.session_id
    WHERE r.seq > ${seq} AND r.soft = 0 AND s.revoked_at IS NOT NULL ORDER BY r.seq LIMIT ${rows}`;
}

export const selectAliveOf = (ids: readonly Id[]): Sql => sql`
  SELECT id, user_id FROM sessions WHERE id IN (${join(ids.map(idToBytes))}) AND revoked_at IS NULL`;

export const selectPosition = (): Sql => sql`SELECT seq FROM revocation_position WHERE id = 1`;

export function selectAfter(seq: number, nowSeconds: number, rows: number): Sql {
  return sql`
    SELECT seq, session_id, client_id, before_seconds, until_seconds, soft FROM revocations
    WHERE seq > ${seq} AND until_seconds > ${nowSeconds} ORDER BY seq LIMIT ${rows}`;
}

export function deletePast(nowSeconds: number, rows: number): Sql {
  return sql`
    DELETE FROM revocations WHERE seq IN
      (SELECT seq FROM revocations WHERE until_seconds <= ${nowSeconds} ORDER BY seq LIMIT ${rows})`;
}
