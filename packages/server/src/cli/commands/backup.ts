import { backUp, type SecretPlace } from "../../admin/commands/database/backup.ts";
import { restore as restoreDatabase } from "../../admin/commands/database/restore.ts";
import { systemClock } from "../../primitives/clock.ts";
import { databaseName } from "../database-name.ts";
import type { Context } from "../open.ts";
import { type Outcome, refused } from "../outcome.ts";
import { loadSettings } from "../settings.ts";
import { isoTime } from "../terminal.ts";

/** How long clients have to come back after a restore, in the line that the operator is shown. */
const WINDOW_HOURS = 4;

export async function backup(
  context: Context,
  file: string,
  { force = false }: { force?: boolean },
): Promise<Outcome> {
  const { settings } = await loadSettings(context.sources);
  const done = await backUp(settings, { file, force });
  switch (done.outcome) {
    case "done": {
      const { version, rows } = done.copied;
      const sessions = rows.sessions ?? 0;
      return {
        outcome: "done",
        json: { file: done.file, bytes: done.bytes, version, rows, secret: secretJson(done.secretIn) },
        text: [
          `Wrote ${done.file}: ${done.bytes} bytes, ${Object.keys(rows).length} tables, ${sessions} sessions, ${rows.users ?? 0} users; examined and sound.`,
          `The master secret is not in it and is needed with it: ${secretText(done.secretIn)}. Keep the two apart.`,
        ].join("\n"),
      };
    }
    case "postgres":
      return refused("not_sqlite", postgresText("backup", settings.database));
    case "exists":
      return refused("file_exists", `${done.file} is there already: give another name, or --force.`);
    case "is_the_database":
      return refused("file_is_database", `${done.file} is the database itself: give another name.`);
    case "no_database":
      return refused("not_found", `There is no database ${done.file}.`);
  }
}

export async function restore(
  context: Context,
  file: string,
  { force = false }: { force?: boolean },
): Promise<Outcome> {
  const { settings } = await loadSettings(context.sources);
  const now = systemClock.now();
  const done = await restoreDatabase(settings, { file, force, now });
  switch (done.outcome) {
    case "done": {
      const { database, aside, restored } = done;
      const window = `KEYTURN_RESTORE_WINDOW_UNTIL=${isoTime(now + WINDOW_HOURS * 3_600_000).replace(/\.\d+Z$/, "Z")}`;
      return {
        outcome: "done",
        json: {
          database,
          aside: aside ?? null,
          sessionsEndedAgain: done.ended,
          version: restored.version,
          rows: restored.rows,
          secret: secretJson(done.secretIn),
        },
        text: [
          `Restored ${database}: ${restored.rows.sessions ?? 0} sessions, ${restored.rows.users ?? 0} users.`,
          ...(done.ended === 0
            ? []
            : [`${done.ended} sessions that had ended since the backup were ended again.`]),
          ...(aside === undefined ? [] : [`What was there is kept as ${aside}.`]),
          `It needs the master secret of its time: ${secretText(done.secretIn)}.`,
          "Refresh tokens that are newer than the backup are refused until you open a window, and nobody's session is ended by that. To take them up again, start with:",
          `  ${window}`,
        ].join("\n"),
      };
    }
    case "postgres":
      return refused("not_sqlite", postgresText("restore", settings.database));
    case "no_file":
      return refused("not_found", `There is no file ${done.file}.`);
    case "has_log":
      return refused(
        "backup_has_log",
        `${done.file} has a log beside it (-wal): it is the file of a server, not a backup. Make one by keyturn backup.`,
      );
    case "in_use":
      return refused(
        "database_in_use",
        `Another program has ${done.file} open: stop every server on it first.`,
      );
    case "unreadable":
      return refused(
        "database_unreadable",
        `The database that is there cannot be opened, so it cannot be seen who uses it (${done.reason}). Stop every server on it, then add --force: it is kept aside.`,
      );
  }
}

function secretText(place: SecretPlace): string {
  return "setting" in place ? "the one of KEYTURN_SECRET" : `the file ${place.file}`;
}

function secretJson(place: SecretPlace): object {
  return "setting" in place ? { variable: "KEYTURN_SECRET" } : { file: place.file };
}

/** The command to run instead. The address may hold a password, which is not repeated. */
function postgresText(what: "backup" | "restore", url: string): string {
  const name = databaseName(url);
  const schema = URL.canParse(url) ? new URL(url).searchParams.get("schema") : null;
  const only = schema === null ? "" : ` --schema=${schema}`;
  const command =
    what === "backup"
      ? `pg_dump --format=custom${only} --file=keyturn.dump ${name}`
      : `pg_restore --clean --if-exists --single-transaction --no-owner --dbname=${name} keyturn.dump`;
  const why =
    what === "backup"
      ? "PostgreSQL's own tool reads one snapshot beside running nodes, and is of your server's version; for the last second before a loss you want its continuous archiving anyway"
      : "stop every node first; PostgreSQL's own tool knows its dump";
  return `This database is PostgreSQL. Run: ${command} (${why}). See docs/production.md.`;
}
