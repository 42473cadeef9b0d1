import assert from "node:assert/strict";
import path from "node:path";
import { before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { build, type Metafile } from "esbuild";

/** What a page downloads when it uses the client. */

const root = path.resolve(import.meta.dirname, "..");
const entry = "packages/client/src/index.ts";
/** Of the entry, with all that it needs before anything of it runs. */
const firstBytesMax = 6000;
/** Of the entry with the parts of one mode, which it loads at once. */
const modeBytesMax = 9000;

interface Part {
  readonly name: string;
  readonly text: string;
  readonly gzipped: number;
  readonly output: Metafile["outputs"][string];
}

const parts = new Map<string, Part>();

before(async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [path.join(root, entry)],
    absWorkingDir: root,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    splitting: true,
    write: false,
    metafile: true,
    outdir: "out",
  });
  for (const { path: file, text, contents } of outputFiles) {
    const name = path.relative(root, file);
    const output = metafile.outputs[name];
    assert.ok(output, name);
    parts.set(name, { name, text, output, gzipped: gzipSync(contents, { level: 9 }).length });
  }
});

/** A part with all that it imports by `import … from`. */
function withImports(source: string): Part[] {
  const wanted = [...parts.values()].filter(({ output }) => output.entryPoint?.endsWith(source));
  for (const part of wanted) {
    for (const { path: name, kind } of part.output.imports) {
      const imported = parts.get(name);
      if (kind === "import-statement" && imported && !wanted.includes(imported)) wanted.push(imported);
    }
  }
  assert.ok(wanted.length > 0, source);
  return wanted;
}

const size = (some: Iterable<Part>) => [...some].reduce((sum, { gzipped }) => sum + gzipped, 0);
const names = (some: readonly Part[]) => some.flatMap(({ output }) => Object.keys(output.inputs)).join(" ");

describe("the client in a browser", () => {
  test(`what is loaded at first is smaller than ${firstBytesMax} bytes, gzipped`, () => {
    const first = withImports("src/index.ts");
    console.log(`loaded at first: ${size(first)} bytes gzipped`);
    assert.ok(size(first) < firstBytesMax, `${size(first)}`);
    assert.doesNotMatch(names(first), /cookie-mode|token-mode/);
  });

  for (const mode of ["token", "cookie"]) {
    test(`with what ${mode} mode needs it is smaller than ${modeBytesMax} bytes, and nothing of the other is in it`, () => {
      const all = [...new Set([...withImports("src/index.ts"), ...withImports(`src/${mode}-mode.ts`)])];
      console.log(`${mode} mode, all of it: ${size(all)} bytes gzipped`);
      assert.ok(size(all) < modeBytesMax, `${size(all)}`);
      assert.ok(!names(all).includes(mode === "token" ? "cookie-mode" : "token-mode"));
    });
  }

  test("nothing of Node and nothing of the server is in it", () => {
    const text = [...parts.values()].map((part) => part.text).join("\n");
    assert.ok(text.length > 10_000, "nothing was bundled");
    for (const word of ["node:", "INSERT INTO", "argon2", "require(", "process."]) {
      assert.ok(!text.includes(word), word);
    }
    const inputs = names([...parts.values()]).split(" ");
    assert.ok(inputs.every((input) => input.startsWith("packages/client/src/")));
  });
});
