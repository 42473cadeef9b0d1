import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../../primitives/id.ts";

export interface TicketRow {
  user_id: Uint8Array;
  purpose: string;
  /** JSON. */
  arrival: string;
  tries: number;
  expires_at: number;
}

const passwordChangedAt = (userId: Sql): Sql =>
  sql`COALESCE((SELECT MAX(c.changed_at) FROM credentials c WHERE c.user_id = ${userId} AND c.kind = 'password'), 0)`;

/** Only for a user who is (still) there and not disabled, and only if what was proven still holds. */
export function insertTicket(ticket: {
  digest: Uint8Array;
  userId: Id;
  purpose: string;
  arrival: string;
  expiresAt: number;
  onlyIf: Sql;
}): Sql {
  const userId = idToBytes(ticket.userId);
  return sql`
    INSERT INTO sign_in_tickets (digest, user_id, purpose, arrival, password_changed_at, tries, expires_at)
    SELECT ${ticket.digest}, u.id, ${ticket.purpose}, ${ticket.arrival}, ${passwordChangedAt(sql`u.id`)}, 0, ${ticket.expiresAt}
    FROM users u WHERE u.id = ${userId} AND u.disabled_at IS NULL AND ${ticket.onlyIf}`;
}

export interface TicketLife {
  readonly digest: Uint8Array;
  readonly now: number;
  readonly triesMax: number;
}

/** A ticket that is not spent, not too old, not tried too often, and whose password has not been changed since. */
const alive = ({
  digest,
  now,
  triesMax,
}: TicketLife): Sql => sql`t.digest = ${digest} AND t.expires_at > ${now}
  AND t.tries < ${triesMax} AND t.password_changed_at = ${passwordChangedAt(sql`t.user_id`)}`;

export const selectTicket = (life: TicketLife): Sql =>
  sql`SELECT t.user_id, t.purpose, t.arrival, t.tries, t.expires_at FROM sign_in_tickets t WHERE ${alive(life)}`;

export const ticketExists = (digest: Uint8Array): Sql =>
  sql`EXISTS (SELECT 1 FROM sign_in_tickets WHERE digest = ${digest})`;

export const ticketIsAlive = (life: TicketLife): Sql =>
  sql`EXISTS (SELECT 1 FROM sign_in_tickets t WHERE ${alive(life)})`;

/** Of any number of tries at once no more than the bound are counted. */
export const countTry = (digest: Uint8Array, triesMax: number): Sql =>
  sql`UPDATE sign_in_tickets SET tries = tries + 1 WHERE digest = ${digest} AND tries < ${triesMax}`;

export const giveTryBack = (digest: Uint8Array): Sql =>
  sql`UPDATE sign_in_tickets SET tries = tries - 1 WHERE digest = ${digest} AND tries > 0`;

export const deleteTicket = (digest: Uint8Array, onlyIf: Sql): Sql =>
  sql`DELETE FROM sign_in_tickets WHERE digest = ${digest} AND ${onlyIf}`;

export const deleteTicketsBefore = (end: number, rows: number): Sql => sql`
  DELETE FROM sign_in_tickets WHERE digest IN
    (SELECT digest FROM sign_in_tickets WHERE expires_at < ${end} ORDER BY expires_at LIMIT ${rows})`;
