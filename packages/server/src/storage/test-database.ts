import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { raw } from "sql-template-tag";
import { type Clock, systemClock } from "../primitives/clock.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Database, Engine } from "./database.ts";
import { migrate } from "./migrate.ts";
import { openDatabase } from "./open.ts";

/** The engine this run of the tests is about: KEYTURN_TEST_DATABASE = sqlite (default) or postgres. */
export const testEngine: Engine = engineFrom(process.env.KEYTURN_TEST_DATABASE ?? "sqlite");

export interface TestDatabase {
  readonly database: Database;
  /** For a second `openDatabase` on the same rows. */
  readonly url: string;
  readonly engine: Engine;
  /** Closes the database and removes it. */
  close(): Promise<void>;
}

/** A migrated database of its own for one test. `clock` takes the place of the database's clock. */
export async function openTestDatabase(
  options: { clock?: Clock; empty?: boolean } = {},
): Promise<TestDatabase> {
  const place = testEngine === "sqlite" ? sqlitePlace() : postgresPlace();
  try {
    const database = await openDatabase({ url: place.url, ...(options.clock && { clock: options.clock }) });
    if (options.empty !== true) await migrate(database);
    return {
      database,
      url: place.url,
      engine: testEngine,
      async close() {
        await database.close();
        await place.remove();
      },
    };
  } catch (error) {
    await place.remove();
    throw error;
  }
}

function sqlitePlace() {
  const folder = mkdtempSync(join(tmpdir(), "keyturn-test-"));
  return {
    url: `sqlite:${join(folder, "test.db")}`,
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

// A schema is made in a moment, a database is not. The migration makes it, closing drops it.
function postgresPlace() {
  const admin = process.env.KEYTURN_TEST_POSTGRES;
  if (admin === undefined) {
    throw new Error("Set KEYTURN_TEST_POSTGRES to the address of a PostgreSQL whose user may make schemas");
  }
  const url = new URL(admin);
  const schema = `keyturn_test_${randomBytes(8).toString("hex")}`;
  url.searchParams.set("schema", schema);
  return {
    url: url.href,
    async remove() {
      const database = await openDatabase({ url: admin, clock: systemClock });
      await database.batch([raw(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)]);
      await database.close();
    },
  };
}

function engineFrom(name: string): Engine {
  if (name === "sqlite" || name === "postgres") return name;
  throw new Error(`KEYTURN_TEST_DATABASE is "${name}"; it takes sqlite or postgres`);
}
