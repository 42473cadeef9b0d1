import { auditStatement } from "../audit/audit.ts";
import type { Actor, AuditEventType } from "../audit/events.ts";
import { limits } from "../primitives/limits.ts";
import type { Database, Transaction } from "../storage/database.ts";
import {
  checkDescription,
  checkPermissions,
  checkRoleName,
  formatPermission,
  isRoleName,
  type Permission,
} from "./names.ts";
import { nobody, type Reminting } from "./reminting.ts";
import {
  countUsersWith,
  deleteGrantsOf,
  deletePermissions,
  deleteRole,
  insertPermissions,
  insertRole,
  type PermissionRow,
  type RoleRow,
  selectPermissions,
  selectRole,
  selectRoles,
  updateRole,
} from "./roles.sql.ts";

/** A role that has been defined: what those may do who have it. Times are milliseconds since 1970. */
export interface Role {
  readonly name: string;
  readonly description: string | undefined;
  /** In order, each once. */
  readonly permissions: readonly Permission[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface NewRole {
  readonly name: string;
  readonly description?: string | undefined;
  /** `orders:read`, or `orders:read@orders` for one resource. */
  readonly permissions?: readonly string[] | undefined;
}

/** What is left out stays as it is. */
export interface RoleUpdate {
  /** Empty takes it away. */
  readonly description?: string | undefined;
  /** In place of those before. */
  readonly permissions?: readonly string[] | undefined;
}

export interface By {
  readonly actor: Actor;
  readonly ip?: string | undefined;
}

export interface InvalidRole {
  readonly outcome: "invalid";
  readonly field: "role" | "description" | "permissions" | "resource";
  readonly problem: string;
}

export interface UnknownRole {
  readonly outcome: "unknown_role";
}

export type RoleAdded =
  | { readonly outcome: "added"; readonly role: Role }
  | { readonly outcome: "role_taken" }
  | InvalidRole;

export type RoleChanged =
  | { readonly outcome: "changed" | "unchanged"; readonly role: Role }
  | UnknownRole
  | InvalidRole;

export type RoleRemoved =
  /** From how many users it was taken. */
  { readonly outcome: "removed"; readonly users: number } | UnknownRole;

interface Dependencies {
  readonly database: Database;
  readonly reminting: Reminting;
}

const unknownRole: UnknownRole = { outcome: "unknown_role" };
/** An audit event is small. */
const LISTED_CHARACTERS_MAX = 1000;

export type Roles = ReturnType<typeof createRoles>;

/**
 * The roles that have been defined. A role that users have and that is not defined is a word in their tokens, with no
 * permissions. Every act is one transaction, with its audit event and its re-mint inside.
 */
export function createRoles({ database, reminting }: Dependencies) {
  async function find(tx: Pick<Transaction, "one" | "all">, name: string): Promise<Role | undefined> {
    const row = await tx.one<RoleRow>(selectRole(name));
    return row && fromRows(row, await tx.all<PermissionRow>(selectPermissions([name])));
  }

  return {
    async add(input: NewRole, by: By): Promise<RoleAdded> {
      const checked = checkRole(input);
      if ("outcome" in checked) return checked;
      const { name, description, permissions } = checked;
      return reminting.change<RoleAdded>(async (tx, at) => {
        const row = { name, description: description || null, created_at: at, updated_at: at };
        if ((await tx.run(insertRole(row))) === 0) {
          return { outcome: { outcome: "role_taken" }, affected: nobody };
        }
        if (permissions.length > 0) await tx.run(insertPermissions(rowsOf(name, permissions)));
        const detail = { role: name, permissions: listed(permissions) };
        await tx.run(auditStatement(at, event("role.added", detail, by)));
        const role = fromRows(row, rowsOf(name, permissions));
        // There may be users who had it as a mere word.
        const affected = permissions.length > 0 ? await reminting.usersWith(tx, name) : nobody;
        return { outcome: { outcome: "added", role }, affected };
      });
    },

    async update(name: string, input: RoleUpdate, by: By): Promise<RoleChanged> {
      const checked = checkRole({ name, ...input });
      if ("outcome" in checked) return isRoleName(name) ? checked : unknownRole;
      return reminting.change<RoleChanged>(async (tx, at) => {
        const before = await find(tx, name);
        if (before === undefined) return { outcome: unknownRole, affected: nobody };
        const description =
          input.description === undefined ? before.description : checked.description || undefined;
        const permissions = input.permissions === undefined ? before.permissions : checked.permissions;
        const isOther = listOf(permissions) !== listOf(before.permissions);
        if (!isOther && description === before.description) {
          return { outcome: { outcome: "unchanged", role: before }, affected: nobody };
        }
        await tx.run(updateRole({ name, description: description ?? null, at }));
        if (isOther) {
          await tx.run(deletePermissions(name));
          if (permissions.length > 0) await tx.run(insertPermissions(rowsOf(name, permissions)));
        }
        const detail = { role: name, ...(isOther && differences(before.permissions, permissions)) };
        await tx.run(auditStatement(at, event("role.changed", detail, by)));
        const role = { ...before, description, permissions, updatedAt: at };
        const affected = isOther ? await reminting.usersWith(tx, name) : nobody;
        return { outcome: { outcome: "changed", role }, affected };
      });
    },

    /** Deletes the role, and takes it from whoever has it. */
    async remove(name: string, by: By): Promise<RoleRemoved> {
      if (!isRoleName(name)) return unknownRole;
      return reminting.change<RoleRemoved>(async (tx, at) => {
        const affected = await reminting.usersWith(tx, name);
        if ((await tx.run(deleteRole(name))) === 0) return { outcome: unknownRole, affected: nobody };
        const users = (await tx.one<{ n: number }>(countUsersWith(name)))?.n ?? 0;
        await tx.run(deleteGrantsOf(name));
        await tx.run(auditStatement(at, event("role.removed", { role: name, users }, by)));
        return { outcome: { outcome: "removed", users }, affected };
      });
    },

    async find(name: string): Promise<{ role: Role; users: number } | undefined> {
      const role = isRoleName(name) ? await find(database, name) : undefined;
      if (role === undefined) return undefined;
      return { role, users: (await database.one<{ n: number }>(countUsersWith(name)))?.n ?? 0 };
    },

    /** In the order of their names, at most a page; `after` is the name of the last one of the page before. */
    async list(page: { after?: string; rows?: number } = {}): Promise<Role[]> {
      const rows = Math.min(page.rows ?? limits.pageRowsMax, limits.pageRowsMax);
      const after = page.after !== undefined && isRoleName(page.after) ? page.after : undefined;
      const found = await database.all<RoleRow>(selectRoles({ after, rows }));
      if (found.length === 0) return [];
      const names = found.map(({ name }) => name);
      const permissions = await database.all<PermissionRow>(selectPermissions(names));
      return found.map((row) =>
        fromRows(
          row,
          permissions.filter(({ role }) => role === row.name),
        ),
      );
    },
  };
}

function checkRole(input: NewRole) {
  const name = checkRoleName(input.name);
  if (!name.ok) return invalid("role", name.problem);
  const description = checkDescription(input.description ?? "");
  if (!description.ok) return invalid("description", description.problem);
  const permissions = checkPermissions(input.permissions ?? []);
  if (!permissions.ok) return invalid("permissions", permissions.problem);
  return { name: name.value, description: description.value, permissions: permissions.value };
}

const invalid = (field: InvalidRole["field"], problem: string): InvalidRole => ({
  outcome: "invalid",
  field,
  problem,
});

function event(type: AuditEventType, detail: Record<string, string | number>, { actor, ip }: By) {
  return { type, actor, ip, detail };
}

const listOf = (permissions: readonly Permission[]) => permissions.map(formatPermission).join(" ");

function listed(permissions: readonly Permission[]): string {
  const text = listOf(permissions);
  return text.length <= LISTED_CHARACTERS_MAX ? text : `${permissions.length} permissions`;
}

function differences(before: readonly Permission[], now: readonly Permission[]) {
  const had = new Set(before.map(formatPermission));
  const has = new Set(now.map(formatPermission));
  return {
    added: listed(now.filter((one) => !had.has(formatPermission(one)))),
    removed: listed(before.filter((one) => !has.has(formatPermission(one)))),
  };
}

function rowsOf(role: string, permissions: readonly Permission[]): PermissionRow[] {
  return permissions.map(({ permission, resource }) => ({ role, permission, resource: resource ?? "" }));
}

function fromRows(row: RoleRow, permissions: readonly PermissionRow[]): Role {
  return {
    name: row.name,
    description: row.description ?? undefined,
    permissions: permissions.map(({ permission, resource }) => ({
      permission,
      resource: resource === "" ? undefined : resource,
    })),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
