import assert from "node:assert/strict";
import { test } from "node:test";
import { firstIdAt, idFromBytes, idToBytes, isId, newId } from "./id.ts";

const NOW = 1_795_000_000_000;

test("RFC 9562 §5.7: a UUID of version 7 and variant 10 that begins with the time", () => {
  const id = newId(NOW);
  assert.ok(isId(id));
  assert.equal(id[14], "7");
  assert.match(id[19] as string, /[89ab]/);
  assert.equal(Number.parseInt(id.replace("-", "").slice(0, 12), 16), NOW);
});

test("RFC 9562 §6.2: ids of one millisecond are in the order of their making, and differ", () => {
  const ids = Array.from({ length: 4096 }, () => newId(NOW + 1));
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(Array.from({ length: 10_000 }, () => newId(NOW + 2))).size, 10_000);
});

test("the first id of a moment stands before all made in it and after all made before", () => {
  const before = newId(NOW + 3);
  assert.ok(before < firstIdAt(NOW + 4));
  assert.ok(firstIdAt(NOW + 4) < newId(NOW + 4));
});

test("bytes and text are each other's reverse; other texts are no ids", () => {
  const id = newId(NOW);
  assert.equal(idFromBytes(idToBytes(id)), id);
  for (const text of ["", id.toUpperCase(), `${id} `, id.replaceAll("-", ""), `${id}0`, 7, null])
    assert.equal(isId(text), false);
});
