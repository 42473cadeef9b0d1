import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { createStage, freePort, root } from "./stage.ts";

const stage = createStage();
after(() => stage.clear());

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

interface Packed {
  readonly folder: string;
  readonly manifest: Manifest;
  /** What `npm pack` would put into the package. */
  readonly files: readonly string[];
}

const built = new Map<string, Packed>();
/** A project that has installed both packages and their declared dependencies, and nothing else. */
let project: string;

before(() => {
  const copy = buildCopy();
  for (const name of ["guard", "server"]) built.set(name, pack(path.join(copy, "packages", name)));
  project = stage.folder();
  fs.writeFileSync(
    path.join(project, "package.json"),
    '{"name":"consumer","private":true,"type":"module"}\n',
  );
  for (const { folder, manifest, files } of built.values()) {
    const target = path.join(project, "node_modules", manifest.name);
    for (const file of files)
      fs.cpSync(path.join(folder, file), path.join(target, file), { recursive: true });
    for (const name of Object.keys(manifest.dependencies ?? {})) linkDependency(name);
  }
});

/** Builds both packages in a copy, so that nothing that runs beside the tests finds them half built. */
function buildCopy(): string {
  const copy = stage.folder();
  for (const entry of ["package.json", "tsconfig.base.json", "LICENSE", "scripts", "packages"]) {
    const filter = (source: string) => !/\/(?:dist|node_modules|data)$/.test(source);
    fs.cpSync(path.join(root, entry), path.join(copy, entry), { recursive: true, filter });
  }
  fs.symlinkSync(path.join(root, "node_modules"), path.join(copy, "node_modules"), "junction");
  execFileSync(process.execPath, ["scripts/build.ts", "guard", "server"], { cwd: copy, stdio: "pipe" });
  return copy;
}

