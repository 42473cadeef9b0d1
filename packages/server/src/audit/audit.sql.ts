import sql, { join, type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";
import type { AuditEvent } from "./events.ts";

const bytesOrNull = (id: Id | undefined) => (id === undefined ? null : idToBytes(id));

/**
 * The insert of one event, to stand in the transaction of the act that it tells of.
 * @param onlyIf a condition, when the act may turn out not to have happened (someone else was first)
 */
export function insertEvent(entry: { id: Id; at: number; event: AuditEvent; onlyIf?: Sql }): Sql {
  const { id, at, event, onlyIf = sql`1 = 1` } = entry;
  return sql`
    INSERT INTO audit_events (id, at, type, user_id, session_id, client_id, actor, ip, detail)
    SELECT ${idToBytes(id)}, ${at}, ${event.type}, ${bytesOrNull(event.userId)}, ${bytesOrNull(event.sessionId)},
      ${event.clientId ?? null}, ${event.actor}, ${event.ip ?? null}, ${JSON.stringify(event.detail ?? {})}
    WHERE ${onlyIf}`;
}

/** Several at once, of an act that is certain to have happened. */
export function insertEvents(entries: readonly { id: Id; at: number; event: AuditEvent }[]): Sql {
  const values = entries.map(
    ({ id, at, event }) => sql`(${idToBytes(id)}, ${at}, ${event.type}, ${bytesOrNull(event.userId)},
      ${bytesOrNull(event.sessionId)}, ${event.clientId ?? null}, ${event.actor}, ${event.ip ?? null},
      ${JSON.stringify(event.detail ?? {})})`,
  );
  return sql`
    INSERT INTO audit_events (id, at, type, user_id, session_id, client_id, actor, ip, detail)
    VALUES ${join(values)}`;
}

/** The newest events first. `before` is the id of the last event of the page before. */
export function selectEvents(filter: {
  id?: Id;
  userId?: Id;
  sessionId?: Id;
  before?: Id;
  rows: number;
}): Sql {
  const byId = filter.id === undefined ? sql`1 = 1` : sql`id = ${idToBytes(filter.id)}`;
  const bySession =
    filter.sessionId === undefined ? sql`1 = 1` : sql`session_id = ${idToBytes(filter.sessionId)}`;
  const byUser = filter.userId === undefined ? sql`1 = 1` : sql`user_id = ${idToBytes(filter.userId)}`;
  const older = filter.before === undefined ? sql`1 = 1` : sql`id < ${idToBytes(filter.before)}`;
  return sql`
    SELECT id, at, type, user_id, session_id, client_id, actor, ip, detail FROM audit_events
    WHERE ${byId} AND ${bySession} AND ${byUser} AND ${older} ORDER BY id DESC LIMIT ${filter.rows}`;
}

/** The oldest first. */
export function deleteEventsOlderThan(first: Id, rows: number): Sql {
  return sql`
    DELETE FROM audit_events WHERE id IN
      (SELECT id FROM audit_events WHERE id < ${idToBytes(first)} ORDER BY id LIMIT ${rows})`;
}
