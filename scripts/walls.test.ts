import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

const root = path.resolve(import.meta.dirname, "..");
const server = "packages/server/src";
const value = (file: string) => `import { a } from "${file}"; export const b = a;`;

/** Files that break one wall each: the wall's name, the file, its text. */
const violations: readonly [wall: string, file: string, text: string][] = [
  ["floor-0-imports-upward", `${server}/primitives/x.ts`, value("../storage/database.ts")],
  [
    "floor-1-imports-upward",
    `${server}/storage/a.ts`,
    'import type { A } from "../users/users.ts"; export type B = A;',
  ],
  ["floor-1-imports-upward", `${server}/storage/b.ts`, 'export type { A } from "../users/users.ts";'],
  ["floor-1-imports-upward", `${server}/storage/c.ts`, 'export * from "../users/users.ts";'],
  ["floor-1-imports-upward", `${server}/storage/d.ts`, 'export const x = await import("../users/users.ts");'],
  ["floor-1-imports-upward", `${server}/mail/x.ts`, value("../app.ts")],
  ["floor-2-imports-upward", `${server}/users/up.ts`, value("../oauth/token.ts")],
  ["floor-4-imports-upward", `${server}/account-api/up.ts`, value("../routes.ts")],
  ["floor-4-imports-upward", `${server}/admin/commands/up.ts`, value("../api/users.ts")],
  ["floor-5-imports-upward", `${server}/jobs/up.ts`, value("../app.ts")],
  ["floor-3-imports-upward", `${server}/http/up.ts`, value("../oauth/token.ts")],
  ["floor-1-neighbour-of-observability", `${server}/observability/x.ts`, value("../storage/database.ts")],
  ["floor-2-neighbour-of-sessions", `${server}/sessions/x.ts`, value("../users/users.ts")],
  ["floor-2-neighbour-of-clients", `${server}/clients/x.ts`, value("../users/users.ts")],
  ["floor-4-neighbour-of-pages", `${server}/pages/x.ts`, value("../oauth/token.ts")],
  ["floor-4-neighbour-of-oauth", `${server}/oauth/x.ts`, value("../account-api/login.ts")],
  ["no-floor", `${server}/newcomer.ts`, value("./errors.ts")],
  ["no-floor-imported", `${server}/users/newcomer.ts`, value("../helpful/newcomer.ts")],
  ["door-sql-template-tag", `${server}/users/sql.ts`, 'import sql from "sql-template-tag"; sql;'],
  ["door-node:sqlite", `${server}/storage/rows.ts`, 'import "node:sqlite";'],
  ["door-pg", `${server}/storage/rows.ts`, 'import "node:sqlite"; import "pg";'],
  ["door-jose", `${server}/oauth/jose.ts`, 'import type { JWK } from "jose"; export type A = JWK;'],
  [
    "http-below-floor-3",
    `${server}/users/http.ts`,
    'import type { Hono } from "hono"; export type A = Hono;',
  ],
  ["http-below-floor-3", `${server}/roles/http.ts`, 'import "@hono/node-server";'],
  ["test-code-in-production", `${server}/roles/x.ts`, 'import "../storage/test-database.ts";'],
  ["no-cycle", `${server}/users/ring-1.ts`, 'import type { A } from "./ring-2.ts"; export type B = A;'],
  ["not-resolvable", `${server}/users/nowhere.ts`, value("./not-there.ts")],
  ["guard-stands-alone", "packages/guard/src/x.ts", 'import "jose";'],
  ["client-stands-alone", "packages/client/src/x.ts", 'import "node:crypto";'],
  ["client-in-node-stands-alone", "packages/client/src/file-x.ts", 'import "jose";'],
  ["client-in-browsers", "packages/client/src/y.ts", 'import "./file-x.ts";'],
  ["server-stands-alone", `${server}/http/x.ts`, 'import "../../../guard/src/guard.ts";'],
];

/** Files that break none. */
const allowed: readonly [file: string, text: string][] = [
  [
    `${server}/users/fine.ts`,
    `${value("../sessions/sessions.ts")} import "../audit/audit.ts"; import "../errors.ts";`,
  ],
  [`${server}/users/fine.sql.ts`, 'import sql from "sql-template-tag"; sql;'],
  [`${server}/storage/sqlite-pool.ts`, 'import "node:sqlite"; import "sql-template-tag";'],
  [`${server}/storage/postgres-pool.ts`, 'import "pg";'],
  [`${server}/tokens/jwt.ts`, 'import "../keys/keys.ts";'],
  [`${server}/clients/client-jwt.ts`, 'import "jose";'],
  [
    `${server}/account-api/fine.ts`,
    'import "../http/endpoint.ts"; import "hono"; import "../users/users.ts";',
  ],
  [`${server}/pages/fine.ts`, value("../oauth/interaction.ts")],
  [`${server}/cli/main.ts`, value("../app.ts")],
  [
    `${server}/users/fine.test.ts`,
    'import "../app.ts"; import "../storage/test-database.ts"; import "jose";',
  ],
  ["packages/guard/src/fine.ts", 'import "node:crypto"; import "./guard.ts";'],
];

const targets = [
  "app",
  "errors",
  "routes",
  "storage/database",
  "storage/test-database",
  "users/users",
].concat(
  ["sessions/sessions", "tokens/tokens", "keys/keys", "audit/audit", "oauth/token", "oauth/interaction"],
  ["http/endpoint", "account-api/login", "admin/api/users", "helpful/newcomer"],
);

let folder = "";
let report = "";

before(() => {
  folder = fs.mkdtempSync(path.join(tmpdir(), "keyturn-walls-"));
  const write = (file: string, text: string) => {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), text);
  };
  for (const name of targets) write(`${server}/${name}.ts`, "export type A = 1; export const a = 1;");
  write(`${server}/users/ring-2.ts`, 'import type { B } from "./ring-1.ts"; export type A = B;');
  write("packages/guard/src/guard.ts", "export const a = 1;");
  for (const [, file, text] of violations) write(file, text);
  for (const [file, text] of allowed) write(file, text);
  for (const file of [".dependency-cruiser.cjs", "tsconfig.json", "tsconfig.base.json"]) {
    fs.copyFileSync(path.join(root, file), path.join(folder, file));
  }
  fs.symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
  const program = path.join(root, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const args = [program, "--config", ".dependency-cruiser.cjs", "packages"];
  const result = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
  report = result.stdout + result.stderr;
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

for (const [wall, file] of violations) {
  test(`the wall ${wall} holds against ${file}`, () => {
    assert.ok(report.includes(`error ${wall}: ${file} → `), report);
  });
}

test("no wall stands where a way is meant to be", () => {
  const wrong = allowed.filter(([file]) => report.includes(`: ${file} → `));
  assert.deepEqual(wrong, [], report);
});
