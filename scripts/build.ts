import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { build as bundle, type Plugin } from "esbuild";

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

/** What is loaded at every start of the command line: four hundred files of ours are half of the time that it takes. */
const program = { package: "server", entry: "cli/program" };

/** Puts the program, with all of our own that it imports, into a few files beside the one that starts it. */
async function bundleProgram(): Promise<void> {
  const folder = path.join(root, "packages", program.package);
  const [source, outdir] = [path.join(folder, "src"), path.join(folder, "dist", path.dirname(program.entry))];
  await bundle({
    entryPoints: [path.join(source, `${program.entry}.ts`)],
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: "program-[hash]",
    format: "esm",
    platform: "node",
    target: "node24",
    conditions: ["keyturn-source"],
    sourcemap: true,
    sourcesContent: false,
    logLevel: "warning",
    plugins: [ownCodeOnly, urlsOfTheirFiles({ source, outdir })],
  });
}

/** Other people's packages are installed, and loaded from where they are. */
const ownCodeOnly: Plugin = {
  name: "own code only",
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) =>
      kind === "entry-point" || name.startsWith("@keyturn/") ? undefined : { path: name, external: true },
    );
  },
};

/** A file that looks beside itself (for a thread, a stylesheet, a list) is in the bundle no longer where it was. */
const urlsOfTheirFiles = ({ source, outdir }: { source: string; outdir: string }): Plugin => ({
  name: "URLs of their files",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path: file }) => {
      const text = fs.readFileSync(file, "utf8");
      if (!text.includes("import.meta.url")) return undefined;
      const built = path.join(source, "..", "dist", path.relative(source, file)).replace(/\.ts$/, ".js");
      const place = path.relative(outdir, built).split(path.sep).join("/");
      const url = `new URL(${JSON.stringify(place)}, import.meta.url).href`;
      return { contents: text.replaceAll("import.meta.url", url), loader: "ts" };
    });
  },
});

try {
  const wanted = process.argv.slice(2);
  for (const name of wanted.length > 0 ? wanted : fs.readdirSync(path.join(root, "packages")).sort())
    build(name);
  if (wanted.length === 0 || wanted.includes(program.package)) await bundleProgram();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
