import assert from "node:assert/strict";
import { test } from "node:test";
import { inspectFile } from "./tidy.ts";

const server = "packages/server/src";

const refused: readonly [file: string, text: string][] = [
  ["docs/guide.md", "TODO: write this"],
  [`${server}/users/users.ts`, "// FIXME later"],
  [`${server}/users/users.test.ts`, 'test.only("one", () => {});'],
  ["README.md", "run it in /home/someone/keyturn"],
  // Put together here, so that this file itself names no such folder.
  ["bench/main.ts", `const folder = "${["", "root", "bench"].join("/")}";`],
  [".npmrc", "registry=https://registry.example.com/"],
  [`${server}/users/users.ts`, 'export type A = import("./other.ts").A;'],
  [`${server}/sessions/start.ts`, 'import { a } from "../clients/clients.ts";'],
  [`${server}/users/users.ts`, "const at = Date.now();"],
  ["packages/guard/src/guard.ts", "const id = Math.random();"],
  ["packages/guard/src/guard.ts", "// @ts-ignore"],
  [`${server}/users/utils.ts`, ""],
  ["packages/guard/src/helpers/one.ts", ""],
  [`${server}/users/users.ts`, "\n".repeat(301)],
];

for (const [file, text] of refused) {
  test(`tidy refuses in ${file}: ${text.trim() || "its name or length"}`, () => {
    assert.equal(inspectFile(file, text).length, 1);
  });
}

const accepted: readonly [file: string, text: string][] = [
  [`${server}/primitives/clock.ts`, "export const systemClock = () => Date.now();"],
  [`${server}/users/users.test.ts`, "const at = Date.now();\n".repeat(400)],
  [`${server}/sessions/start.ts`, 'import type { A } from "../clients/clients.ts";'],
  [`${server}/cli/main.ts`, 'const { serve } = await import("./serve.ts");'],
  ["docs/guide.md", "See https://www.npmjs.com/package/keyturn and /oauth/token, and do it in the workshop."],
  [`${server}/users/users.ts`, "\n".repeat(300)],
];

for (const [file, text] of accepted) {
  test(`tidy accepts in ${file}: ${text.slice(0, 60).trim()}`, () => {
    assert.deepEqual(inspectFile(file, text), []);
  });
}
