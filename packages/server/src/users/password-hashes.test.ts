import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { recogniseHash } from "./password-hashes.ts";

const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64").replaceAll("=", "");
const salt = Buffer.from("0123456789abcdef");

describe("recognising hashes", () => {
  const hash = (text: string) => recogniseHash(text);
  const ok = `${b64(salt)}$${b64(Buffer.alloc(32, 7))}`;

  test("hashes that would stall a thread or take more than 1 GiB are refused with a sentence", () => {
    for (const text of [
      `$argon2id$v=19$m=1048577,t=1,p=1$${ok}`,
      `$argon2id$v=19$m=19456,t=100000,p=1$${ok}`,
      `$argon2id$v=19$m=4294967295,t=4294967295,p=255$${ok}`,
      `$scrypt$ln=21,r=8,p=1$${ok}`,
      `$scrypt$ln=31,r=1073741823,p=1$${ok}`,
      `$scrypt$ln=10,r=8,p=100000$${ok}`,
      `$2b$16$${"a".repeat(53)}`,
      `$2b$31$${"a".repeat(53)}`,
    ]) {
      const found = hash(text);
      assert.equal(found.ok, false, text);
      assert.match(found.ok ? "" : found.problem, /^This .+\.$/);
    }
    assert.equal(hash(`$argon2id$v=19$m=1048576,t=4,p=4$${ok}`).ok, true);
    assert.equal(hash(`$scrypt$ln=20,r=8,p=1$${ok}`).ok, true);
    assert.equal(hash(`$2b$15$${"a".repeat(53)}`).ok, true);
  });

  test("malformed and unknown hashes are refused with a sentence that does not repeat them", () => {
    for (const text of [
      "",
      "secret-text",
      "5f4dcc3b5aa765d61d8327deb882cf99",
      `$argon2id$v=16$m=19456,t=2,p=1$${ok}`,
      `$argon2id$m=19456,t=2,p=1$${ok}`,
      `$argon2id$v=19$m=7,t=2,p=1$${ok}`,
      `$argon2id$v=19$m=19456,t=0,p=1$${ok}`,
      `$argon2id$v=19$m=19456,t=2,p=0$${ok}`,
      `$argon2id$v=19$m=19456,t=2,p=1,keyid=AA$${ok}`,
      `$argon2id$v=19$m=19456,t=2,p=1$${b64(salt)}$`,
      `$argon2id$v=19$m=19456,t=2,p=1$AAAA$${b64(Buffer.alloc(32))}`,
      `$argon2id$v=19$m=19456,t=2,p=1$${ok}=`,
      `$argon2id$v=19$m=19456,t=2,p=1$${ok}\n`,
      `$scrypt$ln=0,r=8,p=1$${ok}`,
      `$scrypt$ln=16,r=1,p=1$${ok}`,
      "$2b$03$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "$2x$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "$2b$10$short",
      `$argon2id$${"$".repeat(1_000_000)}`,
    ]) {
      const found = hash(text);
      assert.equal(found.ok, false, text.slice(0, 80));
      assert.ok(!found.ok && !found.problem.includes("secret-text"));
    }
  });

  test("any text is answered, none throws", () => {
    const part = fc.constantFrom(
      "$",
      "argon2id",
      "v=19",
      "m=19456,t=2,p=1",
      "scrypt",
      "ln=1,r=8,p=1",
      "2b",
      "10",
      "AAAA",
      "\0",
      "",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.array(part).map((parts) => parts.join("")),
        ),
        (text) => {
          const found = recogniseHash(text);
          return found.ok || found.problem.length > 0;
        },
      ),
    );
  });
});
