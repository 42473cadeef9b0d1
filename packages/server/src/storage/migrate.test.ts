import assert from "node:assert/strict";
import { describe, test } from "node:test";
import sql from "sql-template-tag";
import { addUser, appSession, buildSessions } from "../sessions/test-turning.ts";
import { type Database, DatabaseUnavailable } from "./database.ts";
import {
  DatabaseTooNew,
  migrate,
  pendingMigrations,
  ServersMustStop,
  statementsFor,
  tablesAre,
} from "./migrate.ts";
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
const secondBeside = { ...second, readableFrom: 1 };

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
      assert.deepEqual(await pendingMigrations(database, [first, secondBeside]), [secondBeside]);
      await migrate(database, { migrations: [first, secondBeside] });
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

describe("old and new side by side", () => {
  /** What the next version makes: servers of this one run on it. And what the one after that makes. */
  const newest = migrations.length;
  const next: Migration = {
    version: newest + 1,
    name: "next",
    readableFrom: newest,
    sql: "ALTER TABLE sessions ADD COLUMN note TEXT;\nCREATE INDEX sessions_by_note ON sessions (note);\n",
  };
  const afterNext: Migration = {
    version: newest + 2,
    name: "after-next",
    readableFrom: newest + 1,
    sql: "ALTER TABLE sessions DROP COLUMN ip;\n",
  };

  test("a program runs on tables that are one version newer, and has nothing to do there", () =>
    withEmpty(async (database) => {
      await migrate(database);
      assert.equal(await tablesAre(database), "own");
      await migrate(database, { migrations: [...migrations, next] });
      assert.deepEqual(await pendingMigrations(database), []);
      assert.equal(await tablesAre(database), "newer");
      await assert.rejects(pendingMigrations(database, undefined, { exactly: true }), DatabaseTooNew);
      await assert.rejects(migrate(database), DatabaseTooNew);
    }));

  test("beyond that it is refused, with a line that says what to do", () =>
    withEmpty(async (database) => {
      await migrate(database);
      await migrate(database, { migrations: [...migrations, next] });
      await migrate(database, { migrations: [...migrations, next, afterNext] });
      const line = new RegExp(`tables of version ${newest + 2}, this Keyturn knows up to ${newest}: install`);
      await assert.rejects(pendingMigrations(database), line);
      await assert.rejects(tablesAre(database), DatabaseTooNew);
      assert.equal(await tablesAre(database, [...migrations, next]), "newer");
    }));

  test("a jump over a version, on which servers of before could not run, waits until they are stopped", () =>
    withEmpty(async (database) => {
      await migrate(database);
      const both = { migrations: [...migrations, next, afterNext] };
      await assert.rejects(migrate(database, both), ServersMustStop);
      assert.equal(await tablesAre(database), "own", "nothing was changed");
      await migrate(database, { ...both, serversStopped: true });
      assert.equal(await tablesAre(database, both.migrations), "own");
    }));

  test("a migration that says nothing has every server stopped", () =>
    withEmpty(async (database) => {
      await migrate(database, { migrations: [first] });
      await assert.rejects(migrate(database, { migrations: [first, second] }), ServersMustStop);
      await migrate(database, { migrations: [first, second], serversStopped: true });
      await assert.rejects(tablesAre(database, [first]), DatabaseTooNew);
    }));

  test("tables of before there was such a rule take it up", () =>
    withEmpty(async (database) => {
      await migrate(database, { migrations: [first] });
      await database.batch([sql`ALTER TABLE schema_migrations DROP COLUMN readable_from`]);
      assert.deepEqual(await pendingMigrations(database, [first, secondBeside]), [secondBeside]);
      await migrate(database, { migrations: [first, secondBeside] });
      assert.equal(await tablesAre(database, [first]), "newer");
    }));

  test("while a node turns sessions, a newer one changes their table: nobody is signed out", () =>
    withEmpty(async (database, url) => {
      await migrate(database);
      const { sessions, turning } = buildSessions(database);
      const userId = await addUser(database);
      const tokens: string[] = [];
      for (let i = 0; i < 40; i++) {
        const started = await sessions.start(appSession(userId));
        assert.ok(started);
        tokens.push(started.credential);
      }
      let over = false;
      let turns = 0;
      const clients = tokens.map(async (token) => {
        for (let current = token; !over; turns++) {
          const outcome = await turning.turn({ token: current, clientId: "first-party" }).catch((error) => {
            // Told to come back: that is what a client does.
            assert.ok(error instanceof DatabaseUnavailable, error);
          });
          if (outcome === undefined) continue;
          assert.ok(outcome.outcome === "turned" || outcome.outcome === "replayed", JSON.stringify(outcome));
          current = outcome.refreshToken;
        }
      });
      const newer = await openDatabase({ url });
      while (turns < 200) await new Promise((resolve) => setTimeout(resolve, 5));
      await migrate(newer, { migrations: [...migrations, next] });
      const at = turns;
      while (turns < at + 400) await new Promise((resolve) => setTimeout(resolve, 5));
      over = true;
      await Promise.all(clients);
      await newer.close();
      assert.equal(await tablesAre(database), "newer");
    }));

  test(
    "a table that somebody reads for long holds up nobody but the migration",
    { skip: testEngine !== "postgres" && "a reader of SQLite holds up no writer" },
    () =>
      withEmpty(async (database, url) => {
        await migrate(database);
        const reader = await openDatabase({ url });
        const reading = reader.transaction(async (tx) => {
          await tx.all(sql`SELECT COUNT(*) FROM sessions`);
          await tx.all(sql`SELECT pg_sleep(3)`);
        });
        await new Promise((resolve) => setTimeout(resolve, 100));
        const migrating = migrate(database, { migrations: [...migrations, next] });
        await new Promise((resolve) => setTimeout(resolve, 200));
        const begun = performance.now();
        await reader.all(sql`SELECT COUNT(*) FROM sessions`);
        assert.ok(performance.now() - begun < 2_800, "it waited behind the migration for too long");
        await Promise.all([reading, migrating]);
        await reader.close();
      }),
  );
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
