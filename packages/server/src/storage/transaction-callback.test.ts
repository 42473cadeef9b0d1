import assert from "node:assert/strict";
import { describe, test } from "node:test";
import sql from "sql-template-tag";
import type { Result } from "./database.ts";
import { followCallback } from "./transaction-callback.ts";

describe("the callback of a transaction", () => {
  const execute = async (): Promise<Result> => ({ rows: [], changes: 1 });

  test("is cut off after 10 s without a statement of its own, and can do nothing afterwards", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { promise: other, resolve: goOn } = Promise.withResolvers<void>();
    let late: Promise<number> | undefined;
    const work = followCallback(execute, async (tx) => {
      await tx.run(sql`SELECT 1`);
      late = other.then(() => tx.run(sql`SELECT 1`));
      await other;
    });
    const rejected = assert.rejects(work, /waited 10 s for its callback and was rolled back/);
    await new Promise((resolve) => setImmediate(resolve));
    t.mock.timers.tick(9_999);
    t.mock.timers.tick(20_000);
    await rejected;
    goOn();
    await assert.rejects(late as Promise<number>, /waited 10 s/);
  });

  test("must await its statements: one that is left alone fails the transaction", async () => {
    const slow = () =>
      new Promise<Result>((resolve) => setImmediate(() => resolve({ rows: [], changes: 1 })));
    const work = followCallback(slow, async (tx) => {
      void tx.run(sql`SELECT 1`);
    });
    await assert.rejects(work, /await each of them/);
  });
});
