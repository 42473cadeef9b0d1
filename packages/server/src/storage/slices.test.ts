import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { insertEvent } from "../audit/audit.sql.ts";
import { createAudit } from "../audit/audit.ts";
import { newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Database } from "./database.ts";
import { openTestDatabase, type TestDatabase } from "./test-database.ts";

let place: TestDatabase;
before(async () => {
  place = await openTestDatabase();
});
after(() => place.close());

test("a backlog is deleted in slices, the oldest first, and what is not over stays", async () => {
  const { database } = place;
  const many = 2 * limits.rowsPerSlice + 5;
  const event = { type: "sign_in.failed", actor: "user" } as const;
  const at = (n: number) => 1_000_000 + n;
  await database.batch(
    Array.from({ length: many + 3 }, (_, n) => insertEvent({ id: newId(at(n)), at: at(n), event })),
  );
  const deleted: number[] = [];
  const counting: Database = {
    ...database,
    async batch(statements) {
      const results = await database.batch(statements);
      deleted.push(...results.map(({ changes }) => changes));
      return results;
    },
  };
  await createAudit({ database: counting }).deleteBefore(at(many));
  assert.deepEqual(deleted, [limits.rowsPerSlice, limits.rowsPerSlice, 5]);
  const left = await createAudit({ database }).list({});
  assert.deepEqual(
    left.map((one) => one.at),
    [at(many + 2), at(many + 1), at(many)],
  );
});
