import { insertEvent } from "../audit/audit.sql.ts";
import type { Clock } from "../primitives/clock.ts";
import { sha256 } from "../primitives/digest.ts";
import { type Id, idFromBytes, idToBytes, newId } from "../primitives/id.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Database, Sql } from "../storage/database.ts";
import type { RefreshTokens } from "../tokens/refresh-token.ts";
import type { SessionCookies } from "../tokens/session-cookie.ts";
import { endStatements } from "./end.ts";
import {
  type LifeSettings,
  lifeOf,
  type NewServiceSession,
  type NewSession,
  type Session,
  sessionFromRow,
} from "./session.ts";
import {
  always,
  insertServiceSession,
  insertSession,
  lockUser,
  type SessionRow,
  sessionExists,
  updateParent,
  whichAlone,
  whichSessionIf,
} from "./sessions.sql.ts";
import { packUserAgent } from "./user-agent.ts";

/** A session with what its holder presents from now on: the value of the cookie, or the first refresh token. */
export interface StartedSession {
  readonly session: Session;
  readonly credential: string;
}

export interface StartOptions {
  /** What belongs to the same act, in the same transaction. */
  readonly also?: readonly Sql[] | undefined;
  /**
   * The same, given the condition that the session has been started, and its id: what uses up the proof that started
   * it.
   */
  readonly follows?: ((onlyIf: Sql, id: Id) => readonly Sql[]) | undefined;
  /** No session is started when this no longer holds. */
  readonly onlyIf?: Sql | undefined;
  /**
   * Statements that change nothing and hold the rows that `onlyIf` looks at. Who deletes them, to end what rests on them,
   * is then either before the look or finds the session.
   */
  readonly holds?: readonly Sql[] | undefined;
  /** No sign-in: a session goes on under a new id, for which `replaces` is its old one. */
  readonly renews?: boolean | undefined;
  /** The session that the new one takes the place of: it ends in the same transaction, with the reason `replaced`. */
  readonly replaces?: Session | undefined;
}

export interface StartDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly refreshTokens: RefreshTokens;
  readonly sessionCookies: SessionCookies;
  readonly settings: LifeSettings;
  /** Called when sessions have ended, before anybody is told that they are over. */
  readonly onEnded: () => Promise<void>;
}

export function createStarting(dependencies: StartDependencies) {
  const { database, clock, refreshTokens, sessionCookies, settings, onEnded } = dependencies;

  function credentialOf(kind: Session["kind"], sessionId: Buffer, secret: Buffer): string {
    if (kind === "browser") return sessionCookies.encode({ sessionId, secret });
    return refreshTokens.encode({ keyId: refreshTokens.currentKeyId, sessionId, generation: 0, secret });
  }

  /**
   * Starts a session: the row and its audit event, with `also` in the same transaction. Undefined when the user has
   * been disabled or removed meanwhile, or `onlyIf` no longer holds; then nothing was written but `also`.
   */
  async function start(input: NewSession, options: StartOptions = {}): Promise<StartedSession | undefined> {
    const { also = [], follows = () => [], onlyIf = always, holds = [], replaces } = options;
    const now = clock.now();
    const id = newId(now);
    const secret = input.secret ?? Buffer.from(randomBytes(32));
    const row = newRow({ input, id, now, settings });
    const { userId, clientId, ip } = input;
    const statements = [
      ...holds,
      lockUser(userId),
      insertSession({ ...row, digest: sha256(secret) }, onlyIf),
      insertEvent({
        id: newId(now),
        at: now,
        event: {
          type: options.renews === true ? "session.renewed" : "session.started",
          actor: "user",
          userId,
          sessionId: id,
          clientId,
          ip,
          detail: { kind: row.kind, amr: row.amr, device: row.device },
        },
        onlyIf: sessionExists(id),
      }),
    ];
    const by = { by: id, byUser: userId, at: now, ip };
    const ending = replaces === undefined ? [] : replacedStatements(replaces, by);
    const results = await database.batch([
      ...statements,
      ...ending,
      ...also,
      ...follows(sessionExists(id), id),
    ]);
    if (ending.length > 0 && (results[statements.length]?.changes ?? 0) > 0) await onEnded();
    if (results[holds.length + 1]?.changes !== 1) return undefined;
    return {
      session: sessionFromRow(row, settings),
      credential: credentialOf(input.kind, idToBytes(id), secret),
    };
  }

  /**
   * Starts a session of a client that acts for itself. It lives as long as its one token, for which there is no
   * refresh token (RFC 6749 §4.4.3): it is there so that the token can be listed and revoked. Undefined when the
   * client is gone, or another than the one that authenticated.
   */
  async function startService(input: NewServiceSession): Promise<Session | undefined> {
    const now = clock.now();
    const id = newId(now);
    const { clientId, clientVersion, ip } = input;
    const whole = { ...input, userId: idOfService(clientId), kind: "service", amr: [] } as const;
    const row = newRow({ input: whole, id, now, settings });
    const event = {
      type: "session.started",
      actor: "client",
      sessionId: id,
      clientId,
      ip,
      detail: { kind: "service", scope: input.scope },
    } as const;
    const [inserted] = await database.batch([
      insertServiceSession({ ...row, digest: sha256(randomBytes(32)) }, clientVersion),
      insertEvent({ id: newId(now), at: now, event, onlyIf: sessionExists(id) }),
    ]);
    return inserted?.changes === 1 ? sessionFromRow(row, settings) : undefined;
  }

  return {
    start,
    startService,
    /** The first credential of a session once more, for whoever can derive its first secret. */
    firstCredential: ({ kind, id }: Session, secret: Buffer) => credentialOf(kind, idToBytes(id), secret),
  };
}

