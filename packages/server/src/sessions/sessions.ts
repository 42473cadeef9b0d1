import type { Actor } from "../audit/events.ts";
import { firstIdAt, type Id, idFromBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Sql } from "../storage/database.ts";
import { type EndReason, endStatements } from "./end.ts";
import { lifeOf, type Session, type SessionKind, sessionFromRow } from "./session.ts";
import {
  deleteOverBetween,
  type SessionRow,
  selectIdAfter,
  selectSession,
  selectSessions,
  whichBetween,
  whichOfUser,
  whichOfUserBut,
  whichSession,
} from "./sessions.sql.ts";
import { createStarting, type StartDependencies } from "./starting.ts";

export interface EndedBy {
  readonly actor: Actor;
  readonly reason: EndReason;
  readonly ip?: string | undefined;
}

const ofUser = (userId: Id, { except }: { readonly except?: Id | undefined }): Sql =>
  except === undefined ? whichOfUser(userId) : whichOfUserBut(userId, except);

/** A service's session outlives its token by so long, for whoever looks into what has just happened. */
const SERVICE_KEPT_MS = 60 * 60 * 1000;

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions(dependencies: StartDependencies) {
  const { database, clock, settings, onEnded } = dependencies;
  const { start, startService, firstCredential } = createStarting(dependencies);

  async function end(
    ending: { which: Sql; userId?: Id; sessionId?: Id; clientId?: string | undefined },
    by: EndedBy,
  ): Promise<number> {
    const at = clock.now();
    const { which, userId, sessionId, clientId } = ending;
    const event = {
      type: "session.ended" as const,
      actor: by.actor,
      userId,
      sessionId,
      clientId,
      ip: by.ip,
      detail: { reason: by.reason },
    };
    const [ended] = await database.batch(endStatements({ which, at, reason: by.reason, event }));
    // Before the caller is told: what follows the feed in this process knows it by then. Also what was over already:
    // another process may have been killed before it could note it.
    await onEnded();
    return ended?.changes ?? 0;
  }

  const fromRow = (row: SessionRow) => sessionFromRow(row, settings);

  return {
    start,
    startService,
    firstCredential,

    async find(id: Id): Promise<Session | undefined> {
      const row = await database.one<SessionRow>(selectSession(id));
      return row === undefined ? undefined : fromRow(row);
    },

    /** The newest first, at most a page; `before` is the id of the last one of the page before. */
    async list(
      filter: {
        userId?: Id;
        kinds?: readonly SessionKind[];
        alive?: boolean;
        before?: Id;
        rows?: number;
      } = {},
    ): Promise<Session[]> {
      const now = clock.now();
      const rows = await database.all<SessionRow>(
        selectSessions({
          userId: filter.userId,
          kinds: filter.kinds,
          alive: filter.alive
            ? {
                at: now,
                usedSince: {
                  app: now - lifeOf("app", settings).idleMs,
                  browser: now - lifeOf("browser", settings).idleMs,
                },
              }
            : undefined,
          before: filter.before,
          rows: Math.min(filter.rows ?? limits.pageRowsMax, limits.pageRowsMax),
        }),
      );
      return rows.map(fromRow);
    },

    /** Whether a session is over, by whatever cause. */
    isOver(session: Session): boolean {
      return session.revokedAt !== undefined || session.idleEndsAt <= clock.now();
    },

    /** Ends one session. False when it does not exist or was over already. */
    async end(id: Id, by: EndedBy): Promise<boolean> {
      const session = await database.one<SessionRow>(selectSession(id));
      if (session === undefined) return false;
      const userId = idFromBytes(session.user_id);
      return (await end({ which: whichSession(id), userId, sessionId: id }, by)) > 0;
    },

    /** Ends the user's sessions, all or all but one. How many were ended. */
    endAllOfUser(userId: Id, by: EndedBy & { readonly except?: Id | undefined }): Promise<number> {
      return end({ which: ofUser(userId, by), userId }, by);
    },

    /**
     * Ends everybody's sessions that began before now, or those of one client. How many were ended. A slice of the
     * table is one act with its event: a million rows in one transaction would hold up every other one.
     */
    async endAll(by: EndedBy & { readonly clientId?: string | undefined }): Promise<number> {
      const before = firstIdAt(clock.now() + 1);
      let count = 0;
      let after: Id | undefined = firstIdAt(0);
      while (after !== undefined) {
        const last: { id: Uint8Array } | undefined = await database.one<{ id: Uint8Array }>(
          selectIdAfter(after, limits.sessionsEndedAtOnceMax),
        );
        const upTo: Id | undefined = last && idFromBytes(last.id);
        const which = whichBetween({ after, upTo, before, clientId: by.clientId });
        count += await end({ which, clientId: by.clientId }, by);
        after = upTo !== undefined && upTo < before ? upTo : undefined;
      }
      return count;
    },

    /** The statements that end all of a user's sessions, for a transaction of another room (disable, remove). */
    endAllOfUserStatements(userId: Id, by: EndedBy & { readonly except?: Id | undefined }): Sql[] {
      const event = {
        type: "session.ended" as const,
        actor: by.actor,
        userId,
        ip: by.ip,
        detail: { reason: by.reason },
      };
      return endStatements({ which: ofUser(userId, by), at: clock.now(), reason: by.reason, event });
    },

    /** Tells the feed that a transaction of another room has ended sessions. */
    announceEnded: onEnded,

    /**
     * Deletes sessions that were over before `over` (milliseconds since 1970) among the next thousand rows after
     * the cursor, in the order of the keys. Returns the next cursor, undefined at the end of the table.
     */
    async deleteOver(
      over: number,
      cursor: Id = firstIdAt(0),
    ): Promise<{ deleted: number; next: Id | undefined }> {
      const last = await database.one<{ id: Uint8Array }>(selectIdAfter(cursor, 1000));
      const next = last === undefined ? undefined : idFromBytes(last.id);
      const [result] = await database.batch([
        deleteOverBetween({ after: cursor, upTo: next, over, servicesOver: clock.now() - SERVICE_KEPT_MS }),
      ]);
      return { deleted: result?.changes ?? 0, next };
    },
  };
}
