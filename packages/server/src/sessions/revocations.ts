import { type Clock, toSeconds } from "../primitives/clock.ts";
import { type Id, idFromBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Database, Listener, Sql } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import {
  appendEnded,
  appendRemints,
  appendWide,
  deletePast,
  type Reminted,
  type RevocationRow,
  selectAfter,
  selectPosition,
} from "./revocations.sql.ts";

/** One entry of the revocation feed, as guards receive it. Seconds since 1970, as in a JWT. */
export interface Revocation {
  readonly seq: number;
  /** Every token of this session is refused (tokens minted before `before`, when soft). */
  readonly session?: Id;
  /** Tokens of this client minted before `before` are refused. */
  readonly client?: string;
  /** All tokens minted before `before` are refused. */
  readonly all?: true;
  readonly before: number;
  /** From then on no such token can be alive, and the entry may be forgotten. */
  readonly until: number;
  /** Re-mint: such tokens must be exchanged; nobody is signed out. */
  readonly soft?: true;
}

export type FeedEvent =
  | { readonly type: "snapshot"; readonly seq: number; readonly entries: readonly Revocation[] }
  | { readonly type: "revocation"; readonly entry: Revocation };

export type Revocations = ReturnType<typeof createRevocations>;

type Follower = (event: FeedEvent) => void;

/**
 * How often the table is looked at: while the database tells when there is news, and where it does not. A word can come
 * late where PostgreSQL is short of processor time, and what was revoked is to be dead within a second all the same.
 */
const POLL_MILLISECONDS = { told: 500, untold: 200 };
/** A feed that was not read for so long is behind the others. */
const CURRENT_MILLISECONDS = 2500;
const RETRY_MILLISECONDS = 200;
/** What the first deletion of a process leaves: it cannot know yet whether the clock is right. */
const FIRST_LOOK_SECONDS = 24 * 60 * 60;

interface Dependencies {
  database: Database;
  clock: Clock;
  log: { error(detail: object, message: string): void };
}

/**
 * The ordered stream of "this session is over". The table is the truth; this room reads on from the last number
 * it has seen, whenever somebody wakes it: a revocation in this process, the database's word of another one's, and the
 * poll, which is slow only while such words arrive.
 */