/**
 * What stands for the user of a service's session: made of the client's id, and no user's. Users' ids are UUIDs of
 * version 7, and this is one of version 8 (RFC 9562 §5.8).
 */
export function idOfService(clientId: string): Id {
  const bytes = Buffer.from(sha256(`client ${clientId}`).subarray(0, 16));
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return idFromBytes(bytes);
}

/**
 * Only when the new session has been started. What its user let in from it goes on with it; when somebody else has
 * signed in, it ends: they are no longer there, and must not lose it by what the other one does later.
 */
function replacedStatements(
  replaced: Session,
  by: { by: Id; byUser: Id; at: number; ip: string | undefined },
): Sql[] {
  const event = {
    type: "session.ended",
    actor: "user",
    userId: replaced.userId,
    sessionId: replaced.id,
    ip: by.ip,
    detail: { reason: "replaced", by: by.by },
  } as const;
  const isStarted = sessionExists(by.by);
  const isSame = replaced.userId === by.byUser;
  const which = isSame ? whichAlone(replaced.id, isStarted) : whichSessionIf(replaced.id, isStarted);
  const ending = endStatements({ which, at: by.at, reason: "replaced", event });
  return isSame ? [...ending, updateParent({ from: replaced.id, to: by.by })] : ending;
}

function newRow(parts: { input: NewSession; id: Id; now: number; settings: LifeSettings }): SessionRow {
  const { input, id, now, settings } = parts;
  return {
    id: idToBytes(id),
    user_id: idToBytes(input.userId),
    client_id: input.clientId,
    kind: input.kind,
    parent: input.parent === undefined ? null : idToBytes(input.parent),
    scope: input.scope,
    resources: input.resources?.length ? input.resources.join(" ") : null,
    amr: input.amr.join(" "),
    device: input.device ?? null,
    ip: input.ip ?? null,
    user_agent: input.userAgent === undefined ? null : packUserAgent(input.userAgent),
    dpop_thumbprint: input.keyThumbprint ?? null,
    authenticated_at: input.authenticatedAt ?? now,
    last_used_at: now,
    expires_at: Math.min(
      now + lifeOf(input.kind, settings).absoluteMs,
      input.expiresAt ?? Number.POSITIVE_INFINITY,
    ),
    generation: 0,
    recent: Buffer.alloc(0),
    revoked_at: null,
    end_reason: null,
    end_event: null,
  };
}
