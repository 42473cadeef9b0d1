import { setTimeout as wait } from "node:timers/promises";
import sql, { raw } from "sql-template-tag";
import type { Database, Engine, Transaction } from "./database.ts";
import { insertMark, MARKS_FROM, type Mark, refuseMarked } from "./marks.ts";
import { migrations as allMigrations, type Migration } from "./migrations/index.ts";
import { LockNotFree } from "./postgres-errors.ts";

/** The tables were made by a newer Keyturn, more than one version on. This one would misread them. */
export class DatabaseTooNew extends Error {
  override readonly name = "DatabaseTooNew";
}

/** The tables are of a Keyturn so old that its servers could not run on what this one makes of them. */
export class ServersMustStop extends Error {
  override readonly name = "ServersMustStop";
}

/** One number for every Keyturn: who holds it in PostgreSQL changes tables, the others wait. "keyturn" in bytes. */
const ADVISORY_LOCK = 0x6b_65_79_74;

const LOCK_TRIES_MAX = 30;
const LOCK_WAIT_MS = 500;

/** Also on a database that is half moved: for the move itself. */
interface Marked {
  ignoresMarks?: boolean;
}

export interface MigrateOptions extends Marked {
  /** Every server that uses the database is stopped, so that tables may change which it could not run on. */
  serversStopped?: boolean;
  /** Called after each migration that this call ran. */
  onProgress?(done: { version: number; name: string }): void;
  /** Instead of those in ./migrations. For tests. */
  migrations?: readonly Migration[];
}

/**
 * What `migrate` would run, oldest first: nothing on newer tables that this program may run on. Reads only.
 * @throws {DatabaseTooNew}
 * @throws {DatabaseUnavailable} when a move is under way, or was made
 */
export async function pendingMigrations(
  database: Database,
  migrations: readonly Migration[] = allMigrations,
  { ignoresMarks = false, exactly = false }: Marked & { exactly?: boolean } = {},
): Promise<Migration[]> {
  const present = await database.one<{ n: number }>(hasTable(database.engine));
  if (present === undefined || present.n === 0) return [...migrations];
  const rows = await database.all<Mark>(
    sql`SELECT version, name, applied_at FROM schema_migrations ORDER BY version`,
  );
  const applied = rows.filter(({ version }) => version < MARKS_FROM);
  if (!ignoresMarks) refuseMarked(rows, database.clock.now());
  const found = applied.at(-1)?.version ?? 0;
  if (exactly) refuseNewer(found, migrations);
  else await refuseUnreadable(database, { found, migrations });
  const versions = new Set(applied.map((row) => row.version));
  return migrations.filter(({ version }) => !versions.has(version));
}

/** Whether the tables are those that this program makes, or newer ones that it may run on. @throws {DatabaseTooNew} */
export async function tablesAre(
  database: Database,
  migrations: readonly Migration[] = allMigrations,
): Promise<"own" | "newer"> {
  const found = (await database.one<{ newest: number }>(selectNewest))?.newest ?? 0;
  await refuseUnreadable(database, { found, migrations });
  return found > newestOf(migrations) ? "newer" : "own";
}

/**
 * Brings the tables up to this program. Any number of nodes may start at once: each migration is one transaction
 * that takes its place in `schema_migrations` first, so that a second node waits there and then sees it done.
 * Nodes of the version before go on meanwhile, and afterwards.
 * @throws {DatabaseTooNew}
 * @throws {ServersMustStop} when such nodes could not go on
 */
export async function migrate(database: Database, options: MigrateOptions = {}): Promise<void> {
  const migrations = options.migrations ?? allMigrations;
  const pending = await pendingMigrations(database, migrations, { ...options, exactly: true });
  if (options.serversStopped !== true) refuseBeside(pending);
  for (const migration of pending) {
    const done = await patiently(database, async (tx) => {
      await prepare(tx, database.engine);
      refuseNewer((await tx.one<{ newest: number }>(selectNewest))?.newest ?? 0, migrations);
      const placed = await tx.run(
        sql`INSERT INTO schema_migrations (version, name, applied_at, readable_from)
          VALUES (${migration.version}, ${migration.name}, ${database.clock.now()}, ${readableFromOf(migration)})
          ON CONFLICT (version) DO NOTHING`,
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
    // Whoever waits for a table's lock has everybody else wait behind it: rather ask again.
    await tx.run(sql`SET LOCAL lock_timeout = '2s'`);
  }
  await tx.run(sql`
    CREATE TABLE IF NOT EXISTS schema_migrations (
      version BIGINT NOT NULL PRIMARY KEY,
      name TEXT NOT NULL,
      applied_at BIGINT NOT NULL,
      readable_from BIGINT
    )`);
  const column = await tx.one<{ n: number }>(hasReadableFrom(engine));
  if (column?.n === 0) await tx.run(sql`ALTER TABLE schema_migrations ADD COLUMN readable_from BIGINT`);
}

/** Runs the transaction again when a lock was not free in time: a long query of somebody else's ends some day. */
async function patiently<T>(database: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await database.transaction(work);
    } catch (error) {
      if (!(error instanceof LockNotFree) || tries >= LOCK_TRIES_MAX) throw error;
      await wait(LOCK_WAIT_MS);
    }
  }
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

function hasReadableFrom(engine: Engine) {
  return engine === "sqlite"
    ? sql`SELECT count(*) AS n FROM pragma_table_info('schema_migrations') WHERE name = 'readable_from'`
    : sql`SELECT count(*) AS n FROM information_schema.columns WHERE table_schema = current_schema()
        AND table_name = 'schema_migrations' AND column_name = 'readable_from'`;
}

const selectNewest = sql`
  SELECT COALESCE(MAX(version), 0) AS newest FROM schema_migrations WHERE version < ${MARKS_FROM}`;

const newestOf = (migrations: readonly Migration[]) => migrations.at(-1)?.version ?? 0;

const readableFromOf = ({ version, readableFrom = version }: Migration) => readableFrom;

function refuseNewer(found: number, migrations: readonly Migration[]): void {
  const known = newestOf(migrations);
  if (found <= known) return;
  throw new DatabaseTooNew(
    `The database has tables of version ${found}, this Keyturn knows up to ${known}: install the newer Keyturn again, or restore a backup from before the upgrade`,
  );
}

/** What made newer tables has said which programs may still run on them. */
async function refuseUnreadable(
  database: Database,
  { found, migrations }: { found: number; migrations: readonly Migration[] },
): Promise<void> {
  const known = newestOf(migrations);
  if (found <= known) return;
  const row = await database.one<{ oldest: number | null }>(
    sql`SELECT MAX(COALESCE(readable_from, version)) AS oldest FROM schema_migrations
      WHERE version < ${MARKS_FROM} AND version > ${known}`,
  );
  if ((row?.oldest ?? found) > known) refuseNewer(found, migrations);
}

function refuseBeside(pending: readonly Migration[]): void {
  const [first] = pending;
  // On an empty database there is no server of before.
  if (first === undefined || first.version === 1) return;
  const have = first.version - 1;
  const alone = pending.find((migration) => readableFromOf(migration) > have);
  if (alone === undefined) return;
  throw new ServersMustStop(
    `The database has tables of version ${have}, and servers of that version cannot run on those of version ${alone.version} (${alone.name}): go over the version of Keyturn between, or stop every server and run keyturn migrate --servers-stopped`,
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
