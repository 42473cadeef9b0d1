import { insertEvent } from "../audit/audit.sql.ts";
import type { Actor } from "../audit/events.ts";
import type { Settings } from "../config.ts";
import type { Clock } from "../primitives/clock.ts";
import { sha256 } from "../primitives/digest.ts";
import { firstIdAt, type Id, idFromBytes, idToBytes, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Database, Sql } from "../storage/database.ts";
import type { RefreshTokens } from "../tokens/refresh-token.ts";
import { type EndReason, endStatements } from "./end.ts";
import { decodeRecent, type Supersession } from "./recent.ts";
import {
  always,
  deleteOverBetween,
  insertSession,
  lockUser,
  type SessionRow,
  selectIdAfter,
  selectSession,
  selectSessions,
  sessionExists,
  whichOfUser,
  whichOfUserBut,
  whichSession,
} from "./sessions.sql.ts";

/** What a session is for. Idle and absolute ends depend on it. */
export type SessionKind = "app";

/** Anything that stays signed in. Times are milliseconds since 1970. */
export interface Session {
  readonly id: Id;
  readonly userId: Id;
  readonly clientId: string;
  readonly kind: SessionKind;
  readonly scope: string;
  readonly amr: readonly string[];
  /** What the person or the app calls the device. */
  readonly device: string | undefined;
  /** Where it was last used from. */
  readonly ip: string | undefined;
  readonly userAgent: string | undefined;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  /** The absolute end, fixed at sign-in. */
  readonly expiresAt: number;
  /** When it ends if it is not used again: never after `expiresAt`. */
  readonly idleEndsAt: number;
  /** How often it has turned. */
  readonly generation: number;
  readonly recent: readonly Supersession[];
  readonly revokedAt: number | undefined;
  readonly endReason: EndReason | undefined;
  /** The audit event of the act that ended it: one act may have ended many sessions. */
  readonly endEvent: Id | undefined;
}

export interface NewSession {
  readonly userId: Id;
  readonly clientId: string;
  readonly kind: SessionKind;
  readonly scope: string;
  /** RFC 8176. */
  readonly amr: readonly string[];
  readonly device?: string | undefined;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
}

export interface EndedBy {
  readonly actor: Actor;
  readonly reason: EndReason;
  readonly ip?: string | undefined;
}

export type Sessions = ReturnType<typeof createSessions>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly refreshTokens: RefreshTokens;
  readonly settings: Pick<Settings, "appIdleSeconds" | "appAbsoluteSeconds">;
  /** Called after a commit that ended sessions. */
  readonly onEnded: () => Promise<void>;
}

