import { insertEvent } from "../audit/audit.sql.ts";
import type { Clock } from "../primitives/clock.ts";
import { type Id, idToBytes, newId } from "../primitives/id.ts";
import { addressBlock } from "../rate-limits/address.ts";
import type { RateLimits } from "../rate-limits/rate-limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import { insertGrant, lockRoleChanges } from "../roles/roles.sql.ts";
import type { Database } from "../storage/database.ts";
import type { MailDoor } from "./mailing/queued.ts";
import { verificationOfNew } from "./mailing/registering.ts";
import { checkEmail, checkName, checkRoles, checkUsername, emailKey, usernameKey } from "./names.ts";
import type { NewPasswords } from "./new-passwords.ts";
import type { Passwords } from "./password-hashing.ts";
import { type By, type InvalidField, invalid, type User, userFromRow } from "./user.ts";
import {
  insertUser,
  type NewUserRow,
  putPassword,
  selectUserByKey,
  type UserRow,
  userExists,
} from "./users.sql.ts";

export interface NewUser {
  readonly username: string;
  readonly email?: string | undefined;
  readonly emailVerified?: boolean | undefined;
  readonly name?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  /** Without password and hash there is nothing to sign in with yet. */
  readonly password?: string | undefined;
  /** Instead of a password: a hash from another system, see `recogniseHash`. */
  readonly passwordHash?: string | undefined;
}

export type UserAdded =
  | { readonly outcome: "added"; readonly user: User }
  | { readonly outcome: "username_taken" }
  | { readonly outcome: "email_taken" }
  | { readonly outcome: "busy" }
  | InvalidField;

export interface Registration extends Pick<NewUser, "username" | "email" | "name"> {
  readonly password: string;
}

export type Registered =
  | { readonly outcome: "registered"; readonly user: User }
  /** The username or the address is taken; which of them is not told. */
  | { readonly outcome: "registration_refused" }
  | { readonly outcome: "too_many_attempts"; readonly retryAfterSeconds: number }
  | { readonly outcome: "busy" }
  | InvalidField;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly passwords: Pick<Passwords, "hash">;
  readonly newPasswords: NewPasswords;
  readonly rateLimits: Pick<RateLimits, "consume">;
  readonly mail: MailDoor;
}

interface CheckedUser extends Pick<NewUserRow, "username" | "username_key" | "email" | "email_key" | "name"> {
  readonly roles: readonly string[];
}

/** The two doors for new users: the operator's, and the public one. */
export function createAdding({ database, clock, passwords, newPasswords, rateLimits, mail }: Dependencies) {
  /** One transaction; of any number with one name at once, one is added. */
  async function insert(
    user: CheckedUser,
    more: {
      hash: string | undefined;
      verified: boolean;
      by: By;
      public: boolean;
      languages?: string | undefined;
    },
  ) {
    const at = clock.now();
    const id: Id = newId(at);
    const { roles, ...fields } = user;
    const row = {
      ...fields,
      id: idToBytes(id),
      email_verified_at: more.verified ? at : null,
      created_at: at,
    };
    const event = {
      type: more.public ? ("user.registered" as const) : ("user.added" as const),
      actor: more.by.actor,
      userId: id,
      ip: more.by.ip,
      detail: { username: user.username, ...(roles.length > 0 && { roles: roles.join(" ") }) },
    };
    const results = await database.batch([
      // A role that is being changed must not be given past the change.
      ...(roles.length === 0 ? [] : [lockRoleChanges()]),
      insertUser(row),
      ...(more.hash === undefined ? [] : [putPassword({ id: newId(at), userId: id, hash: more.hash, at })]),
      ...roles.map((role) => insertGrant({ userId: id, role, resource: "" })),
      insertEvent({ id: newId(at), at, event, onlyIf: userExists(id) }),
      ...(more.public
        ? verificationOfNew(mail, { id, email: row.email, at, languages: more.languages })
        : []),
    ]);
    if (results[roles.length === 0 ? 0 : 1]?.changes !== 1) return undefined;
    const given = { roles: roles.join(" ") || null, resource_roles: null };
    return userFromRow({ ...row, updated_at: at, disabled_at: null, external_id: null, ...given });
  }

  async function whichIsTaken(user: CheckedUser): Promise<"username_taken" | "email_taken"> {
    const { username_key: key } = user;
    const holder = await database.one<UserRow>(selectUserByKey({ field: "username", key }));
    // Neither, when the holder was removed meanwhile: then asking again helps, whichever we say.
    return holder !== undefined || user.email === null ? "username_taken" : "email_taken";
  }

  return {
    async add(input: NewUser, by: By): Promise<UserAdded> {
      const checked = await checkNewUser(input, newPasswords);
      if ("outcome" in checked) return checked;
      let hash = input.passwordHash;
      if (input.password !== undefined) {
        const breached = await newPasswords.checkBreaches(input.password);
        if (breached !== undefined) return breached;
        const hashed = await passwords.hash(input.password);
        if (hashed.outcome === "busy") return hashed;
        hash = hashed.hash;
      }
      const verified = input.emailVerified === true && checked.email !== null;
      const user = await insert(checked, { hash, verified, by, public: false });
      return user === undefined ? { outcome: await whichIsTaken(checked) } : { outcome: "added", user };
    },

    /**
     * Makes an account for a stranger. The password is hashed before anybody looks whether the name is free, and a
     * taken username and a taken address get one answer: it does not tell who has an account.
     */
    async register(
      input: Registration,
      from: { ip?: string | undefined; languages?: string | undefined },
    ): Promise<Registered> {
      const { username, email, name, password } = input;
      const checked = await checkNewUser({ username, email, name, password }, newPasswords);
      if ("outcome" in checked) return checked;
      const address = addressBlock(from.ip);
      if (address !== undefined) {
        const limit = await rateLimits.consume(rateRules.registration, address);
        if (!limit.allowed)
          return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
      }
      const breached = await newPasswords.checkBreaches(password);
      if (breached !== undefined) return breached;
      const hashed = await passwords.hash(password);
      if (hashed.outcome === "busy") return hashed;
      const by = { actor: "user", ip: from.ip } as const;
      const { languages } = from;
      const more = { hash: hashed.hash, verified: false, by, public: true, languages };
      const user = await insert(checked, more);
      if (user?.email !== undefined) mail.wake();
      return user === undefined ? { outcome: "registration_refused" } : { outcome: "registered", user };
    },
  };
}

async function checkNewUser(input: NewUser, newPasswords: NewPasswords): Promise<CheckedUser | InvalidField> {
  const username = checkUsername(input.username);
  if (!username.ok) return invalid("username", username.problem);
  const email = input.email === undefined ? undefined : checkEmail(input.email);
  if (email?.ok === false) return invalid("email", email.problem);
  const name = input.name === undefined ? undefined : checkName(input.name);
  if (name?.ok === false) return invalid("name", name.problem);
  const roles = checkRoles(input.roles ?? []);
  if (!roles.ok) return invalid("roles", roles.problem);
  const of = { username: username.value, email: email?.value };
  const secret = await newPasswords.check(input, of);
  if (secret !== undefined) return secret;
  return {
    username: username.value,
    username_key: usernameKey(username.value),
    email: email?.value ?? null,
    email_key: email === undefined ? null : emailKey(email.value),
    name: name?.value ?? null,
    roles: roles.value,
  };
}
