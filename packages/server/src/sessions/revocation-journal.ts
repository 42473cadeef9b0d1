import { mkdir, open, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Id, idFromBytes, isId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Database } from "../storage/database.ts";
import { type EndReason, endStatements } from "./end.ts";
import {
  type EndedRow,
  selectAliveOf,
  selectEndedAfter,
  selectPosition,
  skipPositions,
} from "./revocations.sql.ts";
import { whichAlone } from "./sessions.sql.ts";

/*
 * Which sessions have ended, beside the database: an older copy of the database does not know it, and a session that
 * somebody ended must not come alive again by a restore.
 *
 * Lines are added and never changed. They are filed by the month in which the session would have ended by itself: a
 * file whose month is over is deleted whole, and no file is ever rewritten under somebody who writes to it.
 */

export interface JournalEntry {
  /** Its number in the feed. */
  readonly seq: number;
  readonly id: Id;
  /** When it would have ended by itself; milliseconds since 1970. */
  readonly expiresAt: number;
  readonly endedAt: number;
  readonly reason: EndReason;
}

/** Where it is: in the data folder, beside the database, so that the loss of the one is not that of the other. */
export const endedSessionsFolder = ({ data }: { data: string }): string => join(data, "ended-sessions");

const FILE = /^ended-(\d{4})-(\d{2})\.journal$/;
const LINE = /^(\d+) (\S+) (\d+) (\d+) ([a-z_]+)$/;
/** Several processes may write to one file, so the newest line may not be the very last one. */
const TAIL_BYTES = 64 * 1024;
/** Numbers of the feed that are passed over after a restore: more than were given out since any copy. */
const POSITIONS_SKIPPED = 1_000_000_000;
/** A position that is further ahead of a node's notes has passed numbers over: so many were never given out between. */
const POSITIONS_FAR = POSITIONS_SKIPPED / 2;

/** @param folder is made when the first session ends */
export function createRevocationJournal({
  folder,
  database,
  log,
}: {
  folder: string;
  database: Database;
  log: { error(detail: object, message: string): void; warn(detail: object, message: string): void };
}) {
  let noted: number | undefined;
  let running: Promise<void> | undefined;
  let again = false;

  const positionNow = async () => (await database.one<{ seq: number }>(selectPosition()))?.seq ?? 0;

  async function noteOnce(): Promise<void> {
    // The number first: what is ended between the two reads is noted now, and perhaps once more.
    let position = await positionNow();
    noted ??= await newestIn(folder);
    // Behind what was noted: an older copy was put in its place, or a replica that lagged took over. Far ahead of it:
    // another node has found that out first, and has ended again what it knew itself.
    const isFirst = position < noted;
    if (isFirst || position - noted > POSITIONS_FAR) {
      const entries = await readJournal(folder);
      if (isFirst) await passOver(database, entries);
      const ended = await endAgain(database, entries);
      if (isFirst || ended > 0)
        log.warn({ ended }, "The database is an older copy: sessions that had ended since were ended again");
      position = await positionNow();
    }
    if (position === noted) return;
    for (let after = noted; ; ) {
      const rows = await database.all<EndedRow>(selectEndedAfter(after, limits.feedEntriesPerPageMax));
      await append(folder, rows.map(entryFrom));
      const last = rows.at(-1);
      if (last === undefined || rows.length < limits.feedEntriesPerPageMax) break;
      after = last.seq;
    }
    noted = position;
  }

  return {
    /**
     * Adds whatever has ended and is not in it yet, durably. Calls that come while one is under way share the next.
     * When the database turns out to be an older copy, what had ended since is ended again first: a start does this
     * before anybody is served. A journal that cannot be written ends nothing else: the session is over in the database.
     */
    note(): Promise<void> {
      again = true;
      running ??= (async () => {
        try {
          while (again) {
            again = false;
            await noteOnce();
          }
        } catch (error) {
          log.error(
            { err: error },
            "The journal of ended sessions could not be written: a restore would not know of them",
          );
        } finally {
          running = undefined;
        }
      })();
      return running;
    },

    /** Resolves when nothing is being noted. */
    settled: async () => running,

    /** Takes away what speaks of sessions that are past their end in any case. */
    async deletePast(): Promise<void> {
      for (const name of await filesIn(folder)) {
        const [, year, month] = FILE.exec(name) ?? [];
        if (database.clock.now() >= Date.UTC(Number(year), Number(month))) await rm(join(folder, name));
      }
    },
  };
}

