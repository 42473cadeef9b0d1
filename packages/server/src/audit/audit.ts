import { firstIdAt, type Id, idFromBytes, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Database, Sql } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import { deleteEventsOlderThan, insertEvent, selectEvents } from "./audit.sql.ts";
import type { Actor, AuditEvent, AuditEventType, StoredAuditEvent } from "./events.ts";

interface EventRow {
  id: Uint8Array;
  at: number;
  type: string;
  user_id: Uint8Array | null;
  session_id: Uint8Array | null;
  client_id: string | null;
  actor: string;
  ip: string | null;
  detail: string;
}

/**
 * The statement that writes an event. The caller puts it into the transaction of the act itself: an act without
 * its event, or an event without its act, cannot be committed.
 */
export function auditStatement(at: number, event: AuditEvent): Sql {
  return insertEvent({ id: newId(at), at, event });
}

export type Audit = ReturnType<typeof createAudit>;

export function createAudit({ database }: { database: Database }) {
  return {
    /** The events of a user or a session, newest first, at most a page. */
    async list(filter: {
      id?: Id;
      userId?: Id;
      sessionId?: Id;
      before?: Id;
      rows?: number;
    }): Promise<StoredAuditEvent[]> {
      const rows = Math.min(filter.rows ?? limits.pageRowsMax, limits.pageRowsMax);
      return (await database.all<EventRow>(selectEvents({ ...filter, rows }))).map(fromRow);
    },

    /** @param before milliseconds since 1970 */
    async deleteBefore(before: number): Promise<void> {
      await deleteInSlices(database, (rows) => deleteEventsOlderThan(firstIdAt(before), rows));
    },
  };
}

function fromRow(row: EventRow): StoredAuditEvent {
  return {
    id: idFromBytes(row.id),
    at: row.at,
    type: row.type as AuditEventType,
    actor: row.actor as Actor,
    userId: row.user_id ? idFromBytes(row.user_id) : undefined,
    sessionId: row.session_id ? idFromBytes(row.session_id) : undefined,
    clientId: row.client_id ?? undefined,
    ip: row.ip ?? undefined,
    detail: JSON.parse(row.detail),
  };
}
