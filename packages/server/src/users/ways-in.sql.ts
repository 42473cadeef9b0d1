import sql, { type Sql } from "sql-template-tag";

/*
 * What somebody can begin to sign in with. A link or digits by mail are none: the address may be gone, and whoever
 * has it would have the account. An app or a recovery code is none either: they come second.
 */

/** A user's id as bytes, or a column that has it. */
type User = Uint8Array | Sql;

const hasPassword = (user: User): Sql =>
  sql`EXISTS (SELECT 1 FROM credentials w WHERE w.user_id = ${user} AND w.kind = 'password')`;

const hasPasskey = (user: User, but: Sql = sql`1 = 1`): Sql =>
  sql`EXISTS (SELECT 1 FROM passkeys w WHERE w.user_id = ${user} AND ${but})`;

const hasIdentity = (user: User, but: Sql = sql`1 = 1`): Sql => sql`EXISTS (
  SELECT 1 FROM identities w JOIN providers p ON p.id = w.provider_id AND p.disabled_at IS NULL
  WHERE w.user_id = ${user} AND ${but})`;

/** Whether there is a way in besides one passkey. */
export const canLosePasskey = (user: User, passkey: Uint8Array): Sql =>
  sql`(${hasPassword(user)} OR ${hasPasskey(user, sql`w.id <> ${passkey}`)} OR ${hasIdentity(user)})`;

/** Whether there is a way in besides one identity. */
export const canLoseIdentity = (user: User, identity: Uint8Array): Sql =>
  sql`(${hasPassword(user)} OR ${hasPasskey(user)} OR ${hasIdentity(user, sql`w.id <> ${identity}`)})`;

/** Whether there is a way in besides a provider. */
export const canLoseProvider = (user: User, provider: Sql): Sql =>
  sql`(${hasPassword(user)} OR ${hasPasskey(user)} OR ${hasIdentity(user, sql`w.provider_id <> ${provider}`)})`;

/** Whether a passkey is a way in, and nothing else is. */
export const passkeyIsOnlyWayIn = (user: User): Sql =>
  sql`(${hasPasskey(user)} AND NOT ${hasPassword(user)} AND NOT ${hasIdentity(user)})`;
