import {
  addUser,
  disableUser,
  enableUser,
  listUsers,
  removeUser,
  setUserPassword,
  setUserRoles,
  showUser,
  type UserSwitched,
  updateUser,
} from "../../admin/commands/users.ts";
import type { Rooms } from "../../app-rooms.ts";
import type { User } from "../../users/user.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, type Refused, refused, WrongUsage } from "../outcome.ts";
import { readPassword } from "../password-input.ts";
import { isoTime, readableTime, record, table } from "../terminal.ts";
import { type ListOptions, moreNote, pageFromId } from "./list-options.ts";
import { shownSession } from "./session.ts";

export interface AddOptions {
  readonly email?: string;
  readonly emailVerified?: boolean;
  readonly name?: string;
  readonly role?: readonly string[];
  readonly passwordStdin?: boolean;
}

export async function add(context: Context, username: string, options: AddOptions): Promise<Outcome> {
  const { email, emailVerified, name, role } = options;
  const password = await readPassword(context.terminal, { fromStdin: options.passwordStdin === true });
  return inRooms(context, async (rooms) => {
    const added = await addUser(rooms, { username, email, emailVerified, name, roles: role, password });
    if (added.outcome !== "added") return refusal(added, username);
    return {
      outcome: "done",
      json: { user: shownUser(added.user), ...(added.password && { password: added.password }) },
      text: record({ ...userFields(added.user), password: added.password }),
      ...(added.password && { note: "The password is shown this once." }),
    };
  });
}

export interface SetOptions {
  readonly username?: string;
  /** False: it is taken away. */
  readonly email?: string | false;
  readonly emailVerified?: boolean;
  readonly name?: string | false;
}

export function set(context: Context, who: string, options: SetOptions): Promise<Outcome> {
  const given = { ...options, email: options.email || null, name: options.name || null };
  const named = Object.entries(given).filter(([member]) => options[member as keyof SetOptions] !== undefined);
  if (named.length === 0) throw new WrongUsage("Say what to change: see keyturn user set --help.");
  return inRooms(context, async (rooms) => {
    const updated = await updateUser(rooms, { name: who, update: Object.fromEntries(named) });
    if (updated.outcome !== "updated") return refusal(updated, options.username ?? who);
    return {
      outcome: "done",
      json: { user: shownUser(updated.user) },
      text: record(userFields(updated.user)),
    };
  });
}

export function list(context: Context, options: ListOptions): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const { users, next } = await listUsers(rooms, pageFromId(options));
    const rows = users.map((user) => [
      user.username,
      user.email ?? "",
      [...user.roles, ...user.resourceRoles].join(" "),
      readableTime(user.createdAt),
      user.disabledAt === undefined ? "" : `disabled ${readableTime(user.disabledAt)}`,
    ]);
    return {
      outcome: "done",
      json: { users: users.map(shownUser), next: next ?? null },
      text: table(["USERNAME", "E-MAIL", "ROLES", "ADDED", ""], rows),
      ...moreNote(next),
    };
  });
}

export function show(context: Context, name: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const found = await showUser(rooms, name);
    if (found.outcome !== "found") return unknownUser(name);
    const { user, sessions } = found;
    const count = sessions.length === 1 ? "1 session is alive" : `${sessions.length} sessions are alive`;
    return {
      outcome: "done",
      json: {
        user: shownUser(user),
        sessions: sessions.map((session) => shownSession({ session, user, isOver: false })),
      },
      text: record({ ...userFields(user), sessions: count }),
    };
  });
}

export const disable = (context: Context, name: string) =>
  switchUser(context, name, {
    act: disableUser,
    done: "is disabled and signed out everywhere",
    unchanged: "was disabled already",
  });

export const enable = (context: Context, name: string) =>
  switchUser(context, name, { act: enableUser, done: "can sign in again", unchanged: "was not disabled" });

export const remove = (context: Context, name: string) =>
  switchUser(context, name, {
    act: removeUser,
    done: "is removed and signed out everywhere",
    unchanged: "was removed already",
  });

