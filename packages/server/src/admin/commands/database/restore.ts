import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { insertEvent } from "../../../audit/audit.sql.ts";
import type { ResolvedSettings } from "../../../config.ts";
import { systemClock } from "../../../primitives/clock.ts";
import { newId } from "../../../primitives/id.ts";
import {
  createRevocationJournal,
  endAgain,
  endedSessionsFolder,
  passOver,
  readJournal,
} from "../../../sessions/revocation-journal.ts";
import { DatabaseUnavailable } from "../../../storage/database.ts";
import { databaseFile } from "../../../storage/database-file.ts";
import { migrate } from "../../../storage/migrate.ts";
import { openDatabase } from "../../../storage/open.ts";
import { type Examined, examineSqlite, flush, whileAlone } from "../../../storage/sqlite-copy.ts";
import { type SecretPlace, secretPlace } from "./backup.ts";

export type Restored =
  | {
      readonly outcome: "done";
      readonly database: string;
      readonly restored: Examined;
      /** Sessions that had ended since the backup, and are over again. */
      readonly ended: number;
      /** Where the database that was there is kept; undefined when there was none. */
      readonly aside: string | undefined;
      readonly secretIn: SecretPlace;
    }
  | { readonly outcome: "postgres" }
  | { readonly outcome: "in_use" | "has_log" | "no_file"; readonly file: string }
  | { readonly outcome: "unreadable"; readonly file: string; readonly reason: string };

/**
 * Puts a backup in the place of the database, which is kept aside. No server may run on it.
 * @param force also when the database that is there cannot be opened any more, and so cannot say who uses it
 * @throws {DatabaseUnavailable} when the backup is not sound; nothing has changed then
 */
export async function restore(
  settings: ResolvedSettings,
  { file, force, now }: { file: string; force: boolean; now: number },
): Promise<Restored> {
  const place = databaseFile(settings.database);
  if (place === undefined) return { outcome: "postgres" };
  const path = resolve(place);
  const backup = resolve(file);
  if (!existsSync(backup)) return { outcome: "no_file", file: backup };
  // A copy of a running server's file lacks what is in the log beside it.
  if (existsSync(`${backup}-wal`)) return { outcome: "has_log", file: backup };
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const half = `${path}.restoring`;
  clear(half);
  try {
    copyFileSync(backup, half);
    chmodSync(half, 0o600);
    const restored = examineSqlite(half);
    const journal = endedSessionsFolder(settings);
    await noteEnded(path, journal);
    const ended = await prepare(half, { now, journal });
    flush(half);
    const exchanged = exchange({ path, half, force, now }, restored);
    return exchanged.outcome === "done"
      ? { ...exchanged, ended, secretIn: secretPlace(settings) }
      : exchanged;
  } finally {
    clear(half);
  }
}

/**
 * What ended in the database that goes: a server that was killed in that moment, or had no room on its disk, has not
 * noted it. One that cannot be read tells nothing more than the journal does.
 */
async function noteEnded(path: string, folder: string): Promise<void> {
  if (!existsSync(path)) return;
  const ignored = { error() {}, warn() {} };
  try {
    const database = await openDatabase({ url: `sqlite:${path}`, clock: systemClock });
    try {
      await createRevocationJournal({ folder, database, log: ignored }).note();
    } finally {
      await database.close();
    }
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error;
  }
}

/** What has to be otherwise in a database that is behind the world. */
async function prepare(half: string, { now, journal }: { now: number; journal: string }): Promise<number> {
  const database = await openDatabase({ url: `sqlite:${half}` });
  try {
    // Nobody has the database open: it is a file of our own.
    await migrate(database, { serversStopped: true });
    const entries = await readJournal(journal);
    await passOver(database, entries);
    const ended = await endAgain(database, entries);
    const event = {
      type: "database.restored",
      actor: "operator",
      detail: { sessionsEndedAgain: ended },
    } as const;
    await database.batch([insertEvent({ id: newId(now), at: now, event })]);
    return ended;
  } finally {
    await database.close();
  }
}

function exchange(
  { path, half, force, now }: { path: string; half: string; force: boolean; now: number },
  restored: Examined,
) {
  const name = `${path}.before-restore-${new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, "")}`;
  const put = (aside: string | undefined) => {
    // First a second name for nothing: at no moment is there no database, but for that between two renames.
    if (aside !== undefined) renameSync(path, aside);
    renameSync(half, path);
    flush(dirname(path));
    return { outcome: "done" as const, database: path, restored, aside };
  };
  if (!existsSync(path)) return put(undefined);
  try {
    return whileAlone(path, () => put(name)) ?? { outcome: "in_use" as const, file: path };
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error;
    if (!force) return { outcome: "unreadable" as const, file: path, reason: error.message };
    // What belongs to the file that goes aside must not be read with the one that comes.
    for (const end of ["-wal", "-shm"]) if (existsSync(path + end)) renameSync(path + end, name + end);
    return put(name);
  }
}

function clear(file: string): void {
  for (const end of ["", "-wal", "-shm", "-journal", "-clock"]) rmSync(file + end, { force: true });
}
