import { raw } from "sql-template-tag";
import { type Database, DatabaseUnavailable, type Engine } from "./database.ts";
import { deleteMark, FOR_GOOD, insertMark, marks } from "./marks.ts";
import { PAUSED_SQLSTATE, PAUSED_WORD } from "./pause-word.ts";

/**
 * A pause of all writes, held by the database itself: triggers refuse them, whichever node or command they come from,
 * and no node has to look at anything at every turn. The errors become a 503 with Retry-After: clients keep what they
 * hold, and come back.
 *
 * It is a lease. Whoever holds it says again and again how long it lasts, and when they die it ends by itself.
 */
const LEASE_MS = 15_000;
const RENEW_MS = 3_000;
/** A renewal that comes later than this before the end of the lease does not count: writes may slip past it. */
const MARGIN_MS = 5_000;

export interface Pause {
  /** @throws {DatabaseUnavailable} when the pause has a hole: something may have been written */
  assertHeld(): void;
  /** Makes the pause one without an end, and says why. */
  keep(why: string): Promise<void>;
  /** Ends it. */
  lift(): Promise<void>;
}

const nowOf = (engine: Engine) =>
  engine === "sqlite"
    ? "CAST(unixepoch('subsec') * 1000 AS BIGINT)"
    : "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)";

/** Resolves when no write is under way any more and none can begin. */
export async function pauseWrites(database: Database, tables: readonly string[]): Promise<Pause> {
  await removePause(database, tables);
  const mark = insertMark({
    version: marks.pause,
    name: "paused",
    applied_at: database.clock.now() + LEASE_MS,
  });
  if (database.engine === "sqlite") {
    await database.transaction(async (tx) => {
      for (const table of tables) for (const act of ACTS) await tx.run(raw(sqliteTrigger(table, act)));
      await tx.run(mark);
    });
  } else {
    await database.batch([raw(POSTGRES_FUNCTION)]);
    // One table at a time: a lock on one alone waits for writers, and never in a ring with them.
    for (const table of tables) await patiently(database, postgresTrigger(table));
    await database.batch([mark]);
    // Whoever has passed the trigger before the mark was there has ended when this lock is given.
    for (const table of tables) await patiently(database, `LOCK TABLE "${table}" IN SHARE MODE`);
  }
  return hold(database, tables);
}

function hold(database: Database, tables: readonly string[]): Pause {
  let lost: DatabaseUnavailable | undefined;
  let renewing: Promise<void> | undefined;
  const timer = setInterval(() => {
    renewing ??= extend(database.clock.now() + LEASE_MS).finally(() => {
      renewing = undefined;
    });
  }, RENEW_MS);

  /** Only if it has never lapsed: one that did may have let a write through. */
  async function extend(until: number, why = "paused"): Promise<void> {
    const began = performance.now();
    try {
      const [done] = await database.batch([
        raw(
          `UPDATE schema_migrations SET applied_at = ${until}, name = '${why.replaceAll("'", "''")}'
            WHERE version = ${marks.pause} AND applied_at > ${nowOf(database.engine)} + ${MARGIN_MS}`,
        ),
      ]);
      if (done?.changes !== 1 || performance.now() - began > MARGIN_MS)
        lost ??= new DatabaseUnavailable(LAPSED);
    } catch (error) {
      lost ??= new DatabaseUnavailable(LAPSED, { cause: error });
    }
  }

  function assertHeld(): void {
    if (lost !== undefined) throw lost;
  }

  return {
    assertHeld,
    async keep(why) {
      clearInterval(timer);
      await renewing;
      assertHeld();
      await extend(FOR_GOOD, why);
      assertHeld();
    },
    async lift() {
      clearInterval(timer);
      await renewing;
      await removePause(database, tables);
    },
  };
}

/** Takes a pause away, whoever made it. The mark first: writes go on at once. */
export async function removePause(database: Database, tables: readonly string[]): Promise<void> {
  await database.batch([deleteMark(marks.pause)]);
  if (database.engine === "sqlite") {
    await database.transaction(async (tx) => {
      for (const table of tables)
        for (const act of ACTS) await tx.run(raw(`DROP TRIGGER IF EXISTS "${triggerName(table, act)}"`));
    });
    return;
  }
  const present = await database.all<{ name: string }>(
    raw(`SELECT CAST(c.relname AS TEXT) AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
      WHERE t.tgname = 'keyturn_pause' AND c.relnamespace = CAST(current_schema() AS regnamespace)`),
  );
  for (const { name } of present)
    await patiently(database, `DROP TRIGGER IF EXISTS keyturn_pause ON "${name}"`);
  await database.batch([raw("DROP FUNCTION IF EXISTS keyturn_pause()")]);
}

const ACTS = ["INSERT", "UPDATE", "DELETE"] as const;
const triggerName = (table: string, act: string) => `keyturn_pause_${act.toLowerCase()}_${table}`;
const LAPSED = "The pause of writes could not be held all the time: something may have been written";
const isPaused = (engine: Engine) =>
  `EXISTS (SELECT 1 FROM schema_migrations WHERE version = ${marks.pause} AND applied_at > ${nowOf(engine)})`;

const sqliteTrigger = (table: string, act: string) => `
  CREATE TRIGGER "${triggerName(table, act)}" BEFORE ${act} ON "${table}" WHEN ${isPaused("sqlite")}
  BEGIN SELECT RAISE(ABORT, '${PAUSED_WORD}'); END`;

const POSTGRES_FUNCTION = `
  CREATE OR REPLACE FUNCTION keyturn_pause() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF ${isPaused("postgres")} THEN
      RAISE EXCEPTION '${PAUSED_WORD}' USING ERRCODE = '${PAUSED_SQLSTATE}';
    END IF;
    RETURN NULL;
  END $$`;

// By statement: a trigger for each row would be called before the row's lock is waited for.
const postgresTrigger = (table: string) => `
  CREATE TRIGGER keyturn_pause BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON "${table}"
  FOR EACH STATEMENT EXECUTE FUNCTION keyturn_pause()`;

/** A statement that may wait for a lock longer than a request's may. */
async function patiently(database: Database, text: string): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.run(raw("SET LOCAL statement_timeout = 0"));
    await tx.run(raw(text));
  });
}
