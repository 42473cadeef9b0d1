import sql, { raw } from "sql-template-tag";
import type { Database, Engine, Transaction } from "./database.ts";
import { insertMark, MARKS_FROM, type Mark, refuseMarked } from "./marks.ts";
import { migrations as allMigrations, type Migration } from "./migrations/index.ts";

/** The tables were made by a newer Keyturn. This one would misread them and does not start. */
export class DatabaseTooNew extends Error {
  override readonly name = "DatabaseTooNew";
}

/** One number for every Keyturn: who holds it in PostgreSQL changes tables, the others wait. "keyturn" in bytes. */
const ADVISORY_LOCK = 0x6b_65_79_74;

/** Also on a database that is half moved: for the move itself. */
interface Marked {
  ignoresMarks?: boolean;
}

export interface MigrateOptions extends Marked {
  /** Called after each migration that this call ran. */
  onProgress?(done: { version: number; name: string }): void;
  /** Instead of those in ./migrations. For tests. */
  migrations?: readonly Migration[];
}

/**
 * What `migrate` would run, oldest first. Reads only.
 * @throws {DatabaseTooNew}
 * @throws {DatabaseUnavailable} when a move is under way, or was made
 */
export async function pendingMigrations(
  database: Database,
  migrations: readonly Migration[] = allMigrations,
  { ignoresMarks = false }: Marked = {},
): Promise<Migration[]> {
  const present = await database.one<{ n: number }>(hasTable(database.engine));
  if (present === undefined || present.n === 0) return [...migrations];
  const rows = await database.all<Mark>(
    sql`SELECT version, name, applied_at FROM schema_migrations ORDER BY version`,
  );
  const applied = rows.filter(({ version }) => version < MARKS_FROM);
  if (!ignoresMarks) refuseMarked(rows, database.clock.now());
  refuseNewer(applied.at(-1)?.version ?? 0, migrations);
  const versions = new Set(applied.map((row) => row.version));
  return migrations.filter(({ version }) => !versions.has(version));
}

/**
 * Brings the tables up to this program. Any number of nodes may start at once: each migration is one transaction
 * that takes its place in `schema_migrations` first, so that a second node waits there and then sees it done.
 * @throws {DatabaseTooNew}
 */
export async function migrate(database: Database, options: MigrateOptions = {}): Promise<void> {
  const migrations = options.migrations ?? allMigrations;
  for (const migration of await pendingMigrations(database, migrations, options)) {
    const done = await database.transaction(async (tx) => {
      await prepare(tx, database.engine);
      refuseNewer(
        (
          await tx.one<{ newest: number }>(
            sql`SELECT COALESCE(MAX(version), 0) AS newest FROM schema_migrations WHERE version < ${MARKS_FROM}`,
          )
        )?.newest ?? 0,
        migrations,
      );
      const placed = await tx.run(
        sql`INSERT INTO schema_migrations (version, name, applied_at)
          VALUES (${migration.version}, ${migration.name}, ${database.clock.now()}) ON CONFLICT (version) DO NOTHING`,
      );
      if (placed === 0) return false;
      for (const statement of statementsFor(migration.sql, database.engine)) await tx.run(raw(statement));
      return true;
    });
    if (done) options.onProgress?.({ version: migration.version, name: migration.name });
  }
}

/** Marks a database before it has any other table: it can be told from then on what it is for. */
export async function markEmpty(database: Database, mark: Mark): Promise<void> {
  await database.transaction(async (tx) => {
    await prepare(tx, database.engine);
    await tx.run(insertMark(mark));
  });
}

async function prepare(tx: Transaction, engine: Engine): Promise<void> {
  if (engine === "postgres") {
    // Rebuilding a large table takes longer than any statement of a request may; so does waiting for another node.
    await tx.run(sql`SET LOCAL statement_timeout = 0`);
    await tx.all(sql`SELECT pg_advisory_xact_lock(${ADVISORY_LOCK})`);
    await makeSchema(tx);
  }
  await tx.run(sql`
    CREATE TABLE IF NOT EXISTS schema_migrations (
      version BIGINT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL,
      applied_at BIGINT NOT NULL
    )`);
}

async function makeSchema(tx: Transaction): Promise<void> {
  const row = await tx.one<{ present: string | null; wanted: string }>(
    sql`SELECT current_schema() AS present, current_setting('search_path') AS wanted`,
  );
  if (row === undefined || row.present !== null) return;
  // The address was checked when it was opened: a single name of letters, digits and underscores.
  await tx.run(raw(`CREATE SCHEMA IF NOT EXISTS "${row.wanted.replaceAll('"', "")}"`));
}

function hasTable(engine: Engine) {
  return engine === "sqlite"
    ? sql`SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'`
    : sql`SELECT count(*) AS n FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migrations'`;
}

function refuseNewer(found: number, migrations: readonly Migration[]): void {
  const known = migrations.at(-1)?.version ?? 0;
  if (found <= known) return;
  throw new DatabaseTooNew(
    `The database has tables of version ${found}, this Keyturn knows up to ${known}: install the newer Keyturn again, or restore a backup from before the upgrade`,
  );
}

/**
 * The statements of a migration for one engine. Two markers keep one text for both: a line `-- sqlite: X` is X on
 * SQLite and nothing elsewhere, `-- postgres: X` likewise. A statement ends at a `;` at the end of a line; other
 * comments stand on lines of their own.
 */
export function statementsFor(text: string, engine: Engine): string[] {
  const statements: string[] = [];
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    const marked = /^\s*--\s*(sqlite|postgres):\s?(.*)$/.exec(line);
    const kept = marked === null ? line : marked[1] === engine ? (marked[2] ?? "") : "";
    if (kept.trim() === "" || kept.trimStart().startsWith("--")) continue;
    lines.push(kept);
    if (!kept.trimEnd().endsWith(";")) continue;
    const statement = lines.join("\n").trimEnd().slice(0, -1).trimEnd();
    if (statement !== "") statements.push(statement);
    lines = [];
  }
  if (lines.length > 0) throw new Error(`A migration does not end in ";": ${lines.join(" ").slice(0, 80)}`);
  return statements;
}
