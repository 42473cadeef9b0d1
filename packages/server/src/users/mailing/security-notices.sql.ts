import sql, { join, type Sql } from "sql-template-tag";
import type { AuditEventType } from "../../audit/events.ts";
import type { MailDetail, NoticeLetter } from "../../mail/mail.ts";
import { type Id, idToBytes } from "../../primitives/id.ts";

/** An event that its owner can be told of: the address was verified by then, and the account is not disabled. */
export interface TellableRow {
  id: Uint8Array;
  at: number;
  type: string;
  user_id: Uint8Array;
  session_id: Uint8Array | null;
  actor: string;
  ip: string | null;
  detail: string;
  user_created_at: number;
}

/** Until when the log has been read for notices; nothing where the row is there already. */
export function insertPosition(until: number): Sql {
  return sql`INSERT INTO mail_position (id, noticed_until) VALUES (1, ${until}) ON CONFLICT (id) DO NOTHING`;
}

export const selectPosition = (): Sql => sql`SELECT noticed_until FROM mail_position WHERE id = 1`;

/** Never back: another node may be further. */
export function movePosition(until: number): Sql {
  return sql`UPDATE mail_position SET noticed_until = ${until} WHERE id = 1 AND noticed_until < ${until}`;
}

/** Events after `after` that nobody has been told of yet, the oldest first. */
export function selectTellable({
  after,
  types,
  rows,
}: {
  after: Id;
  types: readonly AuditEventType[];
  rows: number;
}): Sql {
  return sql`
    SELECT e.id, e.at, e.type, e.user_id, e.session_id, e.actor, e.ip, e.detail, u.created_at AS user_created_at
    FROM audit_events e JOIN users u ON u.id = e.user_id
    WHERE e.id > ${idToBytes(after)} AND e.type IN (${join([...types])})
      AND u.disabled_at IS NULL AND u.email_verified_at IS NOT NULL AND u.email_verified_at <= e.at
      AND NOT EXISTS (SELECT 1 FROM mails m WHERE m.event_id = e.id)
    ORDER BY e.id LIMIT ${rows}`;
}

/** How many events of these types a user has had between two ids. */
export function countEvents(of: { userId: Id; types: readonly AuditEventType[]; from: Id; upTo: Id }): Sql {
  return sql`
    SELECT count(*) AS events FROM audit_events
    WHERE user_id = ${idToBytes(of.userId)} AND id >= ${idToBytes(of.from)} AND id < ${idToBytes(of.upTo)}
      AND type IN (${join([...of.types])})`;
}

export interface NewNotice {
  readonly id: Id;
  readonly kind: NoticeLetter;
  readonly userId: Id;
  readonly eventId: Uint8Array;
  readonly detail: MailDetail;
  readonly at: number;
  readonly expiresAt: number;
}

/**
 * Queues a notice to the address that the user has now, unless this event was told already, by whichever node, or
 * there were enough of the kind since `since`.
 */
export function insertNotice(notice: NewNotice, { since, max }: { since: number; max: number }): Sql {
  const { id, kind, userId, eventId, detail, at, expiresAt } = notice;
  return sql`
    INSERT INTO mails (id, kind, user_id, address, detail, event_id, created_at, next_try_at, tries, expires_at)
    SELECT ${idToBytes(id)}, ${kind}, u.id, u.email, ${JSON.stringify(detail)}, ${eventId}, CAST(${at} AS BIGINT),
      CAST(${at} AS BIGINT), 0, CAST(${expiresAt} AS BIGINT)
    FROM users u
    WHERE u.id = ${idToBytes(userId)} AND u.disabled_at IS NULL AND u.email_verified_at IS NOT NULL
      AND (SELECT count(*) FROM mails m WHERE m.user_id = u.id AND m.kind = ${kind} AND m.event_id IS NOT NULL
        AND m.created_at > ${since}) < CAST(${max} AS BIGINT)
    ON CONFLICT (event_id) DO NOTHING`;
}
