import { existsSync } from "node:fs";
import { migrate as migrateDatabase, pendingMigrations } from "../../storage/migrate.ts";
import { migrations as allMigrations, type Migration } from "../../storage/migrations/index.ts";
import { openDatabase } from "../../storage/open.ts";
import { databaseName } from "../database-name.ts";
import { type Context, sqliteFile } from "../open.ts";
import type { Outcome } from "../outcome.ts";
import { loadSettings } from "../settings.ts";
import { progress } from "../terminal.ts";

type Named = Pick<Migration, "version" | "name">;

/** Brings the tables up to this program; with `dryRun` only says what would be done. */
export async function migrate(
  context: Context,
  { dryRun = false, serversStopped = false }: { dryRun?: boolean; serversStopped?: boolean },
): Promise<Outcome> {
  const { settings } = await loadSettings(context.sources);
  const { database: url } = settings;
  const file = sqliteFile(settings);
  // Opening would make the file.
  if (dryRun && file !== undefined && !existsSync(file))
    return outcomeOf(url, { dryRun, migrations: allMigrations });
  const telling = progress(context.terminal);
  const database = await openDatabase({ url });
  try {
    const pending = await pendingMigrations(database, undefined, { exactly: true });
    if (dryRun) return outcomeOf(url, { dryRun, migrations: pending });
    const done: Named[] = [];
    const next = () => pending[done.length];
    const tell = () => {
      const one = next();
      if (one)
        telling.say(`Migration ${one.version} ${one.name} (${done.length + 1} of ${pending.length}) …`);
    };
    tell();
    await migrateDatabase(database, {
      serversStopped,
      onProgress(migration) {
        done.push(migration);
        tell();
      },
    });
    return outcomeOf(url, { dryRun, migrations: done });
  } finally {
    telling.end();
    await database.close();
  }
}

function outcomeOf(
  url: string,
  { dryRun, migrations }: { dryRun: boolean; migrations: readonly Named[] },
): Outcome {
  const database = databaseName(url);
  const lines = migrations.map(({ version, name }) => `${version} ${name}`);
  const heading = dryRun ? `To be run on ${database}:` : `Run on ${database}:`;
  return {
    outcome: "done",
    json: { database, dryRun, migrations: migrations.map(({ version, name }) => ({ version, name })) },
    text:
      lines.length === 0
        ? `${database} is up to date.`
        : [heading, ...lines.map((line) => `  ${line}`)].join("\n"),
  };
}
