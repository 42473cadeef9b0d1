import sql, { type Sql } from "sql-template-tag";
import type { CodeLetter } from "../../mail/mail.ts";
import { type Id, idToBytes } from "../../primitives/id.ts";

export interface MailCodeRow {
  link_digest: Uint8Array;
  purpose: string;
  user_id: Uint8Array;
  email: string;
  email_key: string;
  code_digest: Uint8Array | null;
}

const passwordChangedAt = (userId: Sql): Sql =>
  sql`COALESCE((SELECT MAX(p.changed_at) FROM credentials p WHERE p.user_id = ${userId} AND p.kind = 'password'), 0)`;

/** What must be so of a user for a letter to go out, and for what it carries to be good. */
function isMeant(purpose: CodeLetter, emailKey: Sql): Sql {
  switch (purpose) {
    case "verify_address":
      return sql`u.disabled_at IS NULL AND u.email_key = ${emailKey} AND u.email_verified_at IS NULL`;
    case "change_address":
      return sql`u.disabled_at IS NULL`;
    // An address that nobody has confirmed says nothing about whose the account is.
    case "sign_in":
    case "reset_password":
      return sql`u.disabled_at IS NULL AND u.email_key = ${emailKey} AND u.email_verified_at IS NOT NULL`;
  }
}

/**
 * What a letter carries, in place of what an earlier sending of the same mail carried. Only if the user is still who is
 * meant, and has not changed the password since the mail was asked for.
 */
export function putMailCode(code: {
  mailId: Id;
  digest: Uint8Array;
  purpose: CodeLetter;
  userId: Id;
  email: string;
  emailKey: string;
  codeDigest: Uint8Array | null;
  askerDigest: Uint8Array | null;
  askedAt: number;
  at: number;
  expiresAt: number;
}): Sql {
  const changedAt = passwordChangedAt(sql`u.id`);
  const unchanged =
    code.purpose === "verify_address" ? sql`1 = 1` : sql`${changedAt} <= CAST(${code.askedAt} AS BIGINT)`;
  return sql`
    INSERT INTO mail_codes (mail_id, link_digest, purpose, user_id, email, email_key, code_digest, asker_digest,
      password_changed_at, created_at, expires_at)
    SELECT ${idToBytes(code.mailId)}, ${code.digest}, ${code.purpose}, u.id, ${code.email}, ${code.emailKey},
      ${code.codeDigest}, ${code.askerDigest}, ${changedAt}, ${code.at}, ${code.expiresAt}
    FROM users u WHERE u.id = ${idToBytes(code.userId)} AND ${isMeant(code.purpose, sql`${code.emailKey}`)}
      AND ${unchanged}
    ON CONFLICT (mail_id) DO UPDATE SET link_digest = excluded.link_digest, code_digest = excluded.code_digest,
      asker_digest = excluded.asker_digest, password_changed_at = excluded.password_changed_at,
      created_at = excluded.created_at, expires_at = excluded.expires_at`;
}

export const mailCodeExists = (digest: Uint8Array): Sql =>
  sql`EXISTS (SELECT 1 FROM mail_codes WHERE link_digest = ${digest})`;

/** Of the letters that one asker has been sent, the digits of the newest count; the links of the others stay good. */
export const retireDigits = (askerDigest: Uint8Array, but: Uint8Array): Sql => sql`
  UPDATE mail_codes SET code_digest = NULL, asker_digest = NULL
  WHERE asker_digest = ${askerDigest} AND link_digest <> ${but} AND ${mailCodeExists(but)}`;

export interface MailCodeLife {
  readonly purpose: CodeLetter;
  readonly now: number;
}

/**
 * Not spent, not too old, of a user and an address that are as they were. A new password ends all links but those that
 * confirm an address: it may be set because somebody else could ask for them.
 */
function alive({ purpose, now }: MailCodeLife): Sql {
  const unchanged =
    purpose === "verify_address"
      ? sql`1 = 1`
      : sql`c.password_changed_at = ${passwordChangedAt(sql`c.user_id`)}`;
  return sql`c.purpose = ${purpose} AND c.expires_at > ${now} AND ${unchanged}
    AND EXISTS (SELECT 1 FROM users u WHERE u.id = c.user_id AND ${isMeant(purpose, sql`c.email_key`)})`;
}

const columns = sql`c.link_digest, c.purpose, c.user_id, c.email, c.email_key, c.code_digest`;

export const selectMailCode = (digest: Uint8Array, life: MailCodeLife): Sql =>
  sql`SELECT ${columns} FROM mail_codes c WHERE c.link_digest = ${digest} AND ${alive(life)}`;

export const selectMailCodeOfAsker = (askerDigest: Uint8Array, life: MailCodeLife): Sql =>
  sql`SELECT ${columns} FROM mail_codes c WHERE c.asker_digest = ${askerDigest} AND ${alive(life)}`;

export const mailCodeIsAlive = (digest: Uint8Array, life: MailCodeLife): Sql =>
  sql`EXISTS (SELECT 1 FROM mail_codes c WHERE c.link_digest = ${digest} AND ${alive(life)})`;

/** Who wins of any number at once: the one whose statement has deleted the row. The user's row is held meanwhile. */
export const spendMailCode = (digest: Uint8Array, life: MailCodeLife): Sql =>
  sql`DELETE FROM mail_codes AS c WHERE c.link_digest = ${digest} AND ${alive(life)}`;

export const deleteMailCode = (digest: Uint8Array): Sql =>
  sql`DELETE FROM mail_codes WHERE link_digest = ${digest}`;

/** Those of one purpose, or all: when the address changes, what went to the old one opens nothing any more. */
export function deleteMailCodesOf(userId: Id, purpose?: CodeLetter): Sql {
  const which = purpose === undefined ? sql`1 = 1` : sql`purpose = ${purpose}`;
  return sql`DELETE FROM mail_codes WHERE user_id = ${idToBytes(userId)} AND ${which}`;
}

/** Who has written an address and never confirmed it, unless that is the one who has just done so. */
export const selectSquatter = (emailKey: string, but: Id): Sql => sql`
  SELECT id FROM users WHERE email_key = ${emailKey} AND email_verified_at IS NULL AND id <> ${idToBytes(but)}`;

export const releaseAddress = (
  id: Uint8Array,
  { emailKey, at }: { emailKey: string; at: number },
): Sql => sql`
  UPDATE users SET email = NULL, email_key = NULL, updated_at = ${at}
  WHERE id = ${id} AND email_key = ${emailKey} AND email_verified_at IS NULL`;

export const deleteMailCodesBefore = (end: number, rows: number): Sql => sql`
  DELETE FROM mail_codes WHERE mail_id IN
    (SELECT mail_id FROM mail_codes WHERE expires_at < ${end} LIMIT ${rows})`;
