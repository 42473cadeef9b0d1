import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import sql from "sql-template-tag";
import type { Database, Statement } from "./database.ts";
import { openDatabase } from "./open.ts";
import { prepared } from "./prepared.ts";
import { fold } from "./statement-set.ts";
import { openTestDatabase, type TestDatabase, testEngine } from "./test-database.ts";

const read = prepared(
  sql`SELECT n.id, n.body, n.note, n.amount, CAST(${""} AS TEXT) AS asked FROM numbered n WHERE n.id = ${null}`,
  ["same", "bytea"],
);
const change = prepared(
  sql`UPDATE numbered SET amount = ${0}, note = ${null}, body = ${null}
  WHERE id = ${null} AND amount = ${0}`,
  ["bigint", "text", "bytea", "bytea", "bigint"],
);

const idOf = (n: number) => Buffer.from([0, 255, n >> 8, n & 255]);
const plain = ({ sql, text, values }: Statement): Statement => ({ sql, text, values });

/** Statements that may be said as one do exactly what they do alone, on either engine. */
describe("statements of one shape, side by side", () => {
  let place: TestDatabase;
  let database: Database;
  before(async () => {
    place = await openTestDatabase();
    database = place.database;
    await database.batch([
      sql`CREATE TABLE numbered (id BYTEA NOT NULL PRIMARY KEY, amount BIGINT NOT NULL, note TEXT, body BYTEA)`,
    ]);
    await database.batch(
      Array.from({ length: 40 }, (_, n) => sql`INSERT INTO numbered (id, amount) VALUES (${idOf(n)}, ${0})`),
    );
  });
  after(() => place.close());

  test("reads answer in the order in which they were asked, also for what is not there and what is asked twice", async () => {
    const asked = [7, 99, 3, 7, 100, 0];
    const rows = await database.each<{ id: Buffer; asked: string }>(asked.map((n) => read("a", idOf(n))));
    assert.deepEqual(
      rows.map((row) => row.map(({ id, asked }) => [Buffer.from(id), asked])),
      asked.map((n) => (n < 40 ? [[idOf(n), "a"]] : [])),
    );
  });

  test("a row has the columns that it has alone, and no more", async () => {
    const [[alone] = []] = await database.each([read("a", idOf(1))]);
    const [[together] = []] = await database.each([read("a", idOf(1)), read("a", idOf(2))]);
    assert.deepEqual(together, alone);
  });

  test("what is the same for all may differ between neighbours", async () => {
    const rows = await database.each<{ asked: string }>(
      ["a", "a", "b", "b", "a"].map((asked, n) => read(asked, idOf(n))),
    );
    assert.deepEqual(
      rows.map(([row]) => row?.asked),
      ["a", "a", "b", "b", "a"],
    );
  });

  test("each change says whether it happened, among statements of other shapes", async () => {
    const set = (n: number, from: number) => change(from + 1, "x", idOf(n), idOf(n), from);
    const results = await database.batch([
      set(0, 0),
      set(1, 5),
      set(2, 0),
      sql`UPDATE numbered SET note = ${"y"} WHERE id = ${idOf(2)} RETURNING amount`,
      set(3, 0),
      set(99, 0),
    ]);
    assert.deepEqual(
      results.map(({ changes }) => changes),
      [1, 0, 1, 1, 1, 0],
    );
    assert.deepEqual(results[3]?.rows, [{ amount: 1 }]);
  });

  test("a failure among them changes nothing", async () => {
    await assert.rejects(
      database.batch([
        change(9, "never", null, idOf(10), 0),
        change(9, "never", null, idOf(11), 0),
        sql`UPDATE numbered SET amount = ${null} WHERE id = ${idOf(12)}`,
      ]),
    );
    const [row] = await database.all<{ n: number }>(sql`SELECT count(*) AS n FROM numbered WHERE amount = 9`);
    assert.equal(row?.n, 0);
  });

  test("any values come through as they do alone", async () => {
    const value = fc.record({
      amount: fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
      note: fc.option(
        fc.string({ unit: "binary" }).map((text) => text.replaceAll("\0", "")),
        { nil: null },
      ),
      body: fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null }),
    });
    const listed = async () =>
      await database.all<{ amount: number }>(sql`SELECT * FROM numbered ORDER BY id`);
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 2, maxLength: 8 }), async (wanted) => {
        const statementsFrom = async () => {
          const rows = await listed();
          return wanted.map(({ amount, note, body }, n) =>
            change(amount, note, body, idOf(20 + n), rows[20 + n]?.amount ?? 0),
          );
        };
        await database.batch((await statementsFrom()).map(plain));
        const alone = await listed();
        const together = await database.batch(await statementsFrom());
        assert.ok(together.every(({ changes }) => changes === 1));
        assert.deepEqual(await listed(), alone);
      }),
      { numRuns: 50 },
    );
  });

  test("a value of a wrong type is refused, as it is alone", async () => {
    const wrong = [read("a", idOf(1)), read("a", undefined as unknown as null)];
    await assert.rejects(database.each(wrong), /Parameter 2 of a statement is undefined/);
  });

  test("nodes that change the same rows in the same order never wait for each other in a ring", async () => {
    // PostgreSQL would look for a ring after a second, and we would run again: here it is an error.
    const url = new URL(place.url);
    if (testEngine === "postgres") url.searchParams.set("options", "-c deadlock_timeout=60s");
    const nodes = await Promise.all(Array.from({ length: 4 }, () => openDatabase({ url: url.href })));
    await Promise.all(
      nodes.map(async (node) => {
        for (let round = 0; round < 25; round++) {
          const amounts = await node.all<{ amount: number }>(
            sql`SELECT amount FROM numbered ORDER BY id LIMIT ${20}`,
          );
          await node.batch(
            amounts.map(({ amount }, n) => change((amount + 1) % 1000, null, null, idOf(n), amount)),
          );
        }
      }),
    );
    await Promise.all(nodes.map((node) => node.close()));
  });
});

describe("folding", () => {
  test("makes one query of neighbours of one shape, and of nothing else", () => {
    const other = prepared(sql`SELECT n.id FROM numbered n WHERE n.id = ${null}`, ["bytea"]);
    const { queries } = fold([
      read("a", idOf(1)),
      read("a", idOf(2)),
      read("b", idOf(3)),
      other(idOf(1)),
      other(idOf(2)),
      plain(other(idOf(3))),
      plain(other(idOf(4))),
    ]);
    assert.deepEqual(
      queries.map(({ values }) => values),
      [["a", [idOf(1), idOf(2)], 2], ["b", idOf(3)], [[idOf(1), idOf(2)], 2], [idOf(3)], [idOf(4)]],
    );
  });

  for (const [what, text] of [
    ["an insert", sql`INSERT INTO numbered (id) VALUES (${null})`],
    ["a change of all rows", sql`UPDATE numbered SET amount = ${null}`],
  ] as const) {
    test(`refuses ${what}, when the statement is made`, () => {
      assert.throws(() => prepared(text, ["bigint"]), /can be said of a set/);
    });
  }
});
