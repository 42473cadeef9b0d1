import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import sql from "sql-template-tag";
import type { Database, Transaction } from "./database.ts";
import { isUniqueViolation } from "./statement-failed.ts";
import { openTestDatabase, type TestDatabase } from "./test-database.ts";

/** What both engines promise of transactions. Runs on the engine that KEYTURN_TEST_DATABASE names. */
describe("the storage contract of transactions", () => {
  let place: TestDatabase;
  let database: Database;

  before(async () => {
    place = await openTestDatabase();
    database = place.database;
    await database.batch([
      sql`CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, label TEXT, amount BIGINT NOT NULL)`,
    ]);
  });
  after(() => place.close());

  const insert = (id: number) => sql`INSERT INTO things (id, amount) VALUES (${id}, ${0})`;
  const amountOf = async (id: number) =>
    (await database.one<{ amount: number }>(sql`SELECT amount FROM things WHERE id = ${id}`))?.amount;

  test("a transaction sees its own writes, others see them after the commit", async () => {
    await database.batch([insert(300)]);
    const inside = await database.transaction(async (tx) => {
      assert.equal(await tx.run(sql`UPDATE things SET amount = ${1} WHERE id = ${300}`), 1);
      assert.equal(await amountOf(300), 0);
      return tx.one(sql`SELECT amount FROM things WHERE id = ${300}`);
    });
    assert.deepEqual(inside, { amount: 1 });
    assert.equal(await amountOf(300), 1);
  });

  test("a transaction whose callback throws changes nothing and rejects with what was thrown", async () => {
    const boom = new Error("no");
    const work = database.transaction(async (tx) => {
      await tx.run(insert(301));
      throw boom;
    });
    await assert.rejects(work, boom);
    assert.equal(await amountOf(301), undefined);
  });

  test("a transaction in which a statement failed is not committed, even when its callback goes on", async () => {
    let later: unknown;
    const work = database.transaction(async (tx) => {
      await tx.run(insert(302));
      await tx.run(insert(302)).catch(() => {});
      later = await tx.run(insert(303)).catch((error) => error);
      return "fine";
    });
    await assert.rejects(work, (error) => isUniqueViolation(error));
    assert.equal(await amountOf(302), undefined);
    assert.equal(await amountOf(303), undefined);
    assert.ok(later === undefined || isUniqueViolation(later));
  });

  test("statements that were sent together with one that fails leave nothing either", async () => {
    const work = database.transaction((tx) =>
      Promise.all([tx.run(insert(310)), tx.run(insert(310)), tx.run(insert(311)), tx.run(insert(312))]),
    );
    await assert.rejects(work, (error) => isUniqueViolation(error));
    const late = database.transaction((tx) =>
      Promise.all([
        tx.run(insert(313)),
        tx.run(insert(313)),
        tx.run(sql`UPDATE things SET label = ${"first seen here"}`),
      ]),
    );
    await assert.rejects(late, (error) => isUniqueViolation(error));
    await database.batch([sql`UPDATE things SET label = ${"first seen here"}`]);
    await database.batch([insert(313)]);
    assert.deepEqual(await database.all(sql`SELECT id FROM things WHERE id BETWEEN ${310} AND ${313}`), [
      { id: 313 },
    ]);
  });

  test("transactions and batches that meet on a row do not interleave", async () => {
    await database.batch([insert(304)]);
    const lock = (tx: Transaction) => tx.run(sql`UPDATE things SET label = ${"held"} WHERE id = ${304}`);
    await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        i % 3 === 0
          ? database.batch([sql`UPDATE things SET amount = amount + 1 WHERE id = ${304}`])
          : database.transaction(async (tx) => {
              await lock(tx);
              const row = await tx.one<{ amount: number }>(sql`SELECT amount FROM things WHERE id = ${304}`);
              await tx.run(sql`UPDATE things SET amount = ${(row?.amount ?? 0) + 1} WHERE id = ${304}`);
            }),
      ),
    );
    assert.equal(await amountOf(304), 24);
  });

  test("a transaction cannot be used after its end", async () => {
    let kept: Transaction | undefined;
    await database.transaction(async (tx) => {
      kept = tx;
    });
    await assert.rejects(kept!.run(insert(305)), /has ended/);
    assert.equal(await amountOf(305), undefined);
  });
});
