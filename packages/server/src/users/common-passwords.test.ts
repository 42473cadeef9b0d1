import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { createCommonPasswords } from "./common-passwords.ts";

const shipped = join(import.meta.dirname, "..", "..", "lists", "common-passwords.bin");
const common = createCommonPasswords();
let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "keyturn-list-test-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

test("OWASP ASVS 5.0 §6.2.4: what people choose and thieves try is on the list, in any case", async () => {
  for (const password of ["password", "12345678", "qwertyuiop", "iloveyou1", "password123", "trustno1"])
    assert.equal(await common.has(password), true, password);
  for (const password of ["PASSWORD", "PassWord123", "QwertyUiop"])
    assert.equal(await common.has(password), true, password);
});

test("NIST SP 800-63B-4 §3.1.1.2: so are those to be expected, of every length and with the signs that sites ask for", async () => {
  for (const password of [
    "aaaaaaaa",
    "        ",
    "1".repeat(33),
    "123456789012345",
    "qwertyuiopasdfgh",
    "a".repeat(64),
  ])
    assert.equal(await common.has(password), true, password);
  for (const password of [
    "Password1!",
    "P@ssw0rd123",
    "Welcome1!",
    "Summer2026!",
    "passwordpassword",
    "Qwerty123!",
  ])
    assert.equal(await common.has(password), true, password);
});

test("what is not a listed password as a whole is not on it", async () => {
  for (const password of ["correct horse battery", "password password123", "my password123", "pass\0word"])
    assert.equal(await common.has(password), false, password);
});

test("shorter and longer ones than the list has are not looked up", async () => {
  const nowhere = createCommonPasswords({ file: join(folder, "nowhere") });
  for (const password of ["", "123456", "🦊".repeat(7), "e\u0301".repeat(7), "x".repeat(65), "é".repeat(512)])
    assert.equal(await nowhere.has(password), false);
});

test("any text is answered by true or false, and one spelling by the same as the other", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", minLength: 8, maxLength: 80 }), async (text) => {
      assert.equal(await common.has(text.normalize("NFD")), await common.has(text.normalize("NFC")));
    }),
  );
  for (const password of ["\ud83d".repeat(9), "\0".repeat(8), "x".repeat(1_000_000)])
    assert.equal(await common.has(password), false);
});

test("a damaged or missing list stops every new password and says so, until it is mended", async () => {
  const file = join(folder, "list.bin");
  const bytes = readFileSync(shipped);
  const changed = Buffer.from(bytes);
  changed[200_000] = (changed[200_000] ?? 0) ^ 1;
  const damaged = createCommonPasswords({ file });
  await assert.rejects(damaged.has("correct horse"), /ENOENT/);
  for (const wrong of [Buffer.alloc(0), Buffer.from("not a list"), bytes.subarray(0, 1000), changed]) {
    writeFileSync(file, wrong);
    await assert.rejects(damaged.has("correct horse"), /is damaged\. Install the package again/);
  }
  copyFileSync(shipped, file);
  assert.equal(await damaged.has("correct horse"), false);
  assert.equal(await damaged.has("password"), true);
});

test("the list is read once, at the first question", async () => {
  const file = join(folder, "once.bin");
  const once = createCommonPasswords({ file });
  copyFileSync(shipped, file);
  const found = await Promise.all(["password", "12345678", "correct horse"].map((text) => once.has(text)));
  assert.deepEqual(found, [true, true, false]);
  rmSync(file);
  assert.equal(await once.has("password"), true);
});
