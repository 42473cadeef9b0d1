import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import sql, { raw } from "sql-template-tag";
import { systemClock } from "../primitives/clock.ts";
import { type Database, DatabaseUnavailable } from "./database.ts";
import { openDatabase } from "./open.ts";
import { openTestDatabase, type TestDatabase, testEngine } from "./test-database.ts";

describe("PostgreSQL", { skip: testEngine !== "postgres" && "this run is about SQLite" }, () => {
  let place: TestDatabase;
  let database: Database;
  before(async () => {
    place = await openTestDatabase();
    database = place.database;
    await database.batch([raw("CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)")]);
    await database.batch([sql`INSERT INTO notes (id, n) VALUES (${1}, ${0}), (${2}, ${0})`]);
  });
  after(() => place.close());

  const urlWith = (change: (url: URL) => void) => {
    const url = new URL(place.url);
    change(url);
    return url.href;
  };
  const refusal = (url: string) =>
    openDatabase({ url }).then(
      (opened) => opened.close().then(() => assert.fail("it was opened")),
      (error: Error) => {
        assert.ok(error instanceof DatabaseUnavailable, error.stack);
        assert.ok(!error.message.includes("\n"));
        return error;
      },
    );

  test("refuses a wrong password, in one sentence without it", async (t) => {
    const error = await refusal(
      urlWith((url) => {
        url.password = "wr0ng-pass";
      }),
    ).catch((failure) => {
      if (failure.message === "it was opened") return undefined;
      throw failure;
    });
    if (error === undefined) return t.skip("this server trusts everyone");
    assert.match(error.message, /refuses the password/);
    assert.ok(!JSON.stringify([error.message, error.stack, error]).includes("wr0ng-pass"));
  });

  test("refuses a database that does not exist", async () => {
    assert.match(
      (
        await refusal(
          urlWith((url) => {
            url.pathname = "/no_such_database";
          }),
        )
      ).message,
      /does not exist: make it/,
    );
  });

  test("refuses an address where nothing answers, without the password", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const error = await refusal(`postgres://someone:wr0ng-pass@127.0.0.1:${port}/x`);
    assert.match(error.message, new RegExp(`127.0.0.1:${port}/x: nothing answers there`));
    assert.ok(!JSON.stringify([error.message, error.stack, error]).includes("wr0ng-pass"));
  });

  for (const [what, url] of [
    ["not a URL", "postgres://a:b@[oops/x"],
    ["a schema that would need quotes", "postgres://a:b@127.0.0.1/x?schema=a%22;drop"],
    ["another scheme", "mysql://a:wr0ng-pass@127.0.0.1/x"],
  ] as const) {
    test(`refuses an address: ${what}`, async () => {
      assert.match((await refusal(url)).message, /database address/);
    });
  }

  test("an acknowledged write is flushed even where the server's default is not to", async () => {
    const [result] = await database.batch([raw("SELECT current_setting('synchronous_commit') AS value")]);
    assert.notEqual(result?.rows[0]?.value, "off");
    const lax = await openDatabase({
      url: urlWith((url) => url.searchParams.set("options", "-c synchronous_commit=off")),
    });
    const [own] = await lax.batch([raw("SELECT current_setting('synchronous_commit') AS value")]);
    assert.equal(own?.rows[0]?.value, "on");
    assert.deepEqual(await lax.one(sql`SELECT COUNT(*) AS n FROM notes`), { n: 2 });
    await lax.close();
  });

  test("the tables are in the schema that the address names", async () => {
    const row = await database.one<{ schema: string }>(sql`SELECT current_schema() AS schema`);
    assert.equal(row?.schema, new URL(place.url).searchParams.get("schema"));
  });

  test("the types of an embedding application's own pg stay as they are", () => {
    assert.equal(pg.types.getTypeParser(20)("9007199254740993"), "9007199254740993");
  });

  test("a number that no longer counts exactly is an error and not a wrong number", async () => {
    await assert.rejects(
      database.one(sql`SELECT CAST('9007199254740993' AS BIGINT) AS n`),
      /range that counts exactly/,
    );
    assert.deepEqual(await database.one(sql`SELECT CAST('9007199254740991' AS BIGINT) AS n`), {
      n: Number.MAX_SAFE_INTEGER,
    });
  });

  test("connections that the server ends reject with DatabaseUnavailable; the next calls get new ones", async () => {
    const victim = await openDatabase({ url: place.url });
    await Promise.all(Array.from({ length: 10 }, () => victim.batch([sql`SELECT pg_sleep(0.01)`])));
    const held = victim.transaction(async (tx) => {
      await tx.run(sql`UPDATE notes SET n = n + ${1000} WHERE id = ${2}`);
      await tx.all(sql`SELECT pg_sleep(5)`);
    });
    const rejected = assert.rejects(held, DatabaseUnavailable);
    let ended = 0;
    while (ended === 0) {
      const rows = await database.all(sql`SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity
        WHERE application_name = 'keyturn' AND query LIKE '%pg_sleep(5)%' AND pid <> pg_backend_pid() AND datname = current_database()`);
      ended = rows.length;
    }
    await rejected;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => victim.batch([sql`UPDATE notes SET n = n + ${1} WHERE id = ${2}`])),
    );
    const done = outcomes.filter(({ status }) => status === "fulfilled").length;
    assert.equal(done, 20);
    assert.deepEqual(await victim.one(sql`SELECT n FROM notes WHERE id = ${2}`), { n: done });
    await victim.close();
  });

  test("connections that the server ended while they were idle are not used again", async () => {
    const victim = await openDatabase({ url: place.url, clock: systemClock });
    const rows = await victim.each<{ pid: number }>([sql`SELECT pg_backend_pid() AS pid`]);
    const pid = rows[0]?.[0]?.pid ?? 0;
    assert.deepEqual(await database.one(sql`SELECT pg_terminate_backend(${pid}, ${5000}) AS done`), {
      done: 1,
    });
    let answer: unknown;
    for (let i = 0; i < 20 && answer === undefined; i++) {
      answer = await victim.one(sql`SELECT CAST(1 AS BIGINT) AS n`).catch((error) => {
        assert.ok(error instanceof DatabaseUnavailable);
      });
    }
    assert.deepEqual(answer, { n: 1 });
    await victim.close();
  });

  test("transactions that deadlock run again until all are done", async () => {
    const add = (first: number, second: number) =>
      database.transaction(async (tx) => {
        await tx.run(sql`UPDATE notes SET n = n + 1 WHERE id = ${first}`);
        await tx.run(sql`UPDATE notes SET n = n + 1 WHERE id = ${second}`);
      });
    await database.batch([raw("ALTER TABLE notes ADD COLUMN note TEXT"), sql`UPDATE notes SET n = 0`]);
    await Promise.all([add(1, 2), add(2, 1), add(1, 2), add(2, 1)]);
    assert.deepEqual(await database.all(sql`SELECT n FROM notes ORDER BY id`), [{ n: 4 }, { n: 4 }]);
  });

  test("the clock is the server's: a wrong clock of this machine does not show", async (t) => {
    t.mock.method(Date, "now", () => 42);
    const nodes = await Promise.all([openDatabase({ url: place.url }), openDatabase({ url: place.url })]);
    const [own, other] = nodes.map((node) => node.clock.now());
    const row = await nodes[0].one<{ ms: number }>(
      sql`SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT) AS ms`,
    );
    assert.ok(Math.abs((own ?? 0) - (other ?? 0)) <= 20);
    assert.ok(Math.abs((row?.ms ?? 0) - nodes[0].clock.now()) <= 50);
    await Promise.all(nodes.map((node) => node.close()));
  });

  test("a clock that was given wins", async () => {
    const opened = await openDatabase({ url: place.url, clock: { now: () => 5 } });
    assert.equal(opened.clock.now(), 5);
    await opened.close();
    assert.notEqual(systemClock.now(), 5);
  });
});
