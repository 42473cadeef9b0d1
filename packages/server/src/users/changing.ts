import type { Clock } from "../primitives/clock.ts";
import { type Id, isId, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Grants } from "../roles/grants.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Database } from "../storage/database.ts";
import { isUniqueViolation } from "../storage/statement-failed.ts";
import { actAndEnd, actOnUser, eventOf } from "./acts.ts";
import { deleteMailCodesOf } from "./mailing/mail-codes.sql.ts";
import { checkEmail, checkName, checkRoles, checkUsername, emailKey, usernameKey } from "./names.ts";
import type { NewPasswords } from "./new-passwords.ts";
import type { Passwords } from "./password-hashing.ts";
import { type By, type InvalidField, invalid, type User, userFromRow } from "./user.ts";
import {
  putPassword,
  selectUser,
  selectUserByKey,
  type UserChanges,
  type UserRow,
  updateUser,
} from "./users.sql.ts";

/** What is left out stays as it is; null takes it away. */
export interface UserUpdate {
  readonly username?: string | undefined;
  readonly email?: string | null | undefined;
  /** A changed address counts as unverified unless this says otherwise. */
  readonly emailVerified?: boolean | undefined;
  readonly name?: string | null | undefined;
}

interface UnknownUser {
  readonly outcome: "unknown_user";
}

export type UserUpdated =
  | { readonly outcome: "updated"; readonly user: User }
  | { readonly outcome: "username_taken" }
  | { readonly outcome: "email_taken" }
  | UnknownUser
  | InvalidField;

export type PasswordSet =
  | { readonly outcome: "changed" }
  | { readonly outcome: "busy" }
  | UnknownUser
  | InvalidField;
export type RolesSet =
  | { readonly outcome: "changed"; readonly roles: readonly string[] }
  | UnknownUser
  | InvalidField;

export interface NewPassword {
  readonly password?: string | undefined;
  readonly passwordHash?: string | undefined;
  /** Ends all of the user's sessions in the same transaction. */
  readonly endSessions: boolean;
}

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly passwords: Pick<Passwords, "hash">;
  readonly newPasswords: NewPasswords;
  readonly sessions: Pick<Sessions, "endAllOfUserStatements" | "announceEnded">;
  readonly grants: Pick<Grants, "setEverywhere">;
}

/** Changes of a user's record, password and roles. */
export function createChanging(dependencies: Dependencies) {
  const { database, clock, passwords, newPasswords, sessions, grants } = dependencies;

  async function whichIsTaken(id: Id, changes: UserChanges): Promise<"username_taken" | "email_taken"> {
    const { username } = changes;
    if (username === undefined) return "email_taken";
    const holder = await database.one<UserRow>(selectUserByKey({ field: "username", key: username.key }));
    return changes.email === undefined || (holder && userFromRow(holder).id !== id)
      ? "username_taken"
      : "email_taken";
  }

  return {
    async update(id: string, input: UserUpdate, by: By): Promise<UserUpdated> {
      if (!isId(id)) return { outcome: "unknown_user" };
      const at = clock.now();
      const changes = checkUpdate(input);
      if ("outcome" in changes) return changes;
      const detail = { fields: Object.keys(changes).join(" ") };
      try {
        const isDone = await actOnUser(database, {
          userId: id,
          act: updateUser({ id, at, changes }),
          follows: [
            eventOf({ type: "user.updated", userId: id, at, detail }, by),
            // What went to the address of before opens nothing any more.
            ...(changes.email === undefined ? [] : [deleteMailCodesOf(id)]),
          ],
        });
        if (!isDone) return { outcome: "unknown_user" };
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        return { outcome: await whichIsTaken(id, changes) };
      }
      const row = await database.one<UserRow>(selectUser(id));
      return row === undefined ? { outcome: "unknown_user" } : { outcome: "updated", user: userFromRow(row) };
    },

    async setPassword(id: string, input: NewPassword, by: By): Promise<PasswordSet> {
      const row = isId(id) ? await database.one<UserRow>(selectUser(id)) : undefined;
      const user = row && userFromRow(row);
      if (user === undefined) return { outcome: "unknown_user" };
      const wrong = await newPasswords.check(input, user);
      if (wrong !== undefined) return wrong;
      let hash = input.passwordHash;
      if (input.password !== undefined) {
        const breached = await newPasswords.checkBreaches(input.password);
        if (breached !== undefined) return breached;
        const hashed = await passwords.hash(input.password);
        if (hashed.outcome === "busy") return hashed;
        hash = hashed.hash;
      }
      if (hash === undefined) return invalid("password", "Give a password, or a hash of one.");
      const at = clock.now();
      const isDone = await actAndEnd(dependencies, {
        userId: id,
        act: updateUser({ id, at, changes: {} }),
        follows: [
          putPassword({ id: newId(at), userId: id, hash, at }),
          eventOf({ type: "password.changed", userId: id, at }, by),
        ],
        ending: input.endSessions
          ? sessions.endAllOfUserStatements(id, { ...by, reason: "password_changed" })
          : [],
      });
      return { outcome: isDone ? "changed" : "unknown_user" };
    },

    /** The roles everywhere in place of those before. Tokens that are out are to be exchanged, within a second. */
    async setRoles(id: string, roles: readonly string[], by: By): Promise<RolesSet> {
      const checked = checkRoles(roles);
      if (!checked.ok) return invalid("roles", checked.problem);
      if (!isId(id)) return { outcome: "unknown_user" };
      const set = await grants.setEverywhere(id, checked.value, by);
      switch (set.outcome) {
        case "changed":
          return { outcome: "changed", roles: checked.value };
        case "unchanged":
          return (await database.one<UserRow>(selectUser(id))) === undefined
            ? { outcome: "unknown_user" }
            : { outcome: "changed", roles: checked.value };
        case "unknown_user":
          return { outcome: "unknown_user" };
        case "too_many_roles":
          return invalid(
            "roles",
            `A user has at most ${limits.rolesPerUserMax} roles, all resources together.`,
          );
      }
    },
  };
}

function checkUpdate(input: UserUpdate): UserChanges | InvalidField {
  const changes: UserChanges = {};
  if (input.username !== undefined) {
    const checked = checkUsername(input.username);
    if (!checked.ok) return invalid("username", checked.problem);
    changes.username = { value: checked.value, key: usernameKey(checked.value) };
  }
  if (input.email === null) changes.email = { value: null, key: null };
  else if (input.email !== undefined) {
    const checked = checkEmail(input.email);
    if (!checked.ok) return invalid("email", checked.problem);
    changes.email = { value: checked.value, key: emailKey(checked.value) };
  }
  if (input.emailVerified !== undefined) changes.emailVerified = input.emailVerified;
  if (input.name === null) changes.name = null;
  else if (input.name !== undefined) {
    const checked = checkName(input.name);
    if (!checked.ok) return invalid("name", checked.problem);
    changes.name = checked.value;
  }
  return changes;
}
