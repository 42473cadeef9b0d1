import sql, { type Sql } from "sql-template-tag";
import type { Statement } from "../storage/database.ts";
import { prepared } from "../storage/prepared.ts";

/** What the tokens of a session say of their user, and from when on such tokens are good. */
export interface RightsRow {
  /** Separated by spaces, each as often as it was given; null when there are none. */
  roles: string | null;
  permissions: string | null;
  /** Seconds since 1970: the latest `before` of the feed that concerns this session; and that of all. */
  session_before: number | null;
  wide_before: number | null;
}

/**
 * Columns of a statement on `sessions s`: one row, one snapshot. So a token has either what was before a change, or
 * what is after it together with the change's entry in the feed. Takes the audience three times.
 */
export const rightsColumns: Sql = sql`
  (SELECT string_agg(r.role, ' ') FROM user_roles r
    WHERE r.user_id = s.user_id AND r.resource IN ('', ${""})) AS roles,
  (SELECT string_agg(p.permission, ' ') FROM user_roles r JOIN role_permissions p ON p.role = r.role
    WHERE r.user_id = s.user_id AND r.resource IN ('', ${""}) AND p.resource IN ('', ${""})) AS permissions,
  (SELECT max(v.before_seconds) FROM revocations v WHERE v.session_id = s.id AND v.soft = 1) AS session_before,
  (SELECT max(v.before_seconds) FROM revocations v
    WHERE v.session_id IS NULL AND (v.client_id IS NULL OR v.client_id = s.client_id)) AS wide_before`;

const select = prepared(sql`SELECT ${rightsColumns} FROM sessions s WHERE s.id = ${null}`);

export function selectRights(sessionId: Uint8Array, audience: string): Statement {
  return select(audience, audience, audience, sessionId);
}