function pack(folder: string): Packed {
  const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
  const { status, stdout, stderr } = spawnSync("npm", args, {
    cwd: folder,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  assert.equal(status, 0, stderr);
  const [{ files }] = JSON.parse(stdout);
  return {
    folder,
    manifest: JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8")),
    files: files.map((file: { path: string }) => file.path),
  };
}

function linkDependency(name: string): void {
  const target = path.join(project, "node_modules", name);
  if (name === "@keyturn/guard" || fs.existsSync(target)) return;
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.symlinkSync(path.join(root, "node_modules", name), target, "junction");
}

function packed(name: string): Packed {
  const found = built.get(name);
  assert.ok(found);
  return found;
}

/** Every file that a package's entries name. */
function entries({ manifest }: Packed): string[] {
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === "string" ? [target] : Object.values(target),
  );
  return [...targets, ...Object.values(manifest.bin ?? {})].map((target) => target.replace(/^\.\//, ""));
}

/** The JavaScript that is loaded when any of the entries is imported, and the packages it asks for. */
function importsOf(one: Packed): { text: string; packages: Set<string> } {
  const waiting = entries(one).filter((file) => file.endsWith(".js"));
  const seen = new Set(waiting);
  const packages = new Set<string>();
  let text = "";
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const source = fs.readFileSync(path.join(one.folder, file), "utf8");
    text += source;
    for (const [, specifier = ""] of source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*["']([\w@./:-]+)["']/g)) {
      const next = path.posix.join(path.posix.dirname(file), specifier);
      if (!specifier.startsWith(".")) packages.add(specifier);
      else if (!seen.has(next)) waiting.push(next);
      seen.add(next);
    }
  }
  return { text, packages };
}

describe("what is published", () => {
  for (const name of ["guard", "server"]) {
    test(`packages/${name}: no tests, no secrets, no settings of this repository`, () => {
      const { files } = packed(name);
      const unwanted =
        /\.test\.|(?:^|\/)(?:test-[^/]*|\.env[^/]*|\.npmrc|secret|tsconfig[^/]*|data)(?:\/|$)|\.(?:db|db-wal|db-shm|pem|key|log|tgz|tsbuildinfo)$/;
      assert.deepEqual(
        files.filter((file) => unwanted.test(file)),
        [],
      );
      const places = /^(?:dist\/|lists\/|src\/|README\.md$|LICENSE$|package\.json$)/;
      assert.deepEqual(
        files.filter((file) => !places.test(file)),
        [],
      );
      for (const wanted of ["README.md", "LICENSE", "package.json"])
        assert.ok(files.includes(wanted), wanted);
    });

    test(`packages/${name}: every entry is there, but for those of this repository's own condition`, () => {
      const one = packed(name);
      for (const file of entries(one)) {
        if (file.startsWith("src/") && name === "guard") continue;
        assert.ok(one.files.includes(file) || file === "package.json", file);
      }
    });
  }

  test("the guard brings nothing of a server: no SQL, no database, no password hashing, no package", () => {
    const { text, packages } = importsOf(packed("guard"));
    assert.ok(text.length > 50_000, "nothing was read");
    for (const word of ["INSERT INTO", "node:sqlite", "argon2", "scrypt", "privateKey"]) {
      assert.ok(!text.includes(word), word);
    }
    assert.deepEqual([...packages], []);
    assert.equal(packed("guard").manifest.dependencies, undefined);
  });

  test("the server imports what it declares, and nothing else", () => {
    const { packages } = importsOf(packed("server"));
    const names = [...packages].filter((name) => !name.startsWith("node:"));
    const declared = Object.keys(packed("server").manifest.dependencies ?? {});
    const nameOf = (specifier: string) =>
      specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/");
    assert.deepEqual(
      names.filter((name) => !declared.includes(nameOf(name))),
      [],
    );
    assert.equal(
      packed("server").manifest.dependencies?.["@keyturn/guard"],
      packed("guard").manifest.version,
    );
  });
});

describe("a project that installed the packages runs them by plain node", () => {
  const plain = (folder: string) => ({ folder, fromSource: false });

  test("createKeyturn and createGuard, imported by their names", async () => {
    const script = path.join(project, "app.mjs");
    fs.writeFileSync(
      script,
      `import { createServer } from "node:http";
       import { once } from "node:events";
       import { createGuard } from "@keyturn/guard";
       import { protect } from "@keyturn/guard/node";
       import { createKeyturn } from "keyturn";
       const issuer = "http://127.0.0.1:" + process.argv[2];
       const keyturn = await createKeyturn({ issuer, data: process.argv[3], logLevel: "silent" });
       const server = createServer(keyturn.nodeHandler).listen(Number(process.argv[2]), "127.0.0.1");
       await once(server, "listening");
       const json = { username: "alice", password: "correct horse battery" };
       await keyturn.users.add(json, { actor: "operator" });
       // The list of these is a file of the package.
       const common = { username: "bob", password: "password123" };
       const { outcome } = await keyturn.users.add(common, { actor: "operator" });
       const headers = { "content-type": "application/json" };
       const reply = await fetch(issuer + "/login", { method: "POST", headers, body: JSON.stringify(json) });
       const { accessToken } = await reply.json();
       const guard = createGuard({ issuer, audience: issuer });
       const { ok, identity } = await guard.verify(accessToken);
       console.log(JSON.stringify({ ok, subject: identity?.subject, protect: typeof protect, outcome }));
       guard.close();
       server.close();
       server.closeAllConnections();
       await keyturn.close();
      `,
    );
    const port = await freePort();
    const { code, stdout, stderr } = await stage.run(script, [String(port), stage.folder()], plain(project));
    assert.equal(code, 0, stderr);
    const { ok, subject, protect, outcome } = JSON.parse(stdout);
    assert.deepEqual([ok, typeof subject, protect, outcome], [true, "string", "function", "invalid"]);
  });

  test("every entry of the guard can be imported without the framework that it is for", async () => {
    const names = Object.keys(packed("guard").manifest.exports).filter((name) => !name.endsWith(".json"));
    const script = path.join(project, "entries.mjs");
    const specifiers = JSON.stringify(names.map((name) => path.posix.join("@keyturn/guard", name)));
    fs.writeFileSync(
      script,
      `for (const name of ${specifiers}) await import(name);\nconsole.log("imported");\n`,
    );
    const { stdout, stderr } = await stage.run(script, [], plain(project));
    assert.equal(stdout.trim(), "imported", stderr);
  });

  test("the command keyturn serves, and other commands work beside it", async () => {
    const { manifest } = packed("server");
    const command = path.join(project, "node_modules/keyturn", manifest.bin?.keyturn ?? "");
    const environment = { KEYTURN_DATA: stage.folder(), PORT: "0" };
    const server = stage.start(command, ["serve"], { environment, ...plain(project) });
    const [, version, address] = await server.says(/Keyturn (\S+) listens on (\S+)/);
    assert.equal(version, manifest.version);
    assert.equal((await fetch(`${address}/healthz`)).status, 200);
    const listed = await stage.run(command, ["user", "list", "--json"], { environment, ...plain(project) });
    assert.equal(JSON.parse(listed.stdout).users[0].username, "admin", listed.stderr);
    assert.equal((await server.stop()).code, 0);
  });
});
