import { raw } from "sql-template-tag";
import type { Database, Reader } from "../storage/database.ts";
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

/** As a damaged disk or a stranger's hand would. */
export const spoilFirstMail = (database: Database) =>
  database.batch([
    raw("UPDATE mails SET detail = '{' WHERE id = (SELECT id FROM mails ORDER BY id LIMIT 1)"),
  ]);
