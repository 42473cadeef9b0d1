import type { KeyObject } from "node:crypto";
import { insertEvent } from "../audit/audit.sql.ts";
import type { AuditEvent } from "../audit/events.ts";
import type { Settings } from "../config-schema.ts";
import { idFromBytes, newId } from "../primitives/id.ts";
import type { Database, Sql, Statement } from "../storage/database.ts";
import type { RefreshTokenParts, RefreshTokens } from "../tokens/refresh-token.ts";
import { endStatements } from "./end.ts";
import { type Rights, rightsFromRow } from "./rights.ts";
import { whichAlone } from "./sessions.sql.ts";
import {
  type AskedPart,
  decideTurn,
  type Presented,
  type Successor,
  type TurnDecision,
  type TurnRefusal,
  type TurnState,
} from "./turn.ts";
import { hasDigest, type TurnRow, updateTurned } from "./turning.sql.ts";

export interface TurnRequest {
  /** The refresh token as it came. */
  readonly token: string;
  readonly clientId: string;
  /** The `Idempotency-Key` header. */
  readonly attemptKey?: string | undefined;
  readonly dpopThumbprint?: string | undefined;
  readonly ip?: string | undefined;
  /** The client's `updatedAt` by which it was authenticated: another one in the database refuses the turn. */
  readonly clientVersion?: number | undefined;
  /** False for a client whose tokens are not replaced routinely. */
  readonly rotates?: boolean | undefined;
  /** What the access token is to be for, if less than all that was granted. */
  readonly asked?: AskedPart | undefined;
}

/** What the tokens of the reply are made from. Times are milliseconds since 1970. */
export interface TurnedSession {
  readonly sessionId: string;
  readonly userId: string;
  readonly clientId: string;
  readonly scope: string;
  /** RFC 8707: what its tokens may be for. Empty: the audience of the settings. */
  readonly resources: readonly string[];
  readonly amr: readonly string[];
  readonly rights: Rights;
  /** RFC 7638: the key that the session is bound to, if it is. */
  readonly keyThumbprint?: string | undefined;
  readonly authenticatedAt: number;
  readonly expiresAt: number;
}

export type TurnOutcome =
  | {
      readonly outcome: "turned" | "replayed" | "kept";
      readonly refreshToken: string;
      readonly session: TurnedSession;
      /** When the session ends if it is not used again. */
      readonly refreshExpiresAt: number;
    }
  | { readonly outcome: "refused"; readonly reason: TurnRefusal | "malformed" }
  /** Too much waits already. Nothing was looked at; the client asks again. */
  | { readonly outcome: "busy" };

export type Examination =
  /** The current token, or one whose successor would be handed out again. */
  | {
      readonly standing: "good";
      readonly sessionId: string;
      readonly session: TurnedSession;
      readonly refreshExpiresAt: number;
    }
  /** A token of this session that was replaced too long ago. */
  | { readonly standing: "old"; readonly sessionId: string }
  | { readonly standing: "over" }
  | { readonly standing: "refused"; readonly reason: TurnRefusal | "malformed" };

export interface TurningDependencies {
  readonly database: Database;
  readonly refreshTokens: RefreshTokens;
  /** The key that digests attempt keys, of the master secret that the presented token was made under. */
  readonly attemptDigestKey: (keyId: number) => KeyObject;
  readonly settings: Pick<Settings, "refreshGraceSeconds" | "appIdleSeconds" | "restoreWindowUntil"> & {
    readonly audience: string;
  };
  /** Called when a session has ended, before anybody is told that it is over. */
  readonly onEnded: () => Promise<void>;
  readonly log: { warn(detail: object, message: string): void };
}

/** A request whose token's tag has verified. */
export interface Checked {
  readonly request: TurnRequest;
  readonly parts: RefreshTokenParts;
  readonly attempt: Buffer | undefined;
}

