import sql, { join, type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";

export interface UserRow {
  id: Uint8Array;
  username: string;
  email: string | null;
  email_verified_at: number | null;
  name: string | null;
  created_at: number;
  updated_at: number;
  disabled_at: number | null;
  external_id: string | null;
  /** Separated by spaces, in order; null when there are none. */
  roles: string | null;
  /** The same of those for one resource, as role@resource. */
  resource_roles: string | null;
}

export interface NewUserRow
  extends Omit<UserRow, "roles" | "resource_roles" | "updated_at" | "disabled_at" | "external_id"> {
  username_key: string;
  email_key: string | null;
}

const columns = sql`u.id, u.username, u.email, u.email_verified_at, u.name, u.created_at, u.updated_at, u.disabled_at,
  u.external_id,
  (SELECT string_agg(r.role, ' ' ORDER BY r.role) FROM user_roles r
    WHERE r.user_id = u.id AND r.resource = '') AS roles,
  (SELECT string_agg(r.role || '@' || r.resource, ' ' ORDER BY r.role, r.resource) FROM user_roles r
    WHERE r.user_id = u.id AND r.resource <> '') AS resource_roles`;

/** Who wins of two with one username or one address: the first. The other changes nothing. */
export function insertUser(row: NewUserRow): Sql {
  return sql`
    INSERT INTO users (id, username, username_key, email, email_key, email_verified_at, name, created_at, updated_at)
    VALUES (${row.id}, ${row.username}, ${row.username_key}, ${row.email}, ${row.email_key}, ${row.email_verified_at},
      ${row.name}, ${row.created_at}, ${row.created_at})
    ON CONFLICT DO NOTHING`;
}

export const userExists = (id: Id): Sql => sql`EXISTS (SELECT 1 FROM users WHERE id = ${idToBytes(id)})`;

export const selectUser = (id: Id): Sql => sql`SELECT ${columns} FROM users u WHERE u.id = ${idToBytes(id)}`;

export interface UserKey {
  readonly field: "username" | "email";
  readonly key: string;
}

const byKey = ({ field, key }: UserKey): Sql =>
  field === "email" ? sql`u.email_key = ${key}` : sql`u.username_key = ${key}`;

export const selectUserByKey = (key: UserKey): Sql => sql`SELECT ${columns} FROM users u WHERE ${byKey(key)}`;

/** The user and the hash of the password, null without one. */
export function selectUserToSignIn(key: UserKey): Sql {
  return sql`
    SELECT ${columns}, c.secret AS password_hash, c.changed_at AS password_changed_at FROM users u
    LEFT JOIN credentials c ON c.user_id = u.id AND c.kind = 'password' WHERE ${byKey(key)}`;
}

/** The same, for one who is signed in. */
export function selectUserWithPassword(id: Id): Sql {
  return sql`
    SELECT ${columns}, c.secret AS password_hash, c.changed_at AS password_changed_at FROM users u
    LEFT JOIN credentials c ON c.user_id = u.id AND c.kind = 'password' WHERE u.id = ${idToBytes(id)}`;
}

/** The newest first. */
export function selectUsers({ before, rows }: { before: Id | undefined; rows: number }): Sql {
  const older = before === undefined ? sql`1 = 1` : sql`u.id < ${idToBytes(before)}`;
  return sql`SELECT ${columns} FROM users u WHERE ${older} ORDER BY u.id DESC LIMIT ${rows}`;
}

export interface UserChanges {
  username?: { value: string; key: string };
  email?: { value: string | null; key: string | null };
  emailVerified?: boolean;
  name?: string | null;
  disabledAt?: number | null;
}

/** Changes a user, marks the row with the time of the act, and holds it until the end of the transaction. */
export function updateUser(change: { id: Id; at: number; changes: UserChanges; onlyIf?: Sql }): Sql {
  const { id, at, changes, onlyIf = sql`1 = 1` } = change;
  const { username, email, emailVerified, name, disabledAt } = changes;
  const set = [sql`updated_at = ${at}`];
  if (username !== undefined) set.push(sql`username = ${username.value}, username_key = ${username.key}`);
  if (email !== undefined) set.push(sql`email = ${email.value}, email_key = ${email.key}`);
  if (emailVerified !== undefined || email !== undefined) set.push(verification(changes, at));
  if (name !== undefined) set.push(sql`name = ${name}`);
  if (disabledAt !== undefined) set.push(sql`disabled_at = ${disabledAt}`);
  return sql`UPDATE users SET ${join(set)} WHERE id = ${idToBytes(id)} AND ${onlyIf}`;
}

/** On the right of the equals sign stands the row before the change. */
function verification({ email, emailVerified }: UserChanges, at: number): Sql {
  if (emailVerified === false || email?.key === null) return sql`email_verified_at = NULL`;
  if (emailVerified === undefined) {
    // Only written in another case: the mailbox is the same.
    return sql`email_verified_at = CASE WHEN email_key = ${email?.key} THEN email_verified_at END`;
  }
  if (email !== undefined) return sql`email_verified_at = ${at}`;
  return sql`email_verified_at = CASE WHEN email_key IS NOT NULL THEN CAST(${at} AS BIGINT) END`;
}

export const isDisabled = sql`disabled_at IS NOT NULL`;
export const isEnabled = sql`disabled_at IS NULL`;

/** Credentials and roles go with the row. */
export const deleteUser = (id: Id): Sql => sql`DELETE FROM users WHERE id = ${idToBytes(id)}`;

/**
 * The user's password, new or in place of the one before. Only if the user is there. It is later than the one before on
 * any clock: the time is what tells one password from another, for who has proven the old one.
 */
export function putPassword(password: {
  id: Id;
  userId: Id;
  hash: string;
  at: number;
  onlyIf?: Sql | undefined;
}): Sql {
  const { id, userId, hash, at, onlyIf = userExists(userId) } = password;
  return sql`
    INSERT INTO credentials (id, user_id, kind, secret, created_at, changed_at)
    SELECT ${idToBytes(id)}, ${idToBytes(userId)}, 'password', ${hash}, ${at}, ${at} WHERE ${onlyIf}
    ON CONFLICT (user_id) WHERE kind = 'password'
    DO UPDATE SET secret = excluded.secret, changed_at = CASE
      WHEN credentials.changed_at < excluded.changed_at THEN excluded.changed_at ELSE credentials.changed_at + 1 END`;
}

/**
 * A better hash of the same password, only if the hash is still the one that was verified: a password set meanwhile
 * must not be undone by the sign-in that raced with it.
 */
export function upgradeHash(upgrade: { userId: Id; from: string; to: string }): Sql {
  return sql`
    UPDATE credentials SET secret = ${upgrade.to}
    WHERE user_id = ${idToBytes(upgrade.userId)} AND kind = 'password' AND secret = ${upgrade.from}`;
}

/** Whether the password is still the one set then. A raised hash is of the same password and changes nothing here. */
export function passwordUnchanged(userId: Id, changedAt: number): Sql {
  return sql`EXISTS (
    SELECT 1 FROM credentials
    WHERE user_id = ${idToBytes(userId)} AND kind = 'password' AND changed_at = ${changedAt})`;
}

/** Whether the user is there, without a password. Asked while the user's row is held. */
export const hasNoPassword = (userId: Id): Sql => sql`${userExists(userId)} AND NOT EXISTS (
  SELECT 1 FROM credentials WHERE user_id = ${idToBytes(userId)} AND kind = 'password')`;

export function hasHash(userId: Id, hash: string): Sql {
  return sql`EXISTS (
    SELECT 1 FROM credentials WHERE user_id = ${idToBytes(userId)} AND kind = 'password' AND secret = ${hash})`;
}
