import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";
import type { MailDetail, MailKind } from "./mail.ts";

export interface NewMail {
  readonly id: Id;
  readonly kind: MailKind;
  readonly userId?: Id | undefined;
  readonly address?: string | undefined;
  readonly detail?: MailDetail | undefined;
  readonly languages?: string | undefined;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly expiresAt: number;
}

export interface MailRow {
  id: Uint8Array;
  kind: string;
  user_id: Uint8Array | null;
  address: string | null;
  detail: string;
  languages: string | null;
  created_at: number;
  tries: number;
  expires_at: number;
}

/** A mail as a node has seen it. `tries` counts up with every claim, so it also says whose the mail is. */
export interface Claim {
  readonly id: Uint8Array;
  readonly tries: number;
}

/**
 * Puts a mail into the outbox, in the transaction of the act that asks for it: it is sent if and only if that commits.
 * @param onlyIf a condition, when the act may turn out not to have happened
 */
export function insertMail(mail: NewMail, onlyIf: Sql = sql`1 = 1`): Sql {
  const userId = mail.userId === undefined ? null : idToBytes(mail.userId);
  return sql`
    INSERT INTO mails (id, kind, user_id, address, detail, languages, created_at, next_try_at, tries, expires_at)
    SELECT ${idToBytes(mail.id)}, ${mail.kind}, ${userId}, ${mail.address ?? null},
      ${JSON.stringify(mail.detail ?? {})}, ${mail.languages ?? null}, CAST(${mail.at} AS BIGINT),
      CAST(${mail.at} AS BIGINT), 0, CAST(${mail.expiresAt} AS BIGINT)
    WHERE ${onlyIf}`;
}

/** Those whose time has come, the longest waiting first. */
export function selectDueMails(now: number, rows: number): Sql {
  return sql`
    SELECT id, tries FROM mails WHERE done_at IS NULL AND next_try_at <= ${now}
    ORDER BY next_try_at, id LIMIT ${rows}`;
}

/** Takes a mail for this node until `until`. Of several nodes that have seen it, one changes the row. */
export function claimMail({ id, tries }: Claim, until: number): Sql {
  return sql`
    UPDATE mails SET next_try_at = ${until}, tries = tries + 1
    WHERE id = ${id} AND tries = ${tries} AND done_at IS NULL
    RETURNING id, kind, user_id, address, detail, languages, created_at, tries, expires_at`;
}

/** Only if it is still this node's: one that was too slow must not undo what another has done since. */
export function finishMail({ id, tries }: Claim, at: number): Sql {
  return sql`UPDATE mails SET done_at = ${at} WHERE id = ${id} AND tries = ${tries} AND done_at IS NULL`;
}

export function postponeMail({ id, tries }: Claim, nextTryAt: number): Sql {
  return sql`
    UPDATE mails SET next_try_at = ${nextTryAt} WHERE id = ${id} AND tries = ${tries} AND done_at IS NULL`;
}

/** Whether the claim was the one that finished the mail then: the condition for what belongs to it. */
export function isFinishedBy({ id, tries }: Claim, at: number): Sql {
  return sql`EXISTS (SELECT 1 FROM mails WHERE id = ${id} AND tries = ${tries} AND done_at = ${at})`;
}

/** Rows that are done, and rows that nobody sends any more because mail is off. A slice at a time. */
export function deletePastMails(before: number, rows: number): Sql {
  return sql`
    DELETE FROM mails WHERE id IN (
      SELECT id FROM mails WHERE done_at < ${before} OR expires_at < ${before} LIMIT ${rows})`;
}
