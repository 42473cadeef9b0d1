import assert from "node:assert/strict";
import { describe, test } from "node:test";
import sql from "sql-template-tag";
import type { Database } from "./database.ts";
import { DatabaseTooNew, migrate, pendingMigrations, statementsFor } from "./migrate.ts";
import { type Migration, migrations } from "./migrations/index.ts";
import { openDatabase } from "./open.ts";
import { openTestDatabase, testEngine } from "./test-database.ts";

const first: Migration = {
  version: 1,
  name: "one",
  sql: "CREATE TABLE one (id BIGINT NOT NULL PRIMARY KEY);\n",
};
const second: Migration = {
  version: 2,
  name: "two",
  sql: "INSERT INTO one (id) VALUES (1);\nCREATE TABLE two (id BIGINT);\n",
};

async function withEmpty(work: (database: Database, url: string) => Promise<void>): Promise<void> {
  const place = await openTestDatabase({ empty: true });
  try {
    await work(place.database, place.url);
  } finally {
    await place.close();
  }
}

describe("migrations", () => {
  test("are numbered from 1 without gaps", () => {
    assert.deepEqual(
      migrations.map(({ version }) => version),
      migrations.map((_, i) => i + 1),
    );
  });

  test("an empty database has all of them before it, a migrated one none", () =>
    withEmpty(async (database) => {
      assert.deepEqual(await pendingMigrations(database), [...migrations]);
      const told: number[] = [];
      await migrate(database, { onProgress: ({ version }) => told.push(version) });
      assert.deepEqual(
        told,
        migrations.map(({ version }) => version),
      );
      assert.deepEqual(await pendingMigrations(database), []);
      await migrate(database, { onProgress: () => assert.fail("ran again") });
    }));

  test("run once when several nodes start at once", () =>
    withEmpty(async (database, url) => {
      const others = await Promise.all([1, 2, 3].map(() => openDatabase({ url })));
      try {
        let runs = 0;
        await Promise.all(
          [database, ...others].map((one) =>
            migrate(one, { migrations: [first, second], onProgress: () => runs++ }),
          ),
        );
        assert.equal(runs, 2);
        assert.deepEqual(
          await database.all(sql`SELECT version, name FROM schema_migrations ORDER BY version`),
          [
            { version: 1, name: "one" },
            { version: 2, name: "two" },
          ],
        );
        assert.deepEqual(await database.all(sql`SELECT id FROM one`), [{ id: 1 }]);
      } finally {
        await Promise.all(others.map((one) => one.close()));
      }
    }));

  test("one that fails leaves nothing behind, and those before it stay", () =>
    withEmpty(async (database) => {
      const broken: Migration = {
        version: 2,
        name: "broken",
        sql: "CREATE TABLE half (id BIGINT);\nINSERT INTO nowhere VALUES (1);\n",
      };
      await assert.rejects(migrate(database, { migrations: [first, broken] }), /nowhere/);
      assert.deepEqual(await pendingMigrations(database, [first, second]), [second]);
      await migrate(database, { migrations: [first, second] });
      await assert.rejects(database.all(sql`SELECT id FROM half`), /half/);
    }));

  test("tables of a newer Keyturn are refused, by a look and by a run, and not touched", () =>
    withEmpty(async (database) => {
      await migrate(database, { migrations: [first, second] });
      await assert.rejects(pendingMigrations(database, [first]), DatabaseTooNew);
      await assert.rejects(
        migrate(database, { migrations: [first] }),
        /tables of version 2, this Keyturn knows up to 1/,
      );
      assert.equal((await database.all(sql`SELECT version FROM schema_migrations`)).length, 2);
    }));

  test("the tables take rows on this engine", () =>
    withEmpty(async (database) => {
      await migrate(database);
      await database.batch([sql`UPDATE revocation_position SET seq = seq + 1 WHERE id = ${1}`]);
      assert.deepEqual(await database.all(sql`SELECT id, seq FROM revocation_position`), [{ id: 1, seq: 1 }]);
      assert.equal(database.engine, testEngine);
    }));
});

describe("the text of a migration", () => {
  const text = `
-- A comment; with a semicolon;
CREATE TABLE a (
  id BIGINT, -- trailing; comment
  note TEXT
)
-- sqlite: WITHOUT ROWID
-- postgres: WITH (fillfactor = 75)
;

INSERT INTO a VALUES (1, 'x; y');
`;
  test("a marked line counts on its engine only, other comment lines nowhere", () => {
    assert.match(statementsFor(text, "sqlite")[0] ?? "", /\)\nWITHOUT ROWID$/);
    assert.match(statementsFor(text, "postgres")[0] ?? "", /\)\nWITH \(fillfactor = 75\)$/);
  });

  test("statements end at a semicolon that ends a line, and at no other", () => {
    assert.equal(statementsFor(text, "sqlite").length, 2);
    assert.equal(statementsFor(text, "sqlite")[1], "INSERT INTO a VALUES (1, 'x; y')");
  });

  test("a statement without an end is refused", () => {
    assert.throws(() => statementsFor("CREATE TABLE a (id BIGINT)", "sqlite"), /does not end in ";"/);
  });
});
