import { raw } from "sql-template-tag";
import type { Reader } from "../storage/database.ts";
import type { MailKind } from "./mail.ts";

interface Row {
  kind: MailKind;
  tries: number;
  next_try_at: number;
  done_at: number | null;
}

/** What the outbox holds, in the order of its making. */
export const mailRows = (database: Reader) =>
  database.all<Row>(raw("SELECT kind, tries, next_try_at, done_at FROM mails ORDER BY id"));

export const failedMailEvents = (database: Reader) =>
  database.all(raw("SELECT id FROM audit_events WHERE type = 'mail.failed'"));