export interface Waiting extends Checked {
  readonly resolve: (outcome: TurnOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** The requests of one batch that name the same session, with what is decided for them. */
export interface Group {
  /** 16 bytes. */
  readonly sessionId: Buffer;
  readonly waiting: Waiting[];
  readonly row: TurnRow | undefined;
  /** The row with the rights at what each request asks for, where requests ask for less than all. */
  readonly rowsAsked: ReadonlyMap<string | undefined, TurnRow>;
  /** Just before the row was read; milliseconds since 1970. */
  readonly readAt: number;
  outcomes: TurnOutcome[];
  /** What changes the session's row; the first one's `changes` says whether the decisions still held. */
  rowStatements: Statement[];
  /** What follows from that, on other tables. */
  laterStatements: Statement[];
  /** The request that showed the theft, when one did. */
  reusedBy: Waiting | undefined;
  /** The request whose newer generation was adopted, in a restore window. */
  adoptedFrom: Waiting | undefined;
}

/** Decides for each request in turn, the later ones seeing what the earlier ones do to the row. */
export function decideGroup(group: Group, dependencies: TurningDependencies): void {
  const { row } = group;
  const at = dependencies.database.clock.now();
  const { audience } = dependencies.settings;
  const initial = row === undefined ? undefined : stateOf(row, audience);
  let state = initial;
  let ip = null as string | null;
  for (const waiting of group.waiting) {
    const decision = decideTurn(state, presentedBy(waiting), rulesFor(waiting, at, dependencies));
    if (decision.act === "turn" || decision.act === "keep") {
      state = decision.next;
      ip = waiting.request.ip ?? null;
      if (decision.act === "turn" && decision.adopted) group.adoptedFrom = waiting;
    } else if (decision.act === "end" && state !== undefined) {
      state = { ...state, revokedAt: at, endReason: decision.reason };
      group.reusedBy = waiting;
    } else if (decision.act === "refuse" && decision.reason === "newer_generation") {
      dependencies.log.warn(
        { sessionId: idFromBytes(waiting.parts.sessionId), presented: waiting.parts.generation },
        "A refresh token is newer than its session: was an older copy of the database restored? See restoreWindowUntil",
      );
    }
    group.outcomes.push(outcomeOf(decision, { waiting, group, state, dependencies }));
  }
  if (row !== undefined && initial !== undefined && state !== undefined && state !== initial) {
    writeChange({ row, initial, state, at, ip, group });
  }
}

export function presentedBy({ parts, request, attempt }: Checked): Presented {
  return {
    generation: parts.generation,
    secret: parts.secret,
    clientId: request.clientId,
    clientVersion: request.clientVersion,
    dpopThumbprint: request.dpopThumbprint,
    attempt,
    keptKeyId: request.rotates === false ? parts.keyId : undefined,
    asked: request.asked,
  };
}

export function rulesFor(waiting: Checked, at: number, { settings, refreshTokens }: TurningDependencies) {
  const { sessionId } = waiting.parts;
  return {
    now: at,
    graceSeconds: settings.refreshGraceSeconds,
    idleSeconds: settings.appIdleSeconds,
    restoreWindowOpen:
      settings.restoreWindowUntil !== undefined && at < Date.parse(settings.restoreWindowUntil),
    currentKeyId: refreshTokens.currentKeyId,
    nextSecret: (from: { keyId: number; generation: number; secret: Buffer }) =>
      refreshTokens.nextSecret({ ...from, sessionId }),
  };
}

function writeChange(change: {
  row: TurnRow;
  initial: TurnState;
  state: TurnState;
  at: number;
  ip: string | null;
  group: Group;
}): void {
  const { row, initial, state, at, ip, group } = change;
  if (state.generation !== initial.generation || state.lastUsedAt !== initial.lastUsedAt) {
    const { generation, digest, lastUsedAt, recent } = state;
    group.rowStatements.push(
      updateTurned({
        sessionId: group.sessionId,
        from: initial,
        to: { generation, digest, lastUsedAt, ip, recent },
      }),
    );
  }
  if (group.adoptedFrom !== undefined)
    group.laterStatements.push(adoptedStatement(group.adoptedFrom, state, at));
  if (group.reusedBy !== undefined) {
    const { parts, request } = group.reusedBy;
    const sessionId = idFromBytes(group.sessionId);
    const event: AuditEvent = {
      type: "session.reuse_detected",
      actor: "system",
      userId: idFromBytes(row.user_id),
      sessionId,
      clientId: row.client_id,
      ip: request.ip,
      detail: { presentedGeneration: parts.generation, currentGeneration: state.generation },
    };
    const [ended, ...later] = endStatements({ which: whichAlone(sessionId), at, reason: "reused", event });
    group.rowStatements.push(ended);
    group.laterStatements.push(...later);
  }
}

/** Written only if the turn that adopts has won its race. */
function adoptedStatement({ parts, request }: Waiting, state: TurnState, at: number): Sql {
  const event: AuditEvent = {
    type: "session.newer_generation_adopted",
    actor: "system",
    sessionId: idFromBytes(parts.sessionId),
    ip: request.ip,
    detail: { presentedGeneration: parts.generation },
  };
  return insertEvent({ id: newId(at), at, event, onlyIf: hasDigest(parts.sessionId, state.digest) });
}

function outcomeOf(
  decision: TurnDecision,
  context: {
    waiting: Waiting;
    group: Group;
    state: TurnState | undefined;
    dependencies: TurningDependencies;
  },
): TurnOutcome {
  if (decision.act === "refuse") return { outcome: "refused", reason: decision.reason };
  if (decision.act === "end") return { outcome: "refused", reason: "reused" };
  const { waiting, group, state, dependencies } = context;
  const { row } = group;
  if (row === undefined || state === undefined) throw new Error("Bug in Keyturn: a turn without a row");
  return {
    outcome: outcomes[decision.act],
    refreshToken: encodeSuccessor(decision.successor, waiting.parts.sessionId, dependencies.refreshTokens),
    refreshExpiresAt: Math.min(
      row.expires_at,
      state.lastUsedAt + dependencies.settings.appIdleSeconds * 1000,
    ),
    session: turnedSession(row, {
      sessionId: waiting.parts.sessionId,
      rights: rightsFromRow(group.rowsAsked.get(waiting.request.asked?.resources) ?? row, group.readAt),
    }),
  };
}

export function turnedSession(row: TurnRow, more: { sessionId: Buffer; rights: Rights }): TurnedSession {
  return {
    sessionId: idFromBytes(more.sessionId),
    userId: idFromBytes(row.user_id),
    clientId: row.client_id,
    scope: row.scope,
    resources: row.resources === null ? [] : row.resources.split(" "),
    amr: row.amr.split(" "),
    keyThumbprint: row.dpop_thumbprint ?? undefined,
    rights: more.rights,
    authenticatedAt: row.authenticated_at,
    expiresAt: row.expires_at,
  };
}

const outcomes = { turn: "turned", replay: "replayed", keep: "kept" } as const;

function encodeSuccessor(successor: Successor, sessionId: Buffer, refreshTokens: RefreshTokens): string {
  return refreshTokens.encode({ ...successor, sessionId });
}

export function stateOf(row: TurnRow, audience: string): TurnState {
  return {
    clientId: row.client_id,
    clientVersion: row.client_updated_at ?? undefined,
    scope: row.scope,
    resources: row.resources ?? audience,
    dpopThumbprint: row.dpop_thumbprint ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    endReason: row.end_reason ?? undefined,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    generation: row.generation,
    digest: row.digest,
    recent: row.recent,
  };
}
