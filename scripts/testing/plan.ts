import fs from "node:fs";
import path from "node:path";

export type Engine = "sqlite" | "postgres";
export const engines: readonly Engine[] = ["sqlite", "postgres"];

/** One file, run once. `engine` is absent for a file that asks no database. */
export interface Job {
  /** Relative to the repository, with slashes. */
  readonly file: string;
  readonly engine?: Engine;
}

const places = [
  "packages/*/src/**/*.test.ts",
  "tests/**/*.test.ts",
  "scripts/**/*.test.ts",
  "bench/**/*.test.ts",
];
const importsOfTestCode =
  /^(?:import (?!type )|export |\} from |(?:const|let) .*\bimport\().*["']([^"']*\btest-[^"'/]+\.ts)["']/gm;
const asksDatabase = /\/test-(?:database|server)\.ts$/;

/** Whether a file imports test-database.ts or test-server.ts, by itself or by the test code that it imports. */
function dependsOnDatabase(file: string, seen = new Set<string>()): boolean {
  if (seen.has(file) || !fs.existsSync(file)) return false;
  seen.add(file);
  const imports = [...fs.readFileSync(file, "utf8").matchAll(importsOfTestCode)].map(([, name = ""]) => name);
  return imports.some(
    (name) => asksDatabase.test(name) || dependsOnDatabase(path.join(path.dirname(file), name), seen),
  );
}

/**
 * What to run: files that ask a database once for each engine (they import test-database.ts or test-server.ts, or
 * test code that does), all others once. PostgreSQL's come last, so that it can start meanwhile.
 *
 * @param wanted parts of file names; none of them means every file
 */
export function planJobs(root: string, wanted: readonly string[], chosen: readonly Engine[]): Job[] {
  const files = places
    .flatMap((pattern) => fs.globSync(pattern, { cwd: root, exclude: ["**/node_modules/**"] }))
    .map((file) => file.split(path.sep).join("/"))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .sort();
  const dependent = new Set(files.filter((file) => dependsOnDatabase(path.join(root, file))));
  const once = files.filter((file) => !dependent.has(file)).map((file): Job => ({ file }));
  const each = chosen.flatMap((engine) => [...dependent].map((file): Job => ({ file, engine })));
  return [
    ...each.filter((job) => job.engine !== "postgres"),
    ...once,
    ...each.filter((job) => job.engine === "postgres"),
  ];
}
