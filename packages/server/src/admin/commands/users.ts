import type { Id } from "../../primitives/id.ts";
import type { Session } from "../../sessions/session.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { UserAdded as Added, NewUser } from "../../users/adding.ts";
import type { PasswordSet, RolesSet, UserUpdate, UserUpdated } from "../../users/changing.ts";
import type { By, User } from "../../users/user.ts";
import type { Users } from "../../users/users.ts";
import { type Page, readRows } from "./pages.ts";
import { randomPassword } from "./random-password.ts";

/** What the operator does with users, by whichever door: terminal, API, console. */

export interface UserRooms {
  readonly users: Users;
  readonly sessions: Sessions;
}

export interface UnknownUser {
  readonly outcome: "unknown_user";
}

export const operator: By = { actor: "operator" };
const unknownUser: UnknownUser = { outcome: "unknown_user" };

export type UserAdded =
  | Exclude<Added, { outcome: "added" }>
  /** `password` is there when none was given and one was made: it is shown this once. */
  | { readonly outcome: "added"; readonly user: User; readonly password: string | undefined };

/** Adds a user; with a random password when neither a password nor a hash of one is given. */
export async function addUser({ users }: UserRooms, input: NewUser, by = operator): Promise<UserAdded> {
  const made =
    input.password === undefined && input.passwordHash === undefined ? randomPassword() : undefined;
  const added = await users.add(made === undefined ? input : { ...input, password: made }, by);
  return added.outcome === "added" ? { ...added, password: made } : added;
}

/** Users, the newest first; `next` is where the page after begins. */
export async function listUsers(
  { users }: UserRooms,
  page: Page = {},
): Promise<{ users: User[]; next: Id | undefined }> {
  const { rows, next } = await readRows(page, (before) => users.list(before === undefined ? {} : { before }));
  return { users: rows, next };
}

export type UserShown =
  | { readonly outcome: "found"; readonly user: User; readonly sessions: readonly Session[] }
  | UnknownUser;

/** A user by id, username or e-mail address, with the newest sessions that are alive. */
export async function showUser({ users, sessions }: UserRooms, name: string): Promise<UserShown> {
  const user = await users.find(name);
  if (user === undefined) return unknownUser;
  return { outcome: "found", user, sessions: await sessions.list({ userId: user.id, alive: true }) };
}

export type UserSwitched = { readonly outcome: "done" | "unchanged"; readonly user: User } | UnknownUser;

/** Ends the user's sessions; from then on nobody signs in as this user. */
export const disableUser = (rooms: UserRooms, name: string, by = operator) =>
  onUser(rooms, name, (user) => rooms.users.disable(user.id, by));

export const enableUser = (rooms: UserRooms, name: string, by = operator) =>
  onUser(rooms, name, (user) => rooms.users.enable(user.id, by));

/** Ends the user's sessions and deletes the user. The audit log keeps the id. */
export const removeUser = (rooms: UserRooms, name: string, by = operator) =>
  onUser(rooms, name, (user) => rooms.users.remove(user.id, by));

async function onUser(
  { users }: UserRooms,
  name: string,
  act: (user: User) => Promise<"done" | "unchanged">,
): Promise<UserSwitched> {
  const user = await users.find(name);
  return user === undefined ? unknownUser : { outcome: await act(user), user };
}

/** Changes what is known of a user; what is left out stays as it is. */
export async function updateUser(
  { users }: UserRooms,
  { name, update }: { name: string; update: UserUpdate },
  by = operator,
): Promise<UserUpdated> {
  const user = await users.find(name);
  return user === undefined ? unknownUser : users.update(user.id, update, by);
}

export type UserPasswordSet =
  | Exclude<PasswordSet, { outcome: "changed" }>
  | { readonly outcome: "changed"; readonly user: User; readonly password: string | undefined };

/** Sets a password, a random one when none is given. Ends the user's sessions unless they are to be kept. */
export async function setUserPassword(
  { users }: UserRooms,
  change: { name: string; password?: string | undefined; keepSessions?: boolean },
  by = operator,
): Promise<UserPasswordSet> {
  const user = await users.find(change.name);
  if (user === undefined) return unknownUser;
  const made = change.password === undefined ? randomPassword() : undefined;
  const input = { password: change.password ?? made, endSessions: change.keepSessions !== true };
  const set = await users.setPassword(user.id, input, by);
  return set.outcome === "changed" ? { outcome: "changed", user, password: made } : set;
}

export type UserRolesSet =
  | Exclude<RolesSet, { outcome: "changed" | "unknown_user" }>
  | { readonly outcome: "changed"; readonly user: User; readonly roles: readonly string[] }
  | UnknownUser;

/** The roles in place of those before. */
export async function setUserRoles(
  { users }: UserRooms,
  change: { name: string; roles: readonly string[] },
  by = operator,
): Promise<UserRolesSet> {
  const user = await users.find(change.name);
  if (user === undefined) return unknownUser;
  const set = await users.setRoles(user.id, change.roles, by);
  return set.outcome === "changed" ? { ...set, user } : set;
}
