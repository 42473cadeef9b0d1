import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { createCommonPasswords } from "../packages/server/src/users/common-passwords.ts";
import { openFilter } from "../packages/server/src/users/password-filter.ts";
import { listFile, makeCommonPasswords, readCommonPasswords } from "./common-passwords.ts";

const passwords = readCommonPasswords();
const common = createCommonPasswords();

test("the committed list is what the script makes of the package that it names", () => {
  assert.ok(
    makeCommonPasswords(passwords).equals(fs.readFileSync(listFile)),
    "run scripts/common-passwords.ts",
  );
});

test("every password of the source is found, in any case", async () => {
  assert.ok(passwords.size > 190_000, `${passwords.size}`);
  for (const password of passwords) assert.ok(await common.has(password), password);
  let tried = 0;
  for (const password of passwords) {
    if (tried++ % 20 === 0) assert.ok(await common.has(password.toUpperCase().toLowerCase()), password);
  }
});

test("fewer than one in 100,000 of other passwords are taken for common ones", () => {
  const filter = openFilter(fs.readFileSync(listFile));
  assert.ok(filter);
  // The same ones each time: a test must not fail by chance.
  const tried = 600_000;
  let found = 0;
  for (let i = 0; i < tried; i++) if (filter.has(`horse ${i * 7919} battery`)) found++;
  assert.ok(found > 0, "a filter without any wrong hit is not the one that was measured");
  assert.ok(found * 100_000 < tried, `${found}`);
});

test("the file is as small as it is said to be", () => {
  assert.ok(fs.statSync(listFile).size * 8 < passwords.size * 20);
});
