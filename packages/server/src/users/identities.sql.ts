import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";
import { canLoseIdentity } from "./ways-in.sql.ts";

/** Somebody at a provider: OpenID Connect Core §2, "iss" and "sub" together name a person for ever. */
export interface IdentityKey {
  readonly issuer: string;
  readonly subject: string;
}

export interface IdentityRow {
  id: Uint8Array;
  provider_id: string;
  label: string | null;
  created_at: number;
}

export interface NewIdentityRow extends IdentityKey {
  readonly id: Id;
  readonly userId: Id;
  readonly providerId: string;
  readonly label: string | undefined;
  readonly at: number;
}

const isKey = ({ issuer, subject }: IdentityKey): Sql => sql`issuer = ${issuer} AND subject = ${subject}`;

function insertSelect(identity: NewIdentityRow, onlyIf: Sql): Sql {
  const { id, issuer, subject, userId, providerId, label, at } = identity;
  return sql`
    INSERT INTO identities (id, issuer, subject, user_id, provider_id, label, created_at)
    SELECT ${idToBytes(id)}, ${issuer}, ${subject}, ${idToBytes(userId)}, ${providerId}, ${label ?? null}, ${at}
    WHERE ${onlyIf}`;
}

/** Breaks the transaction when somebody has that identity: the user who was made for it must not stay without. */
export const insertIdentityOfNew = (identity: NewIdentityRow, onlyIf: Sql): Sql =>
  insertSelect(identity, onlyIf);

/** Changes nothing when somebody has that identity, or the user has as many as there may be. */
export function insertIdentity(identity: NewIdentityRow, max: number): Sql {
  const room = sql`(SELECT count(*) FROM identities WHERE user_id = ${idToBytes(identity.userId)}) < ${max}`;
  return sql`${insertSelect(identity, room)} ON CONFLICT DO NOTHING`;
}

export const selectHolder = (key: IdentityKey): Sql =>
  sql`SELECT user_id FROM identities WHERE ${isKey(key)}`;

/** Whether the identity is this user's, still. */
export const isHeldBy = (key: IdentityKey, userId: Id): Sql =>
  sql`EXISTS (SELECT 1 FROM identities WHERE ${isKey(key)} AND user_id = ${idToBytes(userId)})`;

/** The oldest first. */
export const selectIdentities = (userId: Id, rows: number): Sql => sql`
  SELECT id, provider_id, label, created_at FROM identities
  WHERE user_id = ${idToBytes(userId)} ORDER BY created_at, id LIMIT ${rows}`;

/**
 * Whether a user has this identity and could sign in without it. Asked while the user's row is held, so that of two
 * removals at once one sees what the other has left.
 */
export function canLose(id: Id, userId: Id): Sql {
  const [identity, user] = [idToBytes(id), idToBytes(userId)];
  return sql`EXISTS (SELECT 1 FROM identities WHERE id = ${identity} AND user_id = ${user})
    AND ${canLoseIdentity(user, identity)}`;
}

export const deleteIdentity = (id: Id, onlyIf: Sql): Sql =>
  sql`DELETE FROM identities WHERE id = ${idToBytes(id)} AND ${onlyIf}`;
