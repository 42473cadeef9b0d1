import {
  addRole,
  grantRole,
  listRoles,
  removeRole,
  revokeRole,
  showRole,
  type UserGranted,
  updateRole,
} from "../../admin/commands/roles.ts";
import type { Rooms } from "../../app-rooms.ts";
import { limits } from "../../primitives/limits.ts";
import { formatPermission } from "../../roles/names.ts";
import type { InvalidRole, Role } from "../../roles/roles.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, type Refused, refused, WrongUsage } from "../outcome.ts";
import { isoTime, readableTime, record, table } from "../terminal.ts";
import { type ListOptions, moreNote, pageFrom } from "./list-options.ts";

export interface RoleOptions {
  readonly description?: string;
  readonly permission?: readonly string[];
  readonly none?: boolean;
}

const FELT =
  "Access tokens that are out are exchanged for new ones; APIs that follow the feed ask for that within a second.";

export function add(context: Context, name: string, options: RoleOptions): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const { description, permission: permissions } = options;
    const added = await addRole(rooms, { name, description, permissions });
    switch (added.outcome) {
      case "added":
        return {
          outcome: "done",
          json: { role: shownRole(added.role) },
          text: record(roleFields(added.role)),
        };
      case "role_taken":
        return refused("role_taken", `There is a role ${name}; keyturn role set changes it.`);
      case "invalid":
        return invalid(added);
    }
  });
}

export function list(context: Context, options: ListOptions): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const { roles, next } = await listRoles(rooms, pageFrom(options));
    const rows = roles.map((role) => [
      role.name,
      role.permissions.map(formatPermission).join(" "),
      role.description ?? "",
    ]);
    return {
      outcome: "done",
      json: { roles: roles.map(shownRole), next: next ?? null },
      text: table(["NAME", "PERMISSIONS", "DESCRIPTION"], rows),
      ...moreNote(next),
    };
  });
}

export function show(context: Context, name: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const found = await showRole(rooms, name);
    if (found.outcome !== "found") return unknownRole(name);
    const { role, users } = found;
    return {
      outcome: "done",
      json: { role: shownRole(role), users },
      text: record({ ...roleFields(role), users: String(users) }),
    };
  });
}

export function set(context: Context, name: string, options: RoleOptions): Promise<Outcome> {
  const { description, permission, none = false } = options;
  if (none && permission !== undefined) {
    throw new WrongUsage("Name the permissions that the role has from now on, or say --none.");
  }
  const permissions = none ? [] : permission;
  if (permissions === undefined && description === undefined) {
    throw new WrongUsage("Say what changes: --permission, --none or --description.");
  }
  return inRooms(context, async (rooms) => {
    const changed = await updateRole(rooms, { name, description, permissions });
    switch (changed.outcome) {
      case "changed":
      case "unchanged":
        return {
          outcome: "done",
          json: { outcome: changed.outcome, role: shownRole(changed.role) },
          text: record(roleFields(changed.role)),
          ...(changed.outcome === "changed" && permissions !== undefined && { note: FELT }),
        };
      case "unknown_role":
        return unknownRole(name);
      case "invalid":
        return invalid(changed);
    }
  });
}

export function remove(context: Context, name: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const removed = await removeRole(rooms, name);
    if (removed.outcome !== "removed") return unknownRole(name);
    const { users } = removed;
    const taken = users === 0 ? "nobody had it" : `taken from ${users === 1 ? "1 user" : `${users} users`}`;
    return {
      outcome: "done",
      json: { outcome: "removed", name, users },
      text: `The role ${name} is removed; ${taken}.`,
      ...(users > 0 && { note: FELT }),
    };
  });
}

export const grant = (context: Context, asked: AskedGrant) => onGrant(context, asked, grantRole);
export const revoke = (context: Context, asked: AskedGrant) => onGrant(context, asked, revokeRole);

interface AskedGrant {
  readonly user: string;
  readonly role: string;
  readonly resource?: string;
}

function onGrant(
  context: Context,
  asked: AskedGrant,
  act: (rooms: Rooms, grant: AskedGrant) => Promise<UserGranted>,
): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const granted = await act(rooms, asked);
    switch (granted.outcome) {
      case "changed":
      case "unchanged": {
        const { user, outcome } = granted;
        const { id, username, roles, resourceRoles } = user;
        const all = [...roles, ...resourceRoles].join(" ");
        return {
          outcome: "done",
          json: { outcome, id, username, roles, resourceRoles },
          text: `${username} ${outcome === "changed" ? "now has" : "has, as before,"} ${all === "" ? "no roles" : `the roles ${all}`}.`,
          ...(outcome === "changed" && { note: FELT }),
        };
      }
      case "unknown_user":
        return refused(
          "unknown_user",
          `There is no user ${asked.user}; give an id, a username or an e-mail address.`,
        );
      case "too_many_roles":
        return refused(
          "too_many_roles",
          `A user has at most ${limits.rolesPerUserMax} roles, all resources together.`,
        );
      case "invalid":
        return invalid(granted);
    }
  });
}

const invalid = ({ field, problem }: InvalidRole): Refused => refused(`invalid_${field}`, problem);

function unknownRole(name: string): Refused {
  return refused("unknown_role", `There is no role ${name}; keyturn role list shows them.`);
}

function shownRole(role: Role) {
  return {
    name: role.name,
    description: role.description ?? null,
    permissions: role.permissions.map(({ permission, resource }) => ({
      permission,
      resource: resource ?? null,
    })),
    createdAt: isoTime(role.createdAt),
    updatedAt: isoTime(role.updatedAt),
  };
}

function roleFields(role: Role) {
  return {
    name: role.name,
    description: role.description,
    permissions: role.permissions.map(formatPermission).join(" ") || undefined,
    added: readableTime(role.createdAt),
  };
}