/** Once after a restore: numbers of the feed that were given out since the copy are given out no more. */
export async function passOver(database: Database, entries: readonly JournalEntry[]): Promise<void> {
  await database.batch([skipPositions({ beyond: newestOf(entries), many: POSITIONS_SKIPPED })]);
}

/** Ends the sessions of the journal that a restored database takes for alive; how many. */
export async function endAgain(database: Database, entries: readonly JournalEntry[]): Promise<number> {
  const at = database.clock.now();
  const byId = new Map(entries.filter(({ expiresAt }) => expiresAt > at).map((entry) => [entry.id, entry]));
  const ids = [...byId.keys()];
  let ended = 0;
  for (let from = 0; from < ids.length; from += limits.pageRowsMax) {
    const alive = await database.all<{ id: Uint8Array; user_id: Uint8Array }>(
      selectAliveOf(ids.slice(from, from + limits.pageRowsMax)),
    );
    for (const row of alive) {
      const sessionId = idFromBytes(row.id);
      const { reason, endedAt } = byId.get(sessionId) as JournalEntry;
      const event = {
        type: "session.ended" as const,
        actor: "system" as const,
        userId: idFromBytes(row.user_id),
        sessionId,
        detail: { reason, endedBefore: new Date(endedAt).toISOString(), restored: true },
      };
      await database.batch(endStatements({ which: whichAlone(sessionId), at, reason, event }));
      ended += 1;
    }
  }
  return ended;
}

/** All that is in it. A line that a crash cut short is not. */
export async function readJournal(folder: string): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  for (const name of await filesIn(folder))
    for (const entry of entriesIn(await readFile(join(folder, name), "utf8"))) entries.push(entry);
  return entries;
}

function entriesIn(text: string): JournalEntry[] {
  return text.split("\n").flatMap((line) => {
    const [, seq, id, expiresAt, endedAt, reason] = LINE.exec(line) ?? [];
    if (!isId(id)) return [];
    const [number, expires, ended] = [seq, expiresAt, endedAt].map(Number) as [number, number, number];
    return [{ seq: number, id, expiresAt: expires, endedAt: ended, reason: reason as EndReason }];
  });
}

const newestOf = (entries: readonly JournalEntry[]) =>
  entries.reduce((newest, { seq }) => Math.max(newest, seq), 0);

/** The largest number in it: lines are added in their order, so the ends of the files are enough. */
async function newestIn(folder: string): Promise<number> {
  let newest = 0;
  for (const name of await filesIn(folder)) {
    const file = await open(join(folder, name), "r");
    try {
      const { size } = await file.stat();
      const from = Math.max(0, size - TAIL_BYTES);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(TAIL_BYTES), 0, TAIL_BYTES, from);
      newest = Math.max(newest, newestOf(entriesIn(buffer.toString("utf8", 0, bytesRead))));
    } finally {
      await file.close();
    }
  }
  return newest;
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => FILE.test(name)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function append(folder: string, entries: readonly JournalEntry[]): Promise<void> {
  const files = new Map<string, string>();
  for (const { seq, id, expiresAt, endedAt, reason } of entries) {
    const name = `ended-${new Date(expiresAt).toISOString().slice(0, 7)}.journal`;
    // A line begins with its break: one that a crash has cut short does not spoil the next.
    files.set(name, `${files.get(name) ?? ""}\n${seq} ${id} ${expiresAt} ${endedAt} ${reason}`);
  }
  if (files.size > 0) await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [name, text] of files) {
    const file = await open(join(folder, name), "a", 0o600);
    try {
      await file.writeFile(`${text}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
  }
}

function entryFrom(row: EndedRow): JournalEntry {
  return {
    seq: row.seq,
    id: idFromBytes(row.id),
    expiresAt: row.expires_at,
    endedAt: row.revoked_at,
    reason: row.end_reason as EndReason,
  };
}
