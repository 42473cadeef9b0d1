import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openFilter } from "../packages/server/src/users/password-filter.ts";
import { shapeFor, writeFilter } from "./password-filter-writer.ts";

const texts = fc.array(fc.string({ unit: "binary" }), { maxLength: 300 });
const riceBits = fc.integer({ min: 0, max: 20 });

function opened(file: Buffer) {
  const filter = openFilter(file);
  assert.ok(filter);
  return filter;
}

test("whatever was written is found, for every width", () => {
  fc.assert(
    fc.property(texts, riceBits, (all, bits) => {
      const filter = opened(writeFilter(all, shapeFor(all.length, bits)));
      return filter.count === new Set(all).size && all.every((text) => filter.has(text));
    }),
  );
});

test("also with widths that fit badly: one bucket, a bucket a text, gaps of thousands of ones, few and wide buckets", () => {
  for (const shape of [
    { riceBits: 10, bucketBits: 0, valueBits: 20 },
    { riceBits: 1, bucketBits: 12, valueBits: 13 },
    { riceBits: 2, bucketBits: 1, valueBits: 16 },
    { riceBits: 17, bucketBits: 8, valueBits: 34 },
  ])
    fc.assert(
      fc.property(texts, (all) => {
        const filter = opened(writeFilter(all, shape));
        return all.every((text) => filter.has(text));
      }),
      { numRuns: 30 },
    );
});

test("what was not written is not found, but for one in 2^riceBits or fewer", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 8 }), { maxLength: 200 }), (all) => {
      const filter = opened(writeFilter(all, shapeFor(all.length, 30)));
      return Array.from({ length: 100 }, (_, i) => `another ${i}`).every((text) => !filter.has(text));
    }),
  );
  assert.equal(opened(writeFilter([], shapeFor(0, 17))).has("anything"), false);
});

test("the order in which texts come, and how often, does not change the file", () => {
  fc.assert(
    fc.property(texts, (all) => {
      const shape = shapeFor(all.length, 17);
      return writeFilter(all, shape).equals(writeFilter([...all, ...all].reverse(), shape));
    }),
  );
});

test("a file with any bit changed, cut anywhere or grown is no list", () => {
  const file = writeFilter(["one", "two", "three"], shapeFor(3, 17));
  for (let bit = 0; bit < file.length * 8; bit++) {
    const changed = Buffer.from(file);
    changed[bit >>> 3] = (changed[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
    assert.equal(openFilter(changed), undefined, `bit ${bit}`);
  }
  for (let length = 0; length < file.length; length++)
    assert.equal(openFilter(file.subarray(0, length)), undefined, `${length} bytes`);
  assert.equal(openFilter(Buffer.concat([file, Buffer.alloc(1)])), undefined);
});
