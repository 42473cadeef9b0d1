import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { ResolvedSettings } from "../../../config.ts";
import type { Clock } from "../../../primitives/clock.ts";
import type { Database } from "../../../storage/database.ts";
import { pendingMigrations, tablesAre } from "../../../storage/migrate.ts";
import { openDatabase } from "../../../storage/open.ts";
import { writeNothing } from "./diagnosis.sql.ts";
import { isOpenToOthers } from "./files.ts";
import { type Finding, fail, lineOf, ok, warn } from "./finding.ts";
import { diagnoseKeys } from "./keys.ts";

/** More than that between two clocks is more than a slow answer explains. */
const CLOCK_DISTANCE_MS = 2_000;

interface Beside {
  readonly masters: readonly Uint8Array[] | undefined;
  readonly machineClock: Clock;
}

export async function* diagnoseDatabase(settings: ResolvedSettings, beside: Beside): AsyncGenerator<Finding> {
  const { database: url } = settings;
  if (url.startsWith("sqlite:")) {
    const found = lookAtFile(url.slice("sqlite:".length));
    if (found.state !== "ok") {
      yield found;
      return;
    }
    yield found;
  }
  let database: Database;
  try {
    database = await openDatabase({ url });
  } catch (error) {
    yield fail("database", lineOf(error));
    return;
  }
  try {
    yield* diagnoseOpen(database, { settings, ...beside });
  } catch (error) {
    yield fail("database", lineOf(error));
  } finally {
    await database.close();
  }
}

async function* diagnoseOpen(
  database: Database,
  { settings, masters, machineClock }: Beside & { settings: ResolvedSettings },
): AsyncGenerator<Finding> {
  yield ok("database", `${database.engine === "sqlite" ? "SQLite" : "PostgreSQL"} answers`);
  const pending = await pendingMigrations(database);
  if (pending.length > 0) {
    const names = pending.map(({ version, name }) => `${version} ${name}`).join(", ");
    yield warn("tables", `to be made or changed: ${names}; the next start does it, or keyturn migrate`);
    return;
  }
  yield (await tablesAre(database)) === "newer"
    ? warn("tables", "a newer Keyturn has changed them; this one runs beside it: upgrade it too")
    : ok("tables", "they are up to date");
  await database.batch([writeNothing()]);
  yield ok("database", "it takes writes");
  if (database.engine === "postgres") yield clockFinding(database.clock.now() - machineClock.now());
  yield* diagnoseKeys(database, { settings, masters });
}

function clockFinding(distance: number): Finding {
  const seconds = Math.abs(distance / 1000).toFixed(1);
  if (Math.abs(distance) < CLOCK_DISTANCE_MS) return ok("clock", "this machine and the database agree");
  return warn(
    "clock",
    `this machine is ${seconds} s ${distance > 0 ? "behind" : "ahead of"} the database, whose clock is the one that counts: set up time synchronisation (NTP)`,
  );
}

/**
 * Looks at a SQLite file before SQLite does. Opening a file of another program, or an empty one, would turn on its
 * write-ahead log and so change it; one of ours has it on.
 */
function lookAtFile(path: string): Finding {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return warn("database", `there is no ${path} yet: the first start makes it`);
  if (!status.isFile())
    return fail("database", `${path} is not a file: give the path of one by KEYTURN_DATABASE`);
  try {
    const header = Buffer.alloc(100);
    const descriptor = openSync(path, "r+");
    try {
      readSync(descriptor, header);
    } finally {
      closeSync(descriptor);
    }
    // https://sqlite.org/fileformat2.html §1.3: the magic string; 2 at offset 18 for a write-ahead log.
    const isOurs = header.toString("latin1", 0, 16) === "SQLite format 3\0" && header[18] === 2;
    if (!isOurs) {
      return fail(
        "database",
        `${path} is no database that Keyturn made: give another path, or restore it from a backup`,
      );
    }
  } catch (error) {
    return fail(
      "database",
      `${path} cannot be read and written (${(error as NodeJS.ErrnoException).code}): change its owner or mode`,
    );
  }
  if (isOpenToOthers(status)) return warn("database", `other users can read ${path}: chmod 600 ${path}`);
  return ok("database", `${path} is this user's alone`);
}
