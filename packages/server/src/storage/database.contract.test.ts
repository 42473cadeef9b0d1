import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import sql, { empty, join } from "sql-template-tag";
import { type Database, DatabaseUnavailable } from "./database.ts";
import { openDatabase } from "./open.ts";
import { isUniqueViolation, StatementFailed } from "./statement-failed.ts";
import { openTestDatabase, type TestDatabase } from "./test-database.ts";

/** What both engines promise. The whole file runs on the engine that KEYTURN_TEST_DATABASE names. */
describe("the storage contract", () => {
  let test_: TestDatabase;
  let database: Database;

  before(async () => {
    test_ = await openTestDatabase();
    database = test_.database;
    await database.batch([
      sql`CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, label TEXT, body BYTEA, amount BIGINT, CHECK (amount >= 0))`,
      sql`CREATE TABLE parts (id BIGINT NOT NULL PRIMARY KEY, thing BIGINT NOT NULL REFERENCES things (id))`,
    ]);
  });
  after(() => test_.close());

  const insert = (id: number, amount = 0) =>
    sql`INSERT INTO things (id, label, amount) VALUES (${id}, ${"new"}, ${amount})`;
  const amountOf = async (id: number) =>
    (await database.one<{ amount: number }>(sql`SELECT amount FROM things WHERE id = ${id}`))?.amount;

  test("of 64 conditional updates at once exactly one wins", async () => {
    await database.batch([insert(1)]);
    const outcomes = await Promise.all(
      Array.from({ length: 64 }, (_, i) =>
        database.batch([sql`UPDATE things SET amount = ${i + 1} WHERE id = ${1} AND amount = ${0}`]),
      ),
    );
    const winners = outcomes.flatMap(([result], i) => (result?.changes === 1 ? [i + 1] : []));
    assert.equal(winners.length, 1);
    assert.equal(await amountOf(1), winners[0]);
  });

  test("64 increments at once all count", async () => {
    await database.batch([insert(2)]);
    await Promise.all(
      Array.from({ length: 64 }, () =>
        database.batch([sql`UPDATE things SET amount = amount + 1 WHERE id = ${2}`]),
      ),
    );
    assert.equal(await amountOf(2), 64);
  });

  test("a batch with an error in the middle changes nothing, and says which rule it broke", async () => {
    await database.batch([insert(3)]);
    const work = database.batch([
      sql`UPDATE things SET amount = ${7} WHERE id = ${3}`,
      insert(3),
      sql`UPDATE things SET label = ${"never"} WHERE id = ${3}`,
    ]);
    await assert.rejects(work, (error) => isUniqueViolation(error));
    assert.deepEqual(await database.one(sql`SELECT label, amount FROM things WHERE id = ${3}`), {
      label: "new",
      amount: 0,
    });
  });

  test("a batch that fails leaves those beside it alone", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) =>
        database.batch([insert(100 + i), ...(i % 4 === 0 ? [insert(100 + i)] : [])]),
      ),
    );
    const kept = await database.all<{ id: number }>(
      sql`SELECT id FROM things WHERE id >= ${100} AND id < ${140} ORDER BY id`,
    );
    const expected = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [100 + i] : []));
    assert.equal(expected.length, 30);
    assert.deepEqual(
      kept.map(({ id }) => id),
      expected,
    );
  });

  for (const [failure, statement] of [
    ["foreign_key", sql`INSERT INTO parts (id, thing) VALUES (${1}, ${987654})`],
    ["not_null", sql`INSERT INTO parts (id, thing) VALUES (${1}, ${null})`],
    ["check", sql`INSERT INTO things (id, amount) VALUES (${4}, ${-1})`],
    ["other", sql`UPDATE no_such_table SET id = ${1}`],
  ] as const) {
    test(`a statement refused by the engine rejects with its kind: ${failure}`, async () => {
      await assert.rejects(
        database.batch([statement]),
        (error) => error instanceof StatementFailed && error.failure === failure,
      );
    });
  }

  test("the message of a refusal holds no value", async () => {
    const secret = "hunter2-and-more";
    await database.batch([sql`CREATE TABLE names (name TEXT NOT NULL PRIMARY KEY)`]);
    await database.batch([sql`INSERT INTO names (name) VALUES (${secret})`]);
    await assert.rejects(
      database.batch([sql`INSERT INTO names (name) VALUES (${secret})`]),
      (error: Error) => {
        assert.ok(!JSON.stringify({ ...error, message: error.message, cause: error.cause }).includes(secret));
        return true;
      },
    );
  });

  test("RETURNING gives rows, and changes count rows changed and nothing else", async () => {
    await database.batch([insert(7), insert(8)]);
    const results = await database.batch([
      sql`UPDATE things SET amount = amount + ${5} WHERE id IN (${join([7, 8])}) RETURNING amount`,
      sql`UPDATE things SET amount = ${9} WHERE id = ${7} AND amount = ${0} RETURNING amount`,
      sql`UPDATE things SET amount = ${9} WHERE id = ${7}`,
      sql`SELECT id FROM things WHERE id IN (${7}, ${8}) ORDER BY id`,
      sql`DELETE FROM things WHERE id = ${8}`,
    ]);
    assert.deepEqual(results, [
      { rows: [{ amount: 5 }, { amount: 5 }], changes: 2 },
      { rows: [], changes: 0 },
      { rows: [], changes: 1 },
      { rows: [{ id: 7 }, { id: 8 }], changes: 0 },
      { rows: [], changes: 1 },
    ]);
  });

  test("ON CONFLICT and INSERT … SELECT … WHERE EXISTS say by changes whether they happened", async () => {
    const results = await database.batch([
      insert(9),
      sql`INSERT INTO things (id, amount) VALUES (${9}, ${1}) ON CONFLICT (id) DO NOTHING`,
      sql`INSERT INTO things (id, amount) VALUES (${9}, ${1}) ON CONFLICT (id) DO UPDATE SET amount = ${4} RETURNING amount`,
      sql`INSERT INTO parts (id, thing) SELECT ${90}, ${9} WHERE EXISTS (SELECT 1 FROM things WHERE id = ${9} AND amount = ${4})`,
      sql`INSERT INTO parts (id, thing) SELECT ${91}, ${9} WHERE EXISTS (SELECT 1 FROM things WHERE id = ${9} AND amount = ${5})`,
    ]);
    assert.deepEqual(
      results.map(({ changes }) => changes),
      [1, 0, 1, 1, 0],
    );
    assert.deepEqual(results[2]?.rows, [{ amount: 4 }]);
  });

  test("values come back as they went in, with the same types from every door", async () => {
    const rows = [
      { id: 200, label: "", body: Buffer.alloc(0), amount: Number.MAX_SAFE_INTEGER },
      { id: 201, label: "ключ 🔑 \u0001'\"\\ $1 ?", body: Buffer.from([0, 255, 1, 127, 128]), amount: 0 },
      { id: 202, label: null, body: null, amount: null },
      { id: 203, label: "5", body: Buffer.from("text in bytes"), amount: 5 },
    ];
    const written = await database.batch(
      rows.map(
        ({ id, label, body, amount }) =>
          sql`INSERT INTO things (id, label, body, amount) VALUES (${id}, ${label}, ${body}, ${amount}) RETURNING id, label, body, amount`,
      ),
    );
    const select = sql`SELECT id, label, body, amount FROM things WHERE id BETWEEN ${200} AND ${203} ORDER BY id`;
    assert.deepEqual(
      written.map((result) => result.rows[0]),
      rows,
    );
    assert.deepEqual(await database.all(select), rows);
    assert.deepEqual(await database.transaction((tx) => tx.all(select)), rows);
    assert.ok((await database.one<{ body: Buffer }>(select))?.body instanceof Buffer);
  });

  test("a bare Uint8Array and a slice of a larger buffer are stored as the bytes they show", async () => {
    const large = Buffer.from("0123456789");
    await database.batch([
      sql`INSERT INTO things (id, body) VALUES (${210}, ${new Uint8Array([1, 2, 3])})`,
      sql`INSERT INTO things (id, body) VALUES (${211}, ${large.subarray(3, 6)})`,
    ]);
    const rows = await database.all<{ body: Buffer }>(
      sql`SELECT body FROM things WHERE id IN (${210}, ${211}) ORDER BY id`,
    );
    assert.deepEqual(
      rows.map(({ body }) => body),
      [Buffer.from([1, 2, 3]), Buffer.from("345")],
    );
    assert.equal(
      (await database.all(sql`SELECT id FROM things WHERE body = ${large.subarray(3, 6)}`)).length,
      1,
    );
  });

  test("a whole number in a text column is its digits, a comparison is 0 or 1, sums and counts are numbers", async () => {
    await database.batch([
      sql`INSERT INTO things (id, label, amount) VALUES (${220}, CAST(${5} AS TEXT), ${3})`,
    ]);
    const row = await database.one(
      sql`SELECT label, amount = ${3} AS yes, amount = ${4} AS no, (SELECT SUM(amount) FROM things WHERE id = ${220}) AS total,
        (SELECT COUNT(*) FROM things WHERE id = ${220}) AS n FROM things WHERE id = ${220}`,
    );
    assert.deepEqual(row, { label: "5", yes: 1, no: 0, total: 3, n: 1 });
  });

  for (const value of [undefined, true, 1n, new Date(0), Number.NaN, 2 ** 53, { a: 1 }]) {
    test(`a parameter that only one engine would take is refused: ${typeof value} ${String(value)}`, async () => {
      await assert.rejects(database.all(sql`SELECT ${value} AS x`), TypeError);
      await assert.rejects(
        database.batch([sql`UPDATE things SET amount = ${value} WHERE id = ${1}`]),
        TypeError,
      );
    });
  }

  test("a text whose parameter was refused works with a good one", async () => {
    const statement = (value: unknown) =>
      sql`UPDATE things SET amount = amount WHERE label = ${value as string}`;
    await assert.rejects(database.batch([insert(700), statement(undefined)]), TypeError);
    assert.deepEqual(await database.batch([statement("nobody")]), [{ rows: [], changes: 0 }]);
    assert.equal(await amountOf(700), undefined);
  });

  test("all, one and each refuse what changes rows", async () => {
    const statement = sql`DELETE FROM things WHERE id = ${1}`;
    await assert.rejects(database.all(statement), TypeError);
    await assert.rejects(database.one(statement), TypeError);
    await assert.rejects(database.each([statement]), TypeError);
    assert.notEqual(await amountOf(1), undefined);
  });

  test("each answers in order, the empty list with an empty list", async () => {
    const answers = await database.each<{ n: number }>(
      Array.from({ length: 50 }, (_, i) => sql`SELECT CAST(${i} AS BIGINT) AS n`),
    );
    assert.deepEqual(
      answers,
      Array.from({ length: 50 }, (_, i) => [{ n: i }]),
    );
    assert.deepEqual(await database.each([]), []);
    assert.deepEqual(await database.batch([]), []);
  });

  test("more texts than any cache holds work, in one batch and over many", async () => {
    const wide = (i: number) =>
      sql`UPDATE things SET amount = 1 WHERE id = ${-1} AND ${join(
        Array.from({ length: (i % 90) + 1 }, () => sql`amount <> ${i}`),
        " AND ",
      )} ${i % 2 ? sql`AND 1 = 1` : empty}`;
    const texts = Array.from({ length: 400 }, (_, i) => wide(i));
    for (let round = 0; round < 4; round++) {
      const more = Array.from(
        { length: 300 },
        (_, i) =>
          sql`SELECT ${i} AS x ${join(
            Array.from({ length: 1 + ((i + round * 300) % 60) }, () => empty),
            `/* ${round} ${i} */`,
          )} `,
      );
      assert.equal((await database.batch([...texts, ...more])).length, 700);
    }
  });

  test("a second opener races the first on equal terms", async () => {
    const second = await openDatabase({ url: test_.url });
    try {
      await database.batch([insert(400)]);
      const outcomes = await Promise.all(
        Array.from({ length: 64 }, (_, i) =>
          (i % 2 ? second : database).batch([
            sql`UPDATE things SET amount = ${i + 1} WHERE id = ${400} AND amount = ${0}`,
            sql`UPDATE things SET label = ${"counted"} WHERE id = ${400}`,
          ]),
        ),
      );
      assert.equal(outcomes.filter(([result]) => result?.changes === 1).length, 1);
      assert.equal(
        (await second.one<{ amount: number }>(sql`SELECT amount FROM things WHERE id = ${400}`))?.amount,
        await amountOf(400),
      );
    } finally {
      await second.close();
    }
  });

  test("close waits for the writes that were asked for, and refuses what comes after", async () => {
    const second = await openDatabase({ url: test_.url });
    const writes = Array.from({ length: 20 }, (_, i) => second.batch([insert(500 + i)]));
    const closing = second.close();
    await assert.rejects(second.batch([insert(540)]), DatabaseUnavailable);
    await assert.rejects(second.all(sql`SELECT 1 AS one`), DatabaseUnavailable);
    await closing;
    await second.close();
    assert.equal(
      (await Promise.allSettled(writes)).filter(({ status }) => status === "fulfilled").length,
      20,
    );
    assert.equal(
      (await database.all(sql`SELECT id FROM things WHERE id BETWEEN ${500} AND ${540}`)).length,
      20,
    );
  });

  test("the clock tells whole milliseconds that are near the present", () => {
    const now = database.clock.now();
    assert.ok(Number.isInteger(now));
    assert.ok(Math.abs(now - Date.now()) < 60_000);
  });
});
