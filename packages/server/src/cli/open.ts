import { existsSync } from "node:fs";
import { openRooms, type Rooms } from "../app-rooms.ts";
import type { ResolvedSettings } from "../config.ts";
import { createLog } from "../observability/log.ts";
import { DatabaseUnavailable } from "../storage/database.ts";
import { databaseFile } from "../storage/database-file.ts";
import { loadSettings, type SettingsSources } from "./settings.ts";
import type { Terminal } from "./terminal.ts";

/** What a command is given. */
export interface Context {
  readonly terminal: Terminal;
  readonly sources: SettingsSources;
  readonly json: boolean;
}

/**
 * Opens the database, works in it beside whatever servers run on it, and closes it. Nothing is made: a command in
 * the wrong folder must not leave an empty database there.
 */
export async function inRooms<T>(context: Context, work: (rooms: Rooms) => Promise<T>): Promise<T> {
  const { settings, hooks } = await loadSettings(context.sources);
  requireDatabase(settings);
  const log = createLog({ logLevel: settings.logLevel === "silent" ? "silent" : "error" });
  const rooms = await openRooms(settings, { log, migrate: false, hooks });
  try {
    return await work(rooms);
  } finally {
    await rooms.close();
  }
}

/** The file of a SQLite database; undefined for another engine. */
export function sqliteFile({ database }: Pick<ResolvedSettings, "database">): string | undefined {
  return databaseFile(database);
}

/** @throws {DatabaseUnavailable} when there is no file: opening would make one */
export function requireDatabase(settings: ResolvedSettings): void {
  const file = sqliteFile(settings);
  if (file === undefined || existsSync(file)) return;
  throw new DatabaseUnavailable(
    `There is no database ${file} yet: start the server or run keyturn migrate, or give the right one by KEYTURN_DATABASE or KEYTURN_DATA`,
  );
}
