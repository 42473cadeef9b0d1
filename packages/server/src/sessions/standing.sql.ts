import sql from "sql-template-tag";
import type { Statement } from "../storage/database.ts";
import { prepared } from "../storage/prepared.ts";

export interface StandingRow {
  user_id: Uint8Array;
  client_id: string;
  kind: string;
  last_used_at: number;
  expires_at: number;
  revoked_at: number | null;
  /** Seconds since 1970: the latest `before` of the feed that concerns this session; and that of all. */
  session_before: number | null;
  wide_before: number | null;
  /** When the client that asks was changed last. */
  caller_updated_at: number | null;
}

const select = prepared(sql`
  SELECT s.user_id, s.client_id, s.kind, s.last_used_at, s.expires_at, s.revoked_at,
    (SELECT max(v.before_seconds) FROM revocations v WHERE v.session_id = s.id AND v.soft = 1) AS session_before,
    (SELECT max(v.before_seconds) FROM revocations v
      WHERE v.session_id IS NULL AND (v.client_id IS NULL OR v.client_id = s.client_id)) AS wide_before,
    (SELECT c.updated_at FROM clients c WHERE c.id = ${null}) AS caller_updated_at
  FROM sessions s WHERE s.id = ${null}`);

/** One row by its primary key, with what the feed says of it. */
export const selectStanding = (sessionId: Uint8Array, callerId: string): Statement =>
  select(callerId, sessionId);
