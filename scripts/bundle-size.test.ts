import assert from "node:assert/strict";
import path from "node:path";
import { before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { build, type Metafile } from "esbuild";

/** What a page downloads when it uses the client. */

const root = path.resolve(import.meta.dirname, "..");
const entry = "packages/client/src/index.ts";
const oidcEntry = "packages/client/src/oidc.ts";
/** Of the entry, with all that it imports: what a page runs in which somebody is signed in. */
const entryBytesMax = 6000;
/** Of each part that is loaded on demand, with what it imports. */
const partBytesMax = 1800;
/** The same for who signs in by OpenID Connect: with discovery and the provider's token endpoint. */
const oidcEntryBytesMax = 9000;
/** Of its own parts: the request, the way back and the ID token; windows. */
const oidcPartBytesMax = 2900;
const oidcOnDemand = ["oidc-popup.ts", "oidc-signing.ts"];
/** By what needs them: another mode, signing in and out, the ways to do so, a storage that keeps keys as JSON. */
const onDemand = [
  "cookie-mode.ts",
  "credentials.ts",
  "json-keys.ts",
  "passkeys.ts",
  "providers.ts",
  "second-step.ts",
  "signing.ts",
];

interface Part {
  readonly name: string;
  readonly text: string;
  readonly gzipped: number;
  readonly output: Metafile["outputs"][string];
}

type Parts = Map<string, Part>;

let parts: Parts;
let oidcParts: Parts;

before(async () => {
  [parts, oidcParts] = await Promise.all([bundle(entry), bundle(oidcEntry)]);
});

async function bundle(from: string): Promise<Parts> {
  const bundled: Parts = new Map();
  const { outputFiles, metafile } = await build({
    entryPoints: [path.join(root, from)],
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
    bundled.set(name, { name, text, output, gzipped: gzipSync(contents, { level: 9 }).length });
  }
  return bundled;
}

/** A part with all that it imports by `import … from`. */
function withImports(source: string, all = parts): Part[] {
  const wanted = [...all.values()].filter(({ output }) => output.entryPoint?.endsWith(source));
  for (const part of wanted) {
    for (const { path: name, kind } of part.output.imports) {
      const imported = all.get(name);
      if (kind === "import-statement" && imported && !wanted.includes(imported)) wanted.push(imported);
    }
  }
  assert.ok(wanted.length > 0, source);
  return wanted;
}

const size = (some: Iterable<Part>) => [...some].reduce((sum, { gzipped }) => sum + gzipped, 0);
const names = (some: readonly Part[]) => some.flatMap(({ output }) => Object.keys(output.inputs)).join(" ");

describe("the client in a browser", () => {
  test(`the entry, with all of token mode that it imports, is smaller than ${entryBytesMax} bytes, gzipped`, () => {
    const all = withImports("src/index.ts");
    console.log(`the entry: ${size(all)} bytes gzipped, ${all.length} file`);
    assert.ok(size(all) < entryBytesMax, `${size(all)}`);
    assert.equal(all.length, 1, "a second file is a second round trip");
    assert.match(names(all), /token-mode.*indexeddb-storage|indexeddb-storage.*token-mode/);
  });

  test("what it loads on demand is what is rarely needed, and nothing of that is in it", () => {
    const imported = [...parts.values()].flatMap(({ output }) =>
      output.imports.filter(({ kind }) => kind === "dynamic-import").map(({ path: name }) => parts.get(name)),
    );
    const sources = new Set(imported.map((part) => path.basename(part?.output.entryPoint ?? "")));
    assert.deepEqual([...sources].sort(), onDemand);
    for (const source of onDemand) assert.ok(!names(withImports("src/index.ts")).includes(source), source);
  });

  for (const source of onDemand) {
    test(`${source} is smaller than ${partBytesMax} bytes, gzipped`, () => {
      const all = withImports(`src/${source}`);
      console.log(`on demand, ${source}: ${size(all)} bytes gzipped, ${all.length} files`);
      assert.ok(size(all) < partBytesMax, `${size(all)}`);
    });
  }

  test(`by OpenID Connect the entry is smaller than ${oidcEntryBytesMax} bytes, gzipped, and one file`, () => {
    const all = withImports("src/oidc.ts", oidcParts);
    console.log(`the entry by OpenID Connect: ${size(all)} bytes gzipped, ${all.length} file`);
    assert.ok(size(all) < oidcEntryBytesMax, `${size(all)}`);
    assert.equal(all.length, 1, "a second file is a second round trip");
    for (const source of oidcOnDemand) assert.ok(!names(all).includes(source), source);
  });

  for (const source of oidcOnDemand) {
    test(`${source} is smaller than ${oidcPartBytesMax} bytes, gzipped`, () => {
      const all = withImports(`src/${source}`, oidcParts);
      console.log(`on demand, ${source}: ${size(all)} bytes gzipped, ${all.length} files`);
      assert.ok(size(all) < oidcPartBytesMax, `${size(all)}`);
    });
  }

  test("nothing of Node and nothing of the server is in it", () => {
    const everything = [...parts.values(), ...oidcParts.values()];
    const text = everything.map((part) => part.text).join("\n");
    assert.ok(text.length > 10_000, "nothing was bundled");
    for (const word of ["node:", "INSERT INTO", "argon2", "require(", "process."]) {
      assert.ok(!text.includes(word), word);
    }
    const inputs = names(everything).split(" ");
    assert.ok(inputs.every((input) => input.startsWith("packages/client/src/")));
  });
});
