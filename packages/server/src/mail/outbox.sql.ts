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
