import assert from "node:assert/strict";
import { test } from "node:test";
import { median, ratios, spread } from "./figures.ts";

test("a ratio is between runs of the same round", () => {
  assert.deepEqual(ratios([10, 30, 8], [5, 10]), [2, 3]);
  assert.deepEqual(ratios([10], [0]), []);
});

test("the spread is of all rounds, in whatever order they came", () => {
  assert.deepEqual(spread([10, 9, 2]), { min: 2, median: 9, max: 10 });
  assert.equal(median([100, 20, 3]), 20);
});
