import sql, { type Sql } from "sql-template-tag";
import type { ParameterKind, Statement } from "../storage/database.ts";
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

/** Where the rights are to be: what is asked for, else what the session is for, else the audience of the settings. */
export interface RightsAudience {
  /** Several, separated by spaces, are no resource of a role's: there are the rights that hold everywhere, and no more. */
  readonly asked?: string | undefined;
  readonly audience: string;
}

const resource = sql`COALESCE(CAST(${""} AS TEXT), s.resources, CAST(${""} AS TEXT))`;

/** What `rightsColumns` takes. */
export function rightsParameters(where: RightsAudience): (string | null)[] {
  const one = [where.asked ?? null, where.audience];
  return [...one, ...one, ...one];
}

export const rightsParameterKinds: readonly ParameterKind[] = Array.from({ length: 6 }, () => "same");

/**
 * Columns of a statement on `sessions s`: one row, one snapshot. So a token has either what was before a change, or
 * what is after it together with the change's entry in the feed. Takes `rightsParameters`.
 */
export const rightsColumns: Sql = sql`
  (SELECT string_agg(r.role, ' ') FROM user_roles r
    WHERE r.user_id = s.user_id AND r.resource IN ('', ${resource})) AS roles,
  (SELECT string_agg(p.permission, ' ') FROM user_roles r JOIN role_permissions p ON p.role = r.role
    WHERE r.user_id = s.user_id AND r.resource IN ('', ${resource}) AND p.resource IN ('', ${resource})) AS permissions,
  (SELECT max(v.before_seconds) FROM revocations v WHERE v.session_id = s.id AND v.soft = 1) AS session_before,
  (SELECT max(v.before_seconds) FROM revocations v
    WHERE v.session_id IS NULL AND (v.client_id IS NULL OR v.client_id = s.client_id)) AS wide_before`;

const select = prepared(sql`SELECT ${rightsColumns} FROM sessions s WHERE s.id = ${null}`);

export function selectRights(sessionId: Uint8Array, audience: RightsAudience): Statement {
  return select(...rightsParameters(audience), sessionId);
}
