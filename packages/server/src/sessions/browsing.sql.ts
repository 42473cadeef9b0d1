import sql from "sql-template-tag";
import type { Statement } from "../storage/database.ts";
import { prepared } from "../storage/prepared.ts";

/**
 * What a look at a browser's session asks for: whether it lives, and whether its user has changed. Numbers only: each
 * blob that SQLite hands out has memory of its own, which would cost more than the look-up.
 */
export interface LookRow {
  last_used_at: number;
  expires_at: number;
  revoked_at: number | null;
  end_reason: string | null;
  /** Changes with whatever a reply shows of the user; null when the user is removed. */
  user_updated_at: number | null;
  user_disabled_at: number | null;
  /** The newest entries of the feed that ask for a new token of this session, or of everybody. */
  session_remint: number | null;
  wide_remint: number | null;
}

const select = prepared(sql`
  SELECT s.last_used_at, s.expires_at, s.revoked_at, s.end_reason,
    u.updated_at AS user_updated_at, u.disabled_at AS user_disabled_at,
    (SELECT max(v.seq) FROM revocations v WHERE v.session_id = s.id AND v.soft = 1) AS session_remint,
    (SELECT max(v.seq) FROM revocations v WHERE v.session_id IS NULL) AS wide_remint
  FROM sessions s LEFT JOIN users u ON u.id = s.user_id
  WHERE s.id = ${null} AND s.digest = ${null} AND s.kind = 'browser'`);

/** A row only when the digest is that of the session's secret. */
export function selectForLook(sessionId: Uint8Array, digest: Uint8Array): Statement {
  return select(sessionId, digest);
}

const update = prepared(
  sql`
  UPDATE sessions SET last_used_at = ${null}, ip = COALESCE(${null}, ip)
  WHERE id = ${null} AND last_used_at < ${null} AND revoked_at IS NULL`,
  ["bigint", "text", "bytea", "bigint"],
);

/** Notes a use. Of any number of nodes that see one at the same time, the first writes and the others change nothing. */
export function updateUsed(used: {
  sessionId: Uint8Array;
  at: number;
  before: number;
  ip: string | null;
}): Statement {
  return update(used.at, used.ip, used.sessionId, used.before);
}