export function createRevocations({ database, clock, log }: Dependencies) {
  const followers = new Set<Follower>();
  const streams = new Set<() => void>();
  let position: number | undefined;
  let reading: Promise<void> | undefined;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  let listener: Listener | undefined;
  let wakes = 0;
  let readAt = Number.NEGATIVE_INFINITY;
  /** When what is past was deleted last; seconds since 1970. */
  let lookedAt: number | undefined;

  async function entriesAfter(seq: number): Promise<Revocation[]> {
    const now = toSeconds(clock.now());
    const entries: Revocation[] = [];
    for (let after = seq; ; ) {
      const rows = await database.all<RevocationRow>(selectAfter(after, now, limits.feedEntriesPerPageMax));
      for (const row of rows) entries.push(fromRow(row));
      const last = rows.at(-1);
      if (last === undefined || rows.length < limits.feedEntriesPerPageMax) return entries;
      after = last.seq;
    }
  }

  async function currentPosition(): Promise<number> {
    return (await database.one<{ seq: number }>(selectPosition()))?.seq ?? 0;
  }

  async function snapshot(): Promise<FeedEvent & { type: "snapshot" }> {
    // The position first: an entry that comes between the two reads is sent twice, never lost.
    const seq = await currentPosition();
    return { type: "snapshot", seq, entries: await entriesAfter(0) };
  }

  /** What a reader who has seen `seq` still needs. A number that we never gave out gets a snapshot. */
  async function since(seq: number | undefined): Promise<FeedEvent[]> {
    const current = await currentPosition();
    if (seq === undefined || seq > current) return [await snapshot()];
    return (await entriesAfter(seq)).map((entry) => ({ type: "revocation", entry }));
  }

  /** A follower that throws must not keep the news from the others, nor end the process. */
  function deliver(follower: Follower, event: FeedEvent): void {
    try {
      follower(event);
    } catch (error) {
      log.error({ err: error }, "A follower of the revocation feed failed on an event");
    }
  }

  async function readOn(): Promise<void> {
    const current = await currentPosition();
    readAt = performance.now();
    if (position === undefined || current === position) {
      position = current;
      return;
    }
    const events = current < position ? [await snapshot()] : await since(position);
    for (const event of events) {
      const seq = event.type === "snapshot" ? event.seq : event.entry.seq;
      position = event.type === "snapshot" ? seq : Math.max(position, seq);
      for (const follower of [...followers]) deliver(follower, event);
    }
    // Entries that were past before we read them leave no event.
    position = Math.max(position, current);
  }

  /** Reads on now. Calls that come while a read is under way share the next one. */
  function wake(): Promise<void> {
    wakes += 1;
    again = true;
    reading ??= (async () => {
      try {
        while (again) {
          again = false;
          await readOn();
        }
      } catch (error) {
        log.error({ err: error }, "The revocation feed could not be read; it is tried again");
      } finally {
        reading = undefined;
      }
    })();
    return reading;
  }

  function pollAgain(every: typeof POLL_MILLISECONDS): void {
    timer = setTimeout(
      async () => {
        const before = { position, wakes };
        await wake();
        // News that only the poll has found: whatever should have told of it may be gone.
        if (position !== before.position && wakes === before.wakes + 1) listener?.doubt();
        if (timer !== undefined) pollAgain(every);
      },
      listener?.hears() ? every.told : every.untold,
    );
    timer.unref();
  }

  return {
    /** Begins to look for what other processes have revoked. */
    async start(every = POLL_MILLISECONDS): Promise<void> {
      position = await currentPosition();
      readAt = performance.now();
      listener = database.listen("keyturn_feed", () => void wake());
      pollAgain(every);
    },
    /** Ends the poll and every stream that follows. */
    stop(): void {
      clearTimeout(timer);
      timer = undefined;
      void listener?.stop();
      followers.clear();
      for (const end of [...streams]) end();
      streams.clear();
    },
    /** Has `end` called by `stop`. Returns what takes that back. */
    onStop(end: () => void): () => void {
      streams.add(end);
      return () => void streams.delete(end);
    },
    wake,
    snapshot,
    since,
    /** Whether the table was read a moment ago. Whoever hands the feed on must fall silent when it was not. */
    isCurrent: () => performance.now() - readAt < CURRENT_MILLISECONDS,
    /**
     * Calls the listener with what a reader who has seen `seq` needs, then with everything new, in order, until
     * the returned function is called. When the past cannot be read it is tried again, unless there is `onFailed`:
     * then that is called, and nothing follows.
     */
    follow(listener: Follower, seq?: number, onFailed?: () => void): () => void {
      // What arrives while the past is being read waits, so that nothing is out of order and nothing is lost.
      let waiting: FeedEvent[] | undefined = [];
      let seen = seq ?? 0;
      const send = (event: FeedEvent) => {
        // The read of the past and the next look at the table may find the same entry. The order of the numbers
        // is the order of the commits, so nothing new has a number that was passed.
        if (event.type === "revocation" && event.entry.seq <= seen) return;
        seen = event.type === "snapshot" ? event.seq : event.entry.seq;
        deliver(listener, event);
      };
      const follower = (event: FeedEvent) => (waiting ? void waiting.push(event) : send(event));
      followers.add(follower);
      const catchUp = () => {
        if (!followers.has(follower)) return;
        since(seq).then(
          (past) => {
            const held = waiting ?? [];
            waiting = undefined;
            if (followers.has(follower)) for (const event of [...past, ...held]) send(event);
          },
          (error) => {
            log.error({ err: error }, "The revocation feed could not be read for a new reader");
            if (onFailed === undefined) setTimeout(catchUp, RETRY_MILLISECONDS).unref();
            else if (followers.delete(follower)) onFailed();
          },
        );
      };
      catchUp();
      return () => void followers.delete(follower);
    },
    followers: () => followers.size,
    /** Revokes every token of a client, or of everyone, minted until now. */
    async revokeWide(scope: { client: string } | { all: true }, { soft = false } = {}): Promise<void> {
      const clientId = "client" in scope ? scope.client : null;
      await database.batch(appendWide({ clientId, soft, ...validity(clock.now()) }));
      await wake();
    },
    /**
     * Deletes entries that no token needs any more. A clock that is ahead for an hour or a day is no reason to forget what
     * is needed when it is right again: so what counts is the time of the look before, an hour ago.
     */
    async deletePast(): Promise<void> {
      const now = toSeconds(clock.now());
      const end = Math.min(now, lookedAt ?? now - FIRST_LOOK_SECONDS);
      lookedAt = now;
      await deleteInSlices(database, (rows) => deletePast(end, rows));
    },
  };
}

/** The feed's part of the transaction that ends sessions. */
export function endedStatements(ended: { which: Sql; eventId: Id; at: number }): Sql[] {
  return appendEnded({ which: ended.which, eventId: ended.eventId, ...validity(ended.at) });
}

/** The feed's part of the transaction that changes what tokens say. @param before seconds since 1970 */
export function remintStatements(reminted: Reminted, before: number): Sql[] {
  const entry = { before, until: untilOf(before) };
  return reminted === "everybody"
    ? appendWide({ ...entry, clientId: null, soft: true })
    : appendRemints({ ...entry, sessions: reminted.sessions });
}

/**
 * `before` is the next whole second: a token minted in the same second counts as minted before. `until` is when
 * the last access token minted by then has expired for the most tolerant verifier.
 */
function validity(at: number): { before: number; until: number } {
  const before = toSeconds(at) + 1;
  return { before, until: untilOf(before) };
}

const untilOf = (before: number) => before + limits.accessTokenSecondsMax + limits.clockToleranceSecondsMax;

function fromRow(row: RevocationRow): Revocation {
  return {
    seq: row.seq,
    ...(row.session_id ? { session: idFromBytes(row.session_id) } : {}),
    ...(row.client_id === null ? {} : { client: row.client_id }),
    ...(row.session_id === null && row.client_id === null ? { all: true as const } : {}),
    before: row.before_seconds,
    until: row.until_seconds,
    ...(row.soft ? { soft: true as const } : {}),
  };
}
