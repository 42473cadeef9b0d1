import sql, { join, type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";

export interface RoleRow {
  name: string;
  description: string | null;
  created_at: number;
  updated_at: number;
}

export interface PermissionRow {
  role: string;
  permission: string;
  /** Empty: everywhere. */
  resource: string;
}

const columns = sql`name, description, created_at, updated_at`;

/** Who wins of two with one name: the first. The other changes nothing. */
export const insertRole = (row: RoleRow): Sql => sql`
  INSERT INTO roles (${columns}) VALUES (${row.name}, ${row.description}, ${row.created_at}, ${row.updated_at})
  ON CONFLICT (name) DO NOTHING`;

export const selectRole = (name: string): Sql => sql`SELECT ${columns} FROM roles WHERE name = ${name}`;

/** In the order of their names. */
export function selectRoles({ after, rows }: { after: string | undefined; rows: number }): Sql {
  const later = after === undefined ? sql`1 = 1` : sql`name > ${after}`;
  return sql`SELECT ${columns} FROM roles WHERE ${later} ORDER BY name LIMIT ${rows}`;
}

export function updateRole(change: { name: string; description: string | null; at: number }): Sql {
  return sql`
    UPDATE roles SET description = ${change.description}, updated_at = ${change.at} WHERE name = ${change.name}`;
}

/** Its permissions go with it. */
export const deleteRole = (name: string): Sql => sql`DELETE FROM roles WHERE name = ${name}`;

export const selectPermissions = (roles: readonly string[]): Sql => sql`
  SELECT role, permission, resource FROM role_permissions WHERE role IN (${join(roles)})
  ORDER BY role, permission, resource`;

export const deletePermissions = (role: string): Sql =>
  sql`DELETE FROM role_permissions WHERE role = ${role}`;

export const insertPermissions = (rows: readonly PermissionRow[]): Sql => sql`
  INSERT INTO role_permissions (role, permission, resource)
  VALUES ${join(rows.map((row) => sql`(${row.role}, ${row.permission}, ${row.resource})`))}`;

export const countUsersWith = (role: string): Sql =>
  sql`SELECT count(DISTINCT user_id) AS n FROM user_roles WHERE role = ${role}`;

/** At most `rows` of them, in order. */
export const selectUsersWith = (role: string, rows: number): Sql =>
  sql`SELECT DISTINCT user_id FROM user_roles WHERE role = ${role} ORDER BY user_id LIMIT ${rows}`;

export const selectGrants = (userId: Id): Sql =>
  sql`SELECT role, resource FROM user_roles WHERE user_id = ${idToBytes(userId)} ORDER BY role, resource`;

/** Only to a user who is there. */
export function insertGrant(grant: { userId: Id; role: string; resource: string }): Sql {
  const id = idToBytes(grant.userId);
  return sql`
    INSERT INTO user_roles (user_id, role, resource)
    SELECT ${id}, ${grant.role}, ${grant.resource} WHERE EXISTS (SELECT 1 FROM users WHERE id = ${id})
    ON CONFLICT DO NOTHING`;
}

export function deleteGrant(grant: { userId: Id; role: string; resource: string }): Sql {
  return sql`
    DELETE FROM user_roles
    WHERE user_id = ${idToBytes(grant.userId)} AND role = ${grant.role} AND resource = ${grant.resource}`;
}

export const deleteGrantsOf = (role: string): Sql => sql`DELETE FROM user_roles WHERE role = ${role}`;

/** Held until the commit by whoever changes what somebody may do: such changes come one after the other. */
export const lockRoleChanges = (): Sql => sql`UPDATE role_changes SET count = count + 1 WHERE id = 1`;

/**
 * Marks users as changed, and holds their rows: a sign-in at the same moment either has its session in the change, or
 * starts it afterwards. The mark moves even when the clock does not: kept replies are told apart by it.
 */
export function touchUsers(ids: readonly Uint8Array[], at: number): Sql {
  return sql`
    UPDATE users SET updated_at = CASE WHEN updated_at < ${at} THEN CAST(${at} AS BIGINT) ELSE updated_at + 1 END
    WHERE id IN (${join(ids)})`;
}

/** Sessions of these users that are not over. */
export function selectLiving(
  userIds: readonly Uint8Array[],
  { at, rows }: { at: number; rows: number },
): Sql {
  return sql`
    SELECT id FROM sessions WHERE user_id IN (${join(userIds)}) AND revoked_at IS NULL AND expires_at > ${at}
    LIMIT ${rows}`;
}
