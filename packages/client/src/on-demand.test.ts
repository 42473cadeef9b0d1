import assert from "node:assert/strict";
import { test } from "node:test";
import { onDemand } from "./on-demand.ts";

test("a part is loaded once, for all who ask at once and after", async () => {
  let loads = 0;
  const find = onDemand(async () => ++loads);
  assert.equal(loads, 0);
  assert.deepEqual([...(await Promise.all([find(), find()])), await find()], [1, 1, 1]);
});

test("a part that cannot be loaded is unavailable, and loaded at the next use", async () => {
  const answers = [Promise.reject(new TypeError("Failed to fetch")), Promise.resolve("part")];
  const find = onDemand(() => answers.shift() as Promise<string>);
  await assert.rejects(find(), { name: "KeyturnError", code: "unavailable" });
  assert.equal(await find(), "part");
});
