import assert from "node:assert/strict";
import { createHmac, createSecretKey } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { hmacSha256 } from "./digest.ts";

const hex = (text: string) => Buffer.from(text, "hex");

test("RFC 4231 §4: the vectors of HMAC-SHA-256", () => {
  const cases = [
    {
      key: hex("0b".repeat(20)),
      data: "Hi There",
      mac: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    },
    {
      key: Buffer.from("Jefe"),
      data: "what do ya want for nothing?",
      mac: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    },
    {
      key: hex("aa".repeat(20)),
      data: hex("dd".repeat(50)),
      mac: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    },
    {
      key: hex("aa".repeat(131)),
      data: "Test Using Larger Than Block-Size Key - Hash Key First",
      mac: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    },
  ];
  for (const { key, data, mac } of cases)
    assert.equal(hmacSha256(createSecretKey(key), data).toString("hex"), mac);
});

test("RFC 2104 §2: the same as node:crypto for keys and texts of any length, one after the other", () => {
  const text = fc.oneof(fc.uint8Array({ maxLength: 2000 }), fc.string({ unit: "binary", maxLength: 1500 }));
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 200 }),
      fc.array(text, { maxLength: 4 }),
      (bytes, texts) => {
        const key = createSecretKey(bytes);
        for (const data of texts)
          assert.deepEqual(hmacSha256(key, data), createHmac("sha256", key).update(data).digest());
      },
    ),
  );
});
