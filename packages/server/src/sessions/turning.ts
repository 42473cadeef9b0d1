import type { KeyObject } from "node:crypto";
import { insertEvent } from "../audit/audit.sql.ts";
import type { AuditEvent } from "../audit/events.ts";
import type { Settings } from "../config.ts";
import { hmacSha256 } from "../primitives/digest.ts";
import { idFromBytes, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { type Database, DatabaseUnavailable, type Result, type Sql } from "../storage/database.ts";
import type { RefreshTokenParts, RefreshTokens } from "../tokens/refresh-token.ts";
import { endStatements } from "./end.ts";
import { decodeRecent, encodeRecent } from "./recent.ts";
import { whichSession } from "./sessions.sql.ts";
import { decideTurn, type Successor, type TurnDecision, type TurnRefusal, type TurnState } from "./turn.ts";
import { hasDigest, selectForTurn, type TurnRow, updateTurned } from "./turning.sql.ts";

export interface TurnRequest {
  /** The refresh token as it came. */
  readonly token: string;
  readonly clientId: string;
  /** The `Idempotency-Key` header. */
  readonly attemptKey?: string | undefined;
  readonly dpopThumbprint?: string | undefined;
  readonly ip?: string | undefined;
}

/** What the tokens of the reply are made from. Times are milliseconds since 1970. */
export interface TurnedSession {
  readonly sessionId: string;
  readonly userId: string;
  readonly clientId: string;
  readonly scope: string;
  readonly amr: readonly string[];
  readonly roles: readonly string[];
  readonly authenticatedAt: number;
  readonly expiresAt: number;
}

export type TurnOutcome =
  | {
      readonly outcome: "turned" | "replayed";
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
  | { readonly standing: "good"; readonly sessionId: string }
  /** A token of this session that was replaced too long ago. */
  | { readonly standing: "old"; readonly sessionId: string }
  | { readonly standing: "over" }
  | { readonly standing: "refused"; readonly reason: TurnRefusal | "malformed" };

export interface TurningDependencies {
  readonly database: Database;
  readonly refreshTokens: RefreshTokens;
  /** The key that digests attempt keys, of the master secret that the presented token was made under. */
  readonly attemptDigestKey: (keyId: number) => KeyObject;
  readonly settings: Pick<Settings, "refreshGraceSeconds" | "appIdleSeconds" | "restoreWindowUntil">;
  /** Called after a commit that ended a session. */
  readonly onEnded: () => void;
  readonly log: { warn(detail: object, message: string): void };
}

/** A request whose token's tag has verified. */
interface Checked {
  readonly request: TurnRequest;
  readonly parts: RefreshTokenParts;
  readonly attempt: Buffer | undefined;
}

interface Waiting extends Checked {
  readonly resolve: (outcome: TurnOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** The requests of one batch that name the same session, with what is decided for them. */
interface Group {
  readonly waiting: Waiting[];
  readonly rows: TurnRow[];
  outcomes: TurnOutcome[];
  /** The statements that make the decisions true; the first one's `changes` says whether they still held. */
  statements: Sql[];
  /** The request that showed the theft, when one did. */
  reusedBy: Waiting | undefined;
  /** The request whose newer generation was adopted, in a restore window. */
  adoptedFrom: Waiting | undefined;
}

export type Turning = ReturnType<typeof createTurning>;

/**
 * Makes turns happen. Requests that arrive while a transaction is under way share the next one: one trip, one
 * flush to disk, for all of them. No reply leaves before its transaction has committed.
 */
export function createTurning(dependencies: TurningDependencies) {
  const { database, refreshTokens, attemptDigestKey, onEnded } = dependencies;
  let queue: Waiting[] = [];
  let running: Promise<void> | undefined;

  function turn(request: TurnRequest): Promise<TurnOutcome> {
    const parts = refreshTokens.decode(request.token);
    if (parts === undefined) return Promise.resolve({ outcome: "refused", reason: "malformed" });
    if (queue.length >= limits.turnsWaitingMax) return Promise.resolve({ outcome: "busy" });
    const attempt =
      request.attemptKey === undefined
        ? undefined
        : hmacSha256(attemptDigestKey(parts.keyId), request.attemptKey).subarray(0, 16);
    return new Promise((resolve, reject) => {
      queue.push({ request, parts, attempt, resolve, reject });
      // After the input of this round of the event loop has been read: requests of the same moment come together.
      running ??= new Promise<void>((done) => setImmediate(done)).then(drain);
    });
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.slice(0, limits.turnsPerBatchMax);
      queue = queue.slice(batch.length);
      try {
        await turnBatch(batch);
      } catch (error) {
        // Whether it was committed may be unknown. Asking again is safe: the successor is derived, not drawn.
        for (const { reject } of batch) reject(error);
      }
    }
    running = undefined;
  }

  async function turnBatch(batch: Waiting[]): Promise<void> {
    let open = batch;
    for (let round = 0; open.length > 0; round++) {
      if (round > limits.turnRetriesMax)
        throw new DatabaseUnavailable("A session changes faster than it can be read");
      const groups = await readGroups(open);
      for (const group of groups) decideGroup(group, dependencies);
      const results = await write(groups);
      open = [];
      let at = 0;
      for (const group of groups) {
        const first = results[at];
        at += group.statements.length;
        if (first !== undefined && group.statements.length > 0 && first.changes === 0)
          open.push(...group.waiting);
        else settle(group);
      }
    }
  }

  async function readGroups(open: Waiting[]): Promise<Group[]> {
    const bySession = new Map<string, Waiting[]>();
    for (const waiting of open) {
      const key = waiting.parts.sessionId.toString("latin1");
      const others = bySession.get(key);
      if (others === undefined) bySession.set(key, [waiting]);
      else others.push(waiting);
    }
    // In the order of the ids, so that two nodes lock rows in the same order and never wait for each other in a ring.
    const sorted = [...bySession.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, waiting]) => waiting);
    const rows = await database.each<TurnRow>(sorted.map(([first]) => selectForTurn(sessionIdOf(first))));
    return sorted.map((waiting, index) => ({
      waiting,
      rows: rows[index] ?? [],
      outcomes: [],
      statements: [],
      reusedBy: undefined,
      adoptedFrom: undefined,
    }));
  }

  async function write(groups: Group[]): Promise<Result[]> {
    const statements = groups.flatMap((group) => group.statements);
    return statements.length === 0 ? [] : database.batch(statements);
  }

  function settle(group: Group): void {
    for (const [index, { resolve }] of group.waiting.entries()) {
      const outcome = group.outcomes[index];
      if (outcome !== undefined) resolve(outcome);
    }
    if (group.reusedBy !== undefined) onEnded();
  }

  /** What a refresh token would be worth, without using it. */
  async function examine(request: TurnRequest): Promise<Examination> {
    const parts = refreshTokens.decode(request.token);
    if (parts === undefined) return { standing: "refused", reason: "malformed" };
    const [row] = await database.all<TurnRow>(selectForTurn(parts.sessionId));
    const now = database.clock.now();
    const waiting = { request, parts, attempt: undefined };
    const rules = rulesFor(waiting, now, dependencies);
    const decision = decideTurn(row && stateOf(row), presentedBy(waiting), rules);
    const sessionId = idFromBytes(parts.sessionId);
    if (decision.act === "turn" || decision.act === "replay") return { standing: "good", sessionId };
    if (decision.act === "end" || decision.reason === "superseded") return { standing: "old", sessionId };
    const { reason } = decision;
    const over = reason === "revoked" || reason === "reused" || reason === "expired" || reason === "idle";
    return over ? { standing: "over" } : { standing: "refused", reason };
  }

  return {
    turn,
    examine,
    /** Resolves when nothing waits any more. */
    async drained(): Promise<void> {
      while (running !== undefined) await running;
    },
  };
}

function sessionIdOf(waiting: Waiting | undefined): Buffer {
  if (waiting === undefined) throw new Error("Bug in Keyturn: an empty group of turns");
  return waiting.parts.sessionId;
}

/** Decides for each request in turn, the later ones seeing what the earlier ones do to the row. */
function decideGroup(group: Group, dependencies: TurningDependencies): void {
  const row = group.rows[0];
  const at = dependencies.database.clock.now();
  const initial = row === undefined ? undefined : stateOf(row);
  let state = initial;
  let ip = null as string | null;
  for (const waiting of group.waiting) {
    const decision = decideTurn(state, presentedBy(waiting), rulesFor(waiting, at, dependencies));
    if (decision.act === "turn") {
      state = decision.next;
      ip = waiting.request.ip ?? null;
      if (decision.adopted) group.adoptedFrom = waiting;
    } else if (decision.act === "end" && state !== undefined) {
      state = { ...state, revokedAt: at, endReason: decision.reason };
      group.reusedBy = waiting;
    } else if (decision.act === "refuse" && decision.reason === "newer_generation") {
      dependencies.log.warn(
        { sessionId: idFromBytes(waiting.parts.sessionId), presented: waiting.parts.generation },
        "A refresh token is newer than its session: was an older copy of the database restored? See restoreWindowUntil",
      );
    }
    group.outcomes.push(outcomeOf(decision, { waiting, rows: group.rows, state, at, dependencies }));
  }
  if (row !== undefined && initial !== undefined && state !== undefined && state !== initial) {
    group.statements = changeStatements({ row, initial, state, at, ip, group });
  }
}

function presentedBy({ parts, request, attempt }: Checked) {
  return {
    generation: parts.generation,
    secret: parts.secret,
    clientId: request.clientId,
    dpopThumbprint: request.dpopThumbprint,
    attempt,
  };
}

function rulesFor(waiting: Checked, at: number, { settings, refreshTokens }: TurningDependencies) {
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

function changeStatements(change: {
  row: TurnRow;
  initial: TurnState;
  state: TurnState;
  at: number;
  ip: string | null;
  group: Group;
}): Sql[] {
  const { row, initial, state, at, ip, group } = change;
  const statements: Sql[] = [];
  if (state.generation !== initial.generation) {
    const { generation, digest, lastUsedAt } = state;
    statements.push(
      updateTurned({
        sessionId: row.id,
        from: initial,
        to: { generation, digest, lastUsedAt, ip, recent: encodeRecent(state.recent) },
      }),
    );
  }
  if (group.adoptedFrom !== undefined) statements.push(adoptedStatement(group.adoptedFrom, state, at));
  if (group.reusedBy !== undefined) {
    const { parts, request } = group.reusedBy;
    const sessionId = idFromBytes(row.id);
    const event: AuditEvent = {
      type: "session.reuse_detected",
      actor: "system",
      userId: idFromBytes(row.user_id),
      sessionId,
      clientId: row.client_id,
      ip: request.ip,
      detail: { presentedGeneration: parts.generation, currentGeneration: state.generation },
    };
    statements.push(...endStatements({ which: whichSession(sessionId), at, reason: "reused", event }));
  }
  return statements;
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
    rows: TurnRow[];
    state: TurnState | undefined;
    at: number;
    dependencies: TurningDependencies;
  },
): TurnOutcome {
  if (decision.act === "refuse") return { outcome: "refused", reason: decision.reason };
  if (decision.act === "end") return { outcome: "refused", reason: "reused" };
  const { waiting, rows, state, dependencies } = context;
  const row = rows[0];
  if (row === undefined || state === undefined) throw new Error("Bug in Keyturn: a turn without a row");
  return {
    outcome: decision.act === "turn" ? "turned" : "replayed",
    refreshToken: encodeSuccessor(decision.successor, waiting.parts.sessionId, dependencies.refreshTokens),
    refreshExpiresAt: Math.min(
      row.expires_at,
      state.lastUsedAt + dependencies.settings.appIdleSeconds * 1000,
    ),
    session: {
      sessionId: idFromBytes(row.id),
      userId: idFromBytes(row.user_id),
      clientId: row.client_id,
      scope: row.scope,
      amr: row.amr.split(" "),
      roles: rows.flatMap(({ role }) => (role === null ? [] : [role])),
      authenticatedAt: row.authenticated_at,
      expiresAt: row.expires_at,
    },
  };
}

function encodeSuccessor(successor: Successor, sessionId: Buffer, refreshTokens: RefreshTokens): string {
  return refreshTokens.encode({ ...successor, sessionId });
}

function stateOf(row: TurnRow): TurnState {
  return {
    clientId: row.client_id,
    dpopThumbprint: row.dpop_thumbprint ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    endReason: row.end_reason ?? undefined,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    generation: row.generation,
    digest: Buffer.from(row.digest.buffer, row.digest.byteOffset, row.digest.byteLength),
    recent: decodeRecent(row.recent),
  };
}