interface Switch {
  readonly act: (rooms: Rooms, name: string) => Promise<UserSwitched>;
  readonly done: string;
  readonly unchanged: string;
}

function switchUser(context: Context, name: string, { act, done, unchanged }: Switch): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const switched = await act(rooms, name);
    if (switched.outcome === "unknown_user") return unknownUser(name);
    const { user, outcome } = switched;
    return {
      outcome: "done",
      json: { outcome, id: user.id, username: user.username },
      text: `${user.username} ${outcome === "done" ? done : unchanged}.`,
    };
  });
}

export interface PasswordOptions {
  readonly passwordStdin?: boolean;
  readonly keepSessions?: boolean;
}

export async function password(context: Context, name: string, options: PasswordOptions): Promise<Outcome> {
  const { keepSessions = false } = options;
  const given = await readPassword(context.terminal, { fromStdin: options.passwordStdin === true });
  return inRooms(context, async (rooms) => {
    const set = await setUserPassword(rooms, { name, password: given, keepSessions });
    if (set.outcome !== "changed") return refusal(set, name);
    const { user, password: made } = set;
    const ended = keepSessions ? "sessions go on" : "all sessions were ended";
    return {
      outcome: "done",
      json: { outcome: "changed", id: user.id, username: user.username, ...(made && { password: made }) },
      text: made ?? `${user.username} has a new password; ${ended}.`,
      ...(made && { note: `${user.username} has this new password, shown this once; ${ended}.` }),
    };
  });
}

export function roles(
  context: Context,
  name: string,
  { wanted, none = false }: { wanted: readonly string[]; none?: boolean },
): Promise<Outcome> {
  if (none === wanted.length > 0) {
    throw new WrongUsage("Name the roles that the user has from now on, or say --none.");
  }
  return inRooms(context, async (rooms) => {
    const set = await setUserRoles(rooms, { name, roles: wanted });
    if (set.outcome !== "changed") return refusal(set, name);
    const { user, roles: now } = set;
    return {
      outcome: "done",
      json: { id: user.id, username: user.username, roles: now },
      text: `${user.username} has ${now.length === 0 ? "no roles" : `the roles ${now.join(" ")}`}.`,
      note: "Access tokens that are out are exchanged for new ones; APIs that follow the feed ask for that within a second.",
    };
  });
}

type Refusal =
  | { readonly outcome: "unknown_user" | "username_taken" | "email_taken" | "busy" }
  | { readonly outcome: "invalid"; readonly field: string; readonly problem: string };

function refusal(answer: Refusal, name: string): Refused {
  switch (answer.outcome) {
    case "unknown_user":
      return unknownUser(name);
    case "username_taken":
      return refused("username_taken", `The username ${name} is taken; choose another.`);
    case "email_taken":
      return refused("email_taken", "Another user has that e-mail address.");
    case "busy":
      return refused("busy", "Too many passwords are being hashed; try again.");
    case "invalid":
      return refused(
        `invalid_${answer.field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
        answer.problem,
      );
  }
}

function unknownUser(name: string): Refused {
  return refused("unknown_user", `There is no user ${name}; give an id, a username or an e-mail address.`);
}

/** A user in JSON; what is not there is null. */
function shownUser(user: User) {
  return {
    id: user.id,
    username: user.username,
    email: user.email ?? null,
    emailVerified: user.emailVerified,
    name: user.name ?? null,
    roles: user.roles,
    resourceRoles: user.resourceRoles,
    externalId: user.externalId ?? null,
    createdAt: isoTime(user.createdAt),
    updatedAt: isoTime(user.updatedAt),
    disabledAt: isoTime(user.disabledAt),
  };
}

function userFields(user: User) {
  return {
    username: user.username,
    id: user.id,
    name: user.name,
    "e-mail": user.email && `${user.email}${user.emailVerified ? "" : " (not verified)"}`,
    roles: [...user.roles, ...user.resourceRoles].join(" ") || undefined,
    "external id": user.externalId,
    added: readableTime(user.createdAt),
    disabled: user.disabledAt === undefined ? undefined : readableTime(user.disabledAt),
  };
}
