import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Refusal } from "../errors.ts";
import { limits } from "../primitives/limits.ts";
import { fetchBody } from "./arrival.ts";
import { readForm } from "./form.ts";

const FORM = "application/x-www-form-urlencoded";

const post = (
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>,
  headers: Record<string, string> = { "content-type": FORM },
) =>
  readForm(
    fetchBody(
      new Request("http://localhost/", { method: "POST", body, headers, duplex: "half" } as RequestInit),
    ),
  );

const refusedWith = (code: string) => (error: unknown) => error instanceof Refusal && error.code === code;

test("a form as browsers send it comes out as it was typed", async () => {
  const typed = fc.dictionary(
    fc.string({ minLength: 1, unit: "grapheme" }),
    fc.string({ unit: "grapheme" }),
    {
      maxKeys: 8,
    },
  );
  await fc.assert(
    fc.asyncProperty(typed, async (fields) => {
      fc.pre(Object.entries(fields).every((pair) => pair.every((text) => text.isWellFormed())));
      const read = await post(new URLSearchParams(fields).toString());
      assert.deepEqual([...read].sort(), Object.entries(fields).sort());
    }),
    { numRuns: 200 },
  );
});

test("a field without a value, an empty form and a field called __proto__ are no surprise", async () => {
  assert.deepEqual([...(await post(""))], []);
  assert.deepEqual([...(await post("a"))], [["a", ""]]);
  assert.deepEqual([...(await post("a=b=c"))], [["a", "b=c"]]);
  assert.equal((await post("__proto__=x")).get("__proto__"), "x");
});

test("a repeated field is refused, however its name is written", async () => {
  for (const body of ["a=1&a=2", "a=1&a=1", "a&a", "a=1&%61=2", "a+b=1&a%20b=2", "=&="]) {
    await assert.rejects(post(body), refusedWith("invalid_request"), body);
  }
});

test("what is not UTF-8, and what is no percent sign's business, is refused and not replaced", async () => {
  for (const body of [
    "a=%ff",
    "a=%c0%80",
    "a=%ed%a0%80",
    "a=%",
    "a=%4",
    "a=%zz",
    "%ff=a",
    "a=%f4%90%80%80",
  ]) {
    await assert.rejects(post(body), refusedWith("invalid_request"), body);
  }
  for (const bytes of [
    [0x61, 0x3d, 0xff],
    [0x61, 0x3d, 0xc3],
    [0xfe, 0xff],
  ]) {
    await assert.rejects(post(Uint8Array.from(bytes)), refusedWith("invalid_request"));
  }
});

test("only application/x-www-form-urlencoded in UTF-8 is read", async () => {
  for (const type of [FORM, `${FORM};charset=UTF-8`, `${FORM}; charset="utf-8"`, FORM.toUpperCase()]) {
    assert.equal((await post("a=b", { "content-type": type })).get("a"), "b", type);
  }
  const others = [
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=x",
    `${FORM};charset=utf-16`,
    `${FORM}x`,
    "",
  ];
  for (const type of others) {
    await assert.rejects(post("a=b", { "content-type": type }), refusedWith("unsupported_media_type"), type);
  }
  const packed = { "content-type": FORM, "content-encoding": "gzip" };
  await assert.rejects(post("a=b", packed), refusedWith("unsupported_media_type"));
});

test("a form has a bound in bytes, told or not, and in fields", async () => {
  const full = `a=${"x".repeat(limits.bodyBytesMax - 2)}`;
  assert.equal((await post(full)).get("a")?.length, limits.bodyBytesMax - 2);
  await assert.rejects(post(`${full}x`), refusedWith("body_too_large"));
  const stream = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode("x".repeat(1000))),
  });
  await assert.rejects(post(stream), refusedWith("body_too_large"));
  const names = Array.from({ length: limits.formFieldsMax + 1 }, (_, index) => `f${index}=`);
  assert.equal((await post(names.slice(1).join("&"))).size, limits.formFieldsMax);
  await assert.rejects(post(names.join("&")), refusedWith("invalid_request"));
});
