import { hmacSha256 } from "../primitives/digest.ts";
import { idFromBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { DatabaseUnavailable } from "../storage/database.ts";
import { rightsFromRow } from "./rights.ts";
import { decideTurn, type TurnRefusal } from "./turn.ts";
import {
  decideGroup,
  type Examination,
  type Group,
  presentedBy,
  rulesFor,
  stateOf,
  type TurningDependencies,
  type TurnOutcome,
  type TurnRequest,
  turnedSession,
  type Waiting,
} from "./turn-group.ts";
import { selectForTurn, type TurnRow } from "./turning.sql.ts";

export type { TurnOutcome } from "./turn-group.ts";

export type Turning = ReturnType<typeof createTurning>;

/**
 * Makes turns happen. Requests that arrive while a transaction is under way share the next one: one trip, one
 * flush to disk, for all of them. No reply leaves before its transaction has committed.
 */
export function createTurning(dependencies: TurningDependencies) {
  const { database, refreshTokens, attemptDigestKey, settings, onEnded } = dependencies;
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
        // The replies leave and what has come in is read before the next batch closes: fuller batches, fewer
        // transactions, and a fifth more turns a second.
        await new Promise<void>((done) => setImmediate(done));
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
      const held = await write(groups);
      open = [];
      for (const [index, group] of groups.entries()) {
        if (held[index]) settle(group);
        else open.push(...group.waiting);
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
    const sorted = [...bySession.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, waiting]) => waiting);
    const readAt = database.clock.now();
    const { audience } = settings;
    const askedBy = sorted.map(resourcesAsked);
    const rows = await database.each<TurnRow>(
      sorted.flatMap((waiting, index) =>
        (askedBy[index] ?? []).map((asked) => selectForTurn(sessionIdOf(waiting[0]), { asked, audience })),
      ),
    );
    let at = 0;
    return sorted.map((waiting, index) => ({
      sessionId: sessionIdOf(waiting[0]),
      waiting,
      row: rows[at]?.[0],
      rowsAsked: rowsByAsked(askedBy[index] ?? [], () => rows[at++]?.[0]),
      readAt,
      outcomes: [],
      rowStatements: [],
      laterStatements: [],
      reusedBy: undefined,
      adoptedFrom: undefined,
    }));
  }

  /**
   * Writes what the groups have decided, in one transaction. Whether each group's decisions still held.
   *
   * All sessions' rows first, in the order of their ids, then the feed: two nodes that lock in one order never wait
   * for each other in a ring.
   */
  async function write(groups: Group[]): Promise<boolean[]> {
    const rows = groups.flatMap((group) => group.rowStatements);
    if (rows.length === 0) return groups.map(() => true);
    const results = await database.batch([...rows, ...groups.flatMap((group) => group.laterStatements)]);
    let at = 0;
    return groups.map(({ rowStatements }) => {
      const first = results[at];
      at += rowStatements.length;
      return rowStatements.length === 0 || first?.changes === 1;
    });
  }

  function settle(group: Group): void {
    const answer = () => {
      for (const [index, { resolve }] of group.waiting.entries()) {
        const outcome = group.outcomes[index];
        if (outcome !== undefined) resolve(outcome);
      }
    };
    // Also what another process has ended, which may have been killed before it could note it.
    if (group.outcomes.some((outcome) => outcome?.outcome === "refused" && isEnd(outcome.reason)))
      void onEnded().then(answer, answer);
    else answer();
  }

  /**
   * What a refresh token would be worth, without using it. Whoever holds it may ask, without a proof of the key that
   * it is bound to: all that this is for is ending the session (RFC 7009 §2.1 asks public clients for no more).
   */
  async function examine(request: TurnRequest): Promise<Examination> {
    const parts = refreshTokens.decode(request.token);
    if (parts === undefined) return { standing: "refused", reason: "malformed" };
    const [row] = await database.all<TurnRow>(selectForTurn(parts.sessionId, settings));
    const now = database.clock.now();
    const bound = { ...request, dpopThumbprint: row?.dpop_thumbprint ?? undefined };
    const waiting = { request: bound, parts, attempt: undefined };
    const rules = rulesFor(waiting, now, dependencies);
    const decision = decideTurn(row && stateOf(row, settings.audience), presentedBy(waiting), rules);
    const sessionId = idFromBytes(parts.sessionId);
    if (row !== undefined && decision.act !== "refuse" && decision.act !== "end") {
      const session = turnedSession(row, { sessionId: parts.sessionId, rights: rightsFromRow(row, now) });
      const endsAt = Math.min(row.expires_at, row.last_used_at + settings.appIdleSeconds * 1000);
      return { standing: "good", sessionId, session, refreshExpiresAt: endsAt };
    }
    if (decision.act !== "refuse" || decision.reason === "superseded") return { standing: "old", sessionId };
    const { reason } = decision;
    if (isEnd(reason)) await onEnded();
    const over = isEnd(reason) || reason === "expired" || reason === "idle";
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

/** Whether it says that somebody, or something, has ended the session before its time. */
const isEnd = (reason: TurnRefusal | "malformed") => reason === "revoked" || reason === "reused";

/** What the requests for one session want rights at, each once: mostly one, and that undefined, for all that it is for. */
function resourcesAsked(waiting: readonly Waiting[]): readonly (string | undefined)[] {
  const [first, ...others] = waiting.map(({ request }) => request.asked?.resources);
  return others.every((one) => one === first) ? [first] : [...new Set([first, ...others])];
}

const noRows: ReadonlyMap<string | undefined, TurnRow> = new Map();

function rowsByAsked(asked: readonly (string | undefined)[], next: () => TurnRow | undefined) {
  if (asked.length === 1) {
    next();
    return noRows;
  }
  const rows = new Map<string | undefined, TurnRow>();
  for (const one of asked) {
    const row = next();
    if (row !== undefined) rows.set(one, row);
  }
  return rows;
}

function sessionIdOf(waiting: Waiting | undefined): Buffer {
  if (waiting === undefined) throw new Error("Bug in Keyturn: an empty group of turns");
  return waiting.parts.sessionId;
}
