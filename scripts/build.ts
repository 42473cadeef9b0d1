import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
// A script for browsers stands as it is: the code reads it.
const compiled = /\.[cm]?tsx?$/;

/** Compiles one package into its `dist`: JavaScript, types, and the files that the code reads. */
function build(name: string): void {
  const folder = path.join(root, "packages", name);
  const [source, target] = [path.join(folder, "src"), path.join(folder, "dist")];
  fs.rmSync(target, { recursive: true, force: true });
  const tsc = path.join(root, "node_modules", ".bin", "tsc");
  const result = spawnSync(tsc, ["-p", path.join(folder, "tsconfig.build.json")], { stdio: "inherit" });
  if (result.status !== 0) throw new Error(`packages/${name} does not compile; tsc says why above.`);
  for (const entry of fs.globSync("**/*", { cwd: source, withFileTypes: true })) {
    if (!entry.isFile() || compiled.test(entry.name)) continue;
    const from = path.join(entry.parentPath, entry.name);
    const to = path.join(target, path.relative(source, from));
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.copyFileSync(from, to);
  }
  fs.copyFileSync(path.join(root, "LICENSE"), path.join(folder, "LICENSE"));
}

try {
  const wanted = process.argv.slice(2);
  for (const name of wanted.length > 0 ? wanted : fs.readdirSync(path.join(root, "packages")).sort())
    build(name);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
