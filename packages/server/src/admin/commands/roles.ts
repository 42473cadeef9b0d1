import type { Grant, Granted, Grants } from "../../roles/grants.ts";
import type {
  NewRole,
  Role,
  RoleAdded,
  RoleChanged,
  RoleRemoved,
  Roles,
  RoleUpdate,
  UnknownRole,
} from "../../roles/roles.ts";
import type { User } from "../../users/user.ts";
import { type Page, readRows } from "./pages.ts";
import { operator, type UnknownUser, type UserRooms } from "./users.ts";

/** What the operator does with roles, by whichever door: terminal, API, console. */

export interface RoleRooms {
  readonly roles: Roles;
}

export function addRole({ roles }: RoleRooms, input: NewRole, by = operator): Promise<RoleAdded> {
  return roles.add(input, by);
}

/** Roles in the order of their names; `next` is where the page after begins. */
export async function listRoles(
  { roles }: RoleRooms,
  page: Page = {},
): Promise<{ roles: Role[]; next: string | undefined }> {
  const { rows, next } = await readRows(page, async (after) => {
    const found = await roles.list(after === undefined ? {} : { after });
    return found.map((role) => ({ id: role.name, role }));
  });
  return { roles: rows.map(({ role }) => role), next };
}

export type RoleShown =
  | {
      readonly outcome: "found";
      readonly role: Role /** How many have it, anywhere. */;
      readonly users: number;
    }
  | UnknownRole;

export async function showRole({ roles }: RoleRooms, name: string): Promise<RoleShown> {
  const found = await roles.find(name);
  return found === undefined ? { outcome: "unknown_role" } : { outcome: "found", ...found };
}

export function updateRole(
  { roles }: RoleRooms,
  { name, ...update }: RoleUpdate & { name: string },
  by = operator,
): Promise<RoleChanged> {
  return roles.update(name, update, by);
}

/** Deletes the role, and takes it from whoever has it. */
export function removeRole({ roles }: RoleRooms, name: string, by = operator): Promise<RoleRemoved> {
  return roles.remove(name, by);
}

export type UserGranted =
  | Exclude<Granted, { outcome: "changed" | "unchanged" | "unknown_user" }>
  | { readonly outcome: "changed" | "unchanged"; readonly user: User }
  | UnknownUser;

interface GrantRooms extends Pick<UserRooms, "users"> {
  readonly grants: Grants;
}

/** Gives a user a role, everywhere or at one resource. */
export const grantRole = (rooms: GrantRooms, grant: Grant & { user: string }, by = operator) =>
  onGrant(rooms, grant.user, (userId) => rooms.grants.grant(userId, grant, by));

/** Takes it away again. */
export const revokeRole = (rooms: GrantRooms, grant: Grant & { user: string }, by = operator) =>
  onGrant(rooms, grant.user, (userId) => rooms.grants.revoke(userId, grant, by));

async function onGrant(
  { users }: GrantRooms,
  name: string,
  act: (userId: string) => Promise<Granted>,
): Promise<UserGranted> {
  const user = await users.find(name);
  if (user === undefined) return { outcome: "unknown_user" };
  const granted = await act(user.id);
  switch (granted.outcome) {
    case "changed":
    case "unchanged":
      return { outcome: granted.outcome, user: (await users.findById(user.id)) ?? user };
    case "unknown_user":
      return { outcome: "unknown_user" };
    case "too_many_roles":
      return { outcome: "too_many_roles" };
    case "invalid":
      return granted;
  }
}
