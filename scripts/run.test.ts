import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";

const script = "packages/server/src/cli/main.ts";

// Stands for npm: installs a Node, and notes what it was called with. "slow" and "broken" say how it goes.
const npmSource = `
const fs = require("node:fs");
fs.appendFileSync("npm.log", JSON.stringify({ args: process.argv.slice(2), env: process.env }) + "\\n");
if (fs.existsSync("broken")) { console.error("no such package"); process.exit(1); }
if (fs.existsSync("out-of-step") && process.argv[2] === "ci") { console.error("npm error code EUSAGE"); process.exit(1); }
if (fs.existsSync("slow")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
fs.mkdirSync("node_modules/node/bin", { recursive: true });
fs.rmSync("node_modules/node/bin/node", { force: true });
fs.symlinkSync(${JSON.stringify(process.execPath)}, "node_modules/node/bin/node");
`;

/** A checkout with nothing installed whose command line is `source`. */
function checkout(t: TestContext, source = "") {
  const root = fs.mkdtempSync(path.join(tmpdir(), "keyturn-run-"));
  t.after(() => fs.rmSync(root, { recursive: true, force: true }));
  const write = (file: string, text: string) => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  };
  write("package.json", JSON.stringify({ type: "module", dependencies: { node: "24" } }));
  write("package-lock.json", "{}");
  write("npm/npm-cli.js", npmSource);
  write("npm/package.json", "{}");
  write(script, source);
  write("scripts/run.mjs", fs.readFileSync(path.join(import.meta.dirname, "run.mjs"), "utf8"));
  const env = { ...process.env, npm_execpath: path.join(root, "npm", "npm-cli.js") };
  const command = (...args: string[]) => ["scripts/run.mjs", ...args];
  return {
    write,
    path: (file: string) => path.join(root, file),
    run: (...args: string[]) =>
      spawnSync(process.execPath, command(...args), { cwd: root, env, encoding: "utf8" }),
    start: (...args: string[]) =>
      spawn(process.execPath, command(...args), { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] }),
    installations: () =>
      fs.existsSync(path.join(root, "npm.log"))
        ? fs
            .readFileSync(path.join(root, "npm.log"), "utf8")
            .trim()
            .split("\n")
            .map((line): { args: string[]; env: Record<string, string> } => JSON.parse(line))
        : [],
  };
}

test("installs what is missing, once, and then starts the command with its arguments", (t) => {
  const place = checkout(t, "console.log(JSON.stringify(process.argv.slice(2)));");
  const first = place.run("serve", "--port", "4000");
  assert.equal(first.stderr.match(/installing packages/g)?.length, 1);
  assert.deepEqual(JSON.parse(first.stdout), ["serve", "--port", "4000"]);
  const second = place.run("cli", "user", "list");
  assert.deepEqual([second.stderr, JSON.parse(second.stdout)], ["", ["user", "list"]]);
  assert.equal(place.installations().length, 1);
  assert.equal(place.installations()[0]?.args[0], "ci");
});

test("installs again when the lock file or a dependency changes, not when a script does", (t) => {
  const place = checkout(t);
  place.run("setup");
  place.write(
    "package.json",
    JSON.stringify({ scripts: { x: "y" }, type: "module", dependencies: { node: "24" } }),
  );
  place.run("setup");
  assert.equal(place.installations().length, 1);
  place.write("package-lock.json", "{ }");
  place.run("setup");
  assert.equal(place.installations().length, 2);
  place.write("package.json", JSON.stringify({ type: "module", dependencies: { node: "25" } }));
  place.run("setup");
  assert.equal(place.installations().length, 3);
});

test("installs again when the Node of an interrupted installation does not run", (t) => {
  const place = checkout(t, "console.log(process.execPath);");
  place.run("setup");
  fs.rmSync(place.path("node_modules/node/bin/node"));
  place.write("node_modules/node/bin/node", "half a file");
  const result = place.run("cli");
  assert.equal(result.status, 0);
  assert.equal(place.installations().length, 2);
});

test("an installation that fails says why, and the next run tries again", (t) => {
  const place = checkout(t);
  place.write("broken", "");
  const failed = place.run("cli");
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /no such package[\s\S]*run this again/);
  fs.rmSync(place.path("broken"));
  assert.equal(place.run("cli").status, 0);
});

test("a lock file that npm ci refuses is installed by npm install, which changes no file", (t) => {
  const place = checkout(t);
  place.write("out-of-step", "");
  assert.equal(place.run("cli").status, 0);
  const [, second] = place.installations();
  assert.ok(second?.args[0] === "install" && second.args.includes("--no-save"));
});

test("of two commands that start at once, one installs and the other waits", async (t) => {
  const place = checkout(t, "console.log('ran');");
  place.write("slow", "");
  const children = [place.start("cli"), place.start("cli"), place.start("cli")];
  const codes = await Promise.all(children.map((child) => once(child, "exit")));
  assert.deepEqual(
    codes.map(([code]) => code),
    [0, 0, 0],
  );
  assert.equal(place.installations().length, 1);
});

test("a lock left by a process that died is taken over", (t) => {
  const place = checkout(t);
  place.write(".setup/install.lock", String(spawnSync(process.execPath, ["-e", ""]).pid));
  assert.equal(place.run("cli").status, 0);
  assert.equal(fs.existsSync(place.path(".setup/install.lock")), false);
});

test("npm hears where packages come from, and nothing of the npm that runs the script", (t) => {
  const place = checkout(t);
  const env = {
    npm_config_workspace: "x",
    npm_config_cache: "/tmp/c",
    npm_command: "run",
    NODE_ENV: "production",
  };
  const own = { ...process.env, ...env, npm_execpath: place.path("npm/npm-cli.js") };
  spawnSync(process.execPath, [place.path("scripts/run.mjs"), "setup"], { env: own });
  const [heard] = place.installations();
  assert.equal(heard?.env.npm_config_cache, "/tmp/c");
  for (const name of ["npm_config_workspace", "npm_command", "NODE_ENV"])
    assert.equal(heard?.env[name], undefined);
});

test("the exit code is the command's", (t) => {
  assert.equal(checkout(t, "process.exit(7);").run("cli").status, 7);
});

test("an unknown command is refused with the ones there are", (t) => {
  const result = checkout(t).run("sevre");
  assert.equal(result.status, 1);
  assert.match(result.stderr, /serve.*"sevre"/);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`without a terminal, ${signal} twice in a moment reaches the command once, and its exit code comes back`, async (t) => {
    const place = checkout(
      t,
      `let times = 0;
      process.on("${signal}", () => { times += 1; setTimeout(() => process.exit(40 + times), 300); });
      setInterval(() => {}, 1000);
      console.log("ready");`,
    );
    const child = place.start("cli");
    await once(child.stdout, "data");
    child.kill(signal);
    child.kill(signal);
    assert.deepEqual(await once(child, "exit"), [41, null]);
  });
}

test("a command that a signal ends, ends its parent by the same signal", async (t) => {
  const place = checkout(t, 'setInterval(() => {}, 1000); console.log("ready");');
  const child = place.start("cli");
  await once(child.stdout, "data");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [null, "SIGTERM"]);
});