export function createSessions({ database, clock, refreshTokens, settings, onEnded }: Dependencies) {
  async function end(ending: { which: Sql; userId?: Id; sessionId?: Id }, by: EndedBy): Promise<number> {
    const at = clock.now();
    const { which, userId, sessionId } = ending;
    const event = {
      type: "session.ended" as const,
      actor: by.actor,
      userId,
      sessionId,
      ip: by.ip,
      detail: { reason: by.reason },
    };
    const [ended] = await database.batch(endStatements({ which, at, reason: by.reason, event }));
    const count = ended?.changes ?? 0;
    // Before the caller is told: what follows the feed in this process knows it by then.
    if (count > 0) await onEnded();
    return count;
  }

  function idleEnd(session: { lastUsedAt: number; expiresAt: number }): number {
    return Math.min(session.expiresAt, session.lastUsedAt + settings.appIdleSeconds * 1000);
  }

  function fromRow(row: SessionRow): Session {
    const facts = { lastUsedAt: row.last_used_at, expiresAt: row.expires_at };
    return {
      ...facts,
      id: idFromBytes(row.id),
      userId: idFromBytes(row.user_id),
      clientId: row.client_id,
      kind: row.kind as SessionKind,
      scope: row.scope,
      amr: row.amr.split(" "),
      device: row.device ?? undefined,
      ip: row.ip ?? undefined,
      userAgent: row.user_agent ?? undefined,
      createdAt: row.authenticated_at,
      idleEndsAt: idleEnd(facts),
      generation: row.generation,
      recent: decodeRecent(row.recent),
      revokedAt: row.revoked_at ?? undefined,
      endReason: (row.end_reason as EndReason | null) ?? undefined,
      endEvent: row.end_event ? idFromBytes(row.end_event) : undefined,
    };
  }

  return {
    /**
     * Starts a session: the row and its audit event, with `also` (what belongs to the same sign-in) in the same
     * transaction. Undefined when the user has been disabled or removed meanwhile, or `onlyIf` no longer holds;
     * then nothing was written but `also`.
     */
    async start(
      session: NewSession,
      { also = [], onlyIf = always }: { also?: readonly Sql[]; onlyIf?: Sql } = {},
    ): Promise<{ session: Session; refreshToken: string } | undefined> {
      const now = clock.now();
      const id = newId(now);
      const secret = Buffer.from(randomBytes(32));
      const row: SessionRow = {
        id: idToBytes(id),
        user_id: idToBytes(session.userId),
        client_id: session.clientId,
        kind: session.kind,
        parent: null,
        scope: session.scope,
        amr: session.amr.join(" "),
        device: session.device ?? null,
        ip: session.ip ?? null,
        user_agent: session.userAgent ?? null,
        dpop_thumbprint: null,
        authenticated_at: now,
        last_used_at: now,
        expires_at: now + settings.appAbsoluteSeconds * 1000,
        generation: 0,
        recent: Buffer.alloc(0),
        revoked_at: null,
        end_reason: null,
        end_event: null,
      };
      const { userId, clientId, ip } = session;
      const [, inserted] = await database.batch([
        lockUser(userId),
        insertSession({ ...row, digest: sha256(secret) }, onlyIf),
        insertEvent({
          id: newId(now),
          at: now,
          event: {
            type: "session.started",
            actor: "user",
            userId,
            sessionId: id,
            clientId,
            ip,
            detail: { amr: row.amr, device: row.device },
          },
          onlyIf: sessionExists(id),
        }),
        ...also,
      ]);
      if (inserted?.changes !== 1) return undefined;
      const refreshToken = refreshTokens.encode({
        keyId: refreshTokens.currentKeyId,
        sessionId: idToBytes(id),
        generation: 0,
        secret,
      });
      return { session: fromRow(row), refreshToken };
    },

    async find(id: Id): Promise<Session | undefined> {
      const row = await database.one<SessionRow>(selectSession(id));
      return row === undefined ? undefined : fromRow(row);
    },

    /** The newest first, at most a page; `before` is the id of the last one of the page before. */
    async list(
      filter: { userId?: Id; alive?: boolean; before?: Id; rows?: number } = {},
    ): Promise<Session[]> {
      const now = clock.now();
      const rows = await database.all<SessionRow>(
        selectSessions({
          userId: filter.userId,
          alive: filter.alive ? { at: now, usedSince: now - settings.appIdleSeconds * 1000 } : undefined,
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
      const which = by.except === undefined ? whichOfUser(userId) : whichOfUserBut(userId, by.except);
      return end({ which, userId }, by);
    },

    /** The statements that end all of a user's sessions, for a transaction of another room (disable, remove). */
    endAllOfUserStatements(userId: Id, by: EndedBy): Sql[] {
      const event = {
        type: "session.ended" as const,
        actor: by.actor,
        userId,
        ip: by.ip,
        detail: { reason: by.reason },
      };
      return endStatements({ which: whichOfUser(userId), at: clock.now(), reason: by.reason, event });
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
      const [result] = await database.batch([deleteOverBetween({ after: cursor, upTo: next, over })]);
      return { deleted: result?.changes ?? 0, next };
    },
  };
}
