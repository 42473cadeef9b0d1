import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBase64url, decodeBase64urlText } from "./base64url.ts";

test("RFC 4648 §5: decodes what Node encodes, whatever the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const decoded = decodeBase64url(Buffer.from(bytes).toString("base64url"));
      assert.deepEqual(decoded && Buffer.from(decoded), Buffer.from(bytes));
    }),
  );
});

test("RFC 7515 §2: a value has one text: what decodes encodes to the same text again", () => {
  const character = fc.constantFrom(..."ABYZabyz0189-_+/=. \n\u00e9\u{1f600}");
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 12 }), (text) => {
      const decoded = decodeBase64url(text);
      if (decoded !== undefined) assert.equal(Buffer.from(decoded).toString("base64url"), text);
    }),
    { numRuns: 2000 },
  );
});

test("RFC 7515 §2: refuses padding, whitespace, the other alphabet, odd lengths and loose trailing bits", () => {
  for (const text of ["QQ==", "QQ=", "Q Q", "QQ\n", "+/+/", "Q", "QUJDR", "QR", "QUJ", "Qé==", "\u0141QQQ"]) {
    assert.equal(decodeBase64url(text), undefined, text);
  }
  assert.deepEqual(decodeBase64url("QQ"), Uint8Array.of(65));
});

test("decodes texts longer than its working space", () => {
  const bytes = Buffer.alloc(50_000, 7);
  assert.deepEqual(decodeBase64url(bytes.toString("base64url")), new Uint8Array(bytes));
  assert.equal(decodeBase64urlText(Buffer.alloc(50_000, 65).toString("base64url")), "A".repeat(50_000));
});

test("RFC 7519 §7.2: text that is not UTF-8 is not decoded", () => {
  assert.equal(decodeBase64urlText(Buffer.of(0xff, 0xfe).toString("base64url")), undefined);
  assert.equal(decodeBase64urlText(Buffer.from("né😀").toString("base64url")), "né😀");
});
