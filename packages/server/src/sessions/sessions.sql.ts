import sql, { join, type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";

export interface SessionRow {
  id: Uint8Array;
  user_id: Uint8Array;
  client_id: string;
  kind: string;
  parent: Uint8Array | null;
  scope: string;
  /** Separated by spaces. */
  resources: string | null;
  amr: string;
  device: string | null;
  ip: string | null;
  /** As user-agent.ts packs it. */
  user_agent: string | null;
  dpop_thumbprint: string | null;
  authenticated_at: number;
  last_used_at: number;
  expires_at: number;
  generation: number;
  recent: Buffer;
  revoked_at: number | null;
  end_reason: string | null;
  end_event: Uint8Array | null;
}

export const always: Sql = sql`1 = 1`;

const columns = sql`id, user_id, client_id, kind, parent, scope, resources, amr, device, ip, user_agent, dpop_thumbprint,
  authenticated_at, last_used_at, expires_at, generation, recent, revoked_at, end_reason, end_event`;

/**
 * Waits for whoever is changing this user, and holds off whoever will, until the transaction ends: disabling,
 * removing and a change of password begin with the same row. It changes nothing.
 */
export function lockUser(id: Id): Sql {
  return sql`UPDATE users SET updated_at = updated_at WHERE id = ${idToBytes(id)}`;
}

/**
 * A new session, only if its user is (still) there and not disabled: a sign-in that races with the operator's
 * "disable" must not slip through between the look at the user and this insert. `lockUser` comes before it.
 */
export function insertSession(row: NewRow, onlyIf: Sql): Sql {
  const user = sql`EXISTS (SELECT 1 FROM users WHERE id = ${row.user_id} AND disabled_at IS NULL)`;
  return insertRow(row, sql`${user} AND ${onlyIf}`);
}

/** The same for a client that acts for itself: there is no user. Only if the client is (still) as it authenticated. */
export function insertServiceSession(row: NewRow, version: number | undefined): Sql {
  const same = version === undefined ? always : sql`updated_at = ${version}`;
  return insertRow(row, sql`EXISTS (SELECT 1 FROM clients WHERE id = ${row.client_id} AND ${same})`);
}

type NewRow = SessionRow & { digest: Uint8Array };

function insertRow(row: NewRow, onlyIf: Sql): Sql {
  return sql`
    INSERT INTO sessions (${columns}, digest)
    SELECT ${row.id}, ${row.user_id}, ${row.client_id}, ${row.kind}, ${row.parent}, ${row.scope}, ${row.resources},
      ${row.amr},
      ${row.device}, ${row.ip}, ${row.user_agent}, ${row.dpop_thumbprint}, ${row.authenticated_at},
      ${row.last_used_at}, ${row.expires_at}, ${row.generation}, ${row.recent}, ${row.revoked_at},
      ${row.end_reason}, ${row.end_event}, ${row.digest}
    WHERE ${onlyIf}`;
}

export function selectSession(id: Id): Sql {
  return sql`SELECT ${columns} FROM sessions WHERE id = ${idToBytes(id)}`;
}

export interface SessionFilter {
  userId?: Id | undefined;
  /** Default: all. */
  kinds?: readonly string[] | undefined;
  /** Only sessions that are not over: not revoked, not at their absolute end, used since then. */
  alive?:
    | { readonly at: number; readonly usedSince: Readonly<Record<"app" | "browser", number>> }
    | undefined;
  before?: Id | undefined;
  rows: number;
}

/** The newest first. */
export function selectSessions({ userId, kinds, alive, before, rows }: SessionFilter): Sql {
  const ofKind = kinds === undefined ? sql`1 = 1` : sql`kind IN (${join(kinds)})`;
  const ofUser = userId === undefined ? sql`1 = 1` : sql`user_id = ${idToBytes(userId)}`;
  const living =
    alive === undefined
      ? sql`1 = 1`
      : sql`revoked_at IS NULL AND expires_at > ${alive.at} AND last_used_at >
          CASE kind WHEN 'browser' THEN CAST(${alive.usedSince.browser} AS BIGINT)
            ELSE CAST(${alive.usedSince.app} AS BIGINT) END`;
  const older = before === undefined ? sql`1 = 1` : sql`id < ${idToBytes(before)}`;
  return sql`
    SELECT ${columns} FROM sessions WHERE ${ofUser} AND ${ofKind} AND ${living} AND ${older} ORDER BY id DESC LIMIT ${rows}`;
}

/**
 * Ends sessions that have not ended yet. `eventId` is the audit event of the act and marks the rows that this
 * very act has ended: what follows in the same transaction (audit, feed) speaks of these rows and of no others.
 */
export function updateEnded(ended: { which: Sql; at: number; reason: string; eventId: Id }): Sql {
  return sql`
    UPDATE sessions SET revoked_at = ${ended.at}, end_reason = ${ended.reason}, end_event = ${idToBytes(ended.eventId)}
    WHERE (${ended.which}) AND revoked_at IS NULL`;
}

/** A session, with those of the clients that were let in from it. */
export const whichSession = (id: Id): Sql => sql`id = ${idToBytes(id)} OR parent = ${idToBytes(id)}`;
/** The same, on a condition. */
export const whichSessionIf = (id: Id, onlyIf: Sql): Sql => sql`(${whichSession(id)}) AND ${onlyIf}`;
/** Without them: its holder goes on under a new id. */
export const whichAlone = (id: Id, onlyIf: Sql = always): Sql => sql`id = ${idToBytes(id)} AND ${onlyIf}`;

/** What was let in from one session belongs to the one that takes its place. */
export const updateParent = (change: { from: Id; to: Id }): Sql =>
  sql`UPDATE sessions SET parent = ${idToBytes(change.to)}
    WHERE parent = ${idToBytes(change.from)} AND ${sessionExists(change.to)}`;

export const whichOfUser = (userId: Id): Sql => sql`user_id = ${idToBytes(userId)}`;
export const whichOfUserBut = (userId: Id, except: Id): Sql =>
  sql`user_id = ${idToBytes(userId)} AND id <> ${idToBytes(except)}`;

/** What a user has let one client in to. */
export const whichOfClient = (userId: Id, clientId: string): Sql =>
  sql`user_id = ${idToBytes(userId)} AND client_id = ${clientId} AND kind = 'client'`;

/** A slice of everybody's sessions, in the order of the keys, or of those of one client in it. */
export function whichBetween(slice: {
  after: Id;
  upTo: Id | undefined;
  before: Id;
  clientId?: string | undefined;
}): Sql {
  const upTo = slice.upTo === undefined ? always : sql`id <= ${idToBytes(slice.upTo)}`;
  const ofClient = slice.clientId === undefined ? always : sql`client_id = ${slice.clientId}`;
  return sql`id > ${idToBytes(slice.after)} AND ${upTo} AND id < ${idToBytes(slice.before)} AND ${ofClient}`;
}

/** Whether one of these is not over yet. */
export const anyAlive = (which: Sql, now: number): Sql =>
  sql`EXISTS (SELECT 1 FROM sessions WHERE (${which}) AND revoked_at IS NULL AND expires_at > ${now})`;

/** Whether this act has ended anything: the condition for what follows it in the transaction. */
export function endedAny(which: Sql, eventId: Id): Sql {
  return sql`EXISTS (SELECT 1 FROM sessions WHERE (${which}) AND end_event = ${idToBytes(eventId)})`;
}

export function sessionExists(id: Id): Sql {
  return sql`EXISTS (SELECT 1 FROM sessions WHERE id = ${idToBytes(id)})`;
}

/** The key that stands `rows` rows after the cursor: the end of a slice. */
export function selectIdAfter(cursor: Id, rows: number): Sql {
  return sql`SELECT id FROM sessions WHERE id > ${idToBytes(cursor)} ORDER BY id LIMIT 1 OFFSET ${rows - 1}`;
}

/**
 * No index on time is needed, and none slows a turn down: the walk follows the primary key. Of services, which have a
 * session for each token, nobody asks how one ended: they go sooner.
 */
export function deleteOverBetween(slice: {
  after: Id;
  upTo: Id | undefined;
  over: number;
  servicesOver: number;
}): Sql {
  const upTo = slice.upTo === undefined ? sql`1 = 1` : sql`id <= ${idToBytes(slice.upTo)}`;
  return sql`
    DELETE FROM sessions WHERE id > ${idToBytes(slice.after)} AND ${upTo}
      AND (expires_at < ${slice.over} OR revoked_at < ${slice.over}
        OR (kind = 'service' AND expires_at < ${slice.servicesOver}))`;
}
