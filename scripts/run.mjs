// The one door to every script: sets up what is missing, finds the repository's own Node, starts the script.
// Plain JavaScript for Node 18 and up with nothing installed, because it runs before anything is.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const modules = path.join(root, "node_modules");
const stampFile = path.join(modules, ".keyturn-setup");
const lockFile = path.join(root, ".setup", "install.lock");
const setupWaitMilliseconds = 15 * 60_000;
const nodeMajor = 24;

const commands = {
  serve: ["packages/server/src/cli/main.ts", "serve"],
  cli: ["packages/server/src/cli/main.ts"],
  test: ["scripts/test.ts"],
  check: ["scripts/check.ts"],
  build: ["scripts/build.ts"],
  docs: ["scripts/generate-docs.ts"],
  bench: ["bench/main.ts"],
  example: ["examples/run.ts"],
  setup: [],
  stamp: [],
};

/** @param {string} text */
const say = (text) => process.stderr.write(`keyturn: ${text}\n`);

/** @param {string} text @returns {never} */
function stop(text) {
  say(text);
  process.exit(1);
}

/** @param {string} file */
const readJson = (file) => JSON.parse(fs.readFileSync(file, "utf8"));

/** The package.json files that npm looks at: the root's and the workspaces'. */
function manifests() {
  const { workspaces = [] } = readJson(path.join(root, "package.json"));
  const folders = workspaces.flatMap((/** @type {string} */ pattern) => {
    if (!pattern.endsWith("/*")) return [pattern];
    const parent = pattern.slice(0, -2);
    if (!fs.existsSync(path.join(root, parent))) return [];
    return fs.readdirSync(path.join(root, parent)).map((name) => `${parent}/${name}`);
  });
  return ["", ...folders.sort()]
    .map((folder) => path.join(root, folder, "package.json"))
    .filter((file) => fs.existsSync(file));
}

/** What decides the content of node_modules, so that editing a script does not install anew. */
function digest() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const file of manifests()) {
    const { name, version, workspaces, allowScripts, overrides, ...rest } = readJson(file);
    const { dependencies, devDependencies, optionalDependencies, peerDependencies } = rest;
    hash.update(
      JSON.stringify([
        [name, version, workspaces, allowScripts, overrides],
        [dependencies, devDependencies, optionalDependencies, peerDependencies],
      ]),
    );
  }
  const lock = path.join(root, "package-lock.json");
  if (fs.existsSync(lock)) hash.update(fs.readFileSync(lock));
  return hash.digest("hex");
}

/** The major version of the Node at `file`; undefined when it is missing or does not run. */
function majorOf(/** @type {string} */ file) {
  const { status, stdout } = spawnSync(file, ["--version"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const match = status === 0 ? /^v(\d+)\./.exec(stdout) : null;
  return match ? Number(match[1]) : undefined;
}

/** The Node that the npm package `node` brought; undefined when it is missing, damaged or too old. */
function bundledNode() {
  const file = path.join(modules, "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  return (majorOf(file) ?? 0) >= nodeMajor ? file : undefined;
}

/** The repository's Node, or the one that runs this where the package has none for the machine. */
function findNode() {
  const own = Number(process.versions.node.split(".")[0]) >= nodeMajor ? process.execPath : undefined;
  return bundledNode() ?? own;
}

/** What an installation leaves behind: from what it was made, and whether it brought a Node that runs. */
const stamp = () => `${digest()} ${bundledNode() ? "with" : "without"} node\n`;

/** Whether the installation is of this lock file, and whole: one broken half-way has lost its Node or its stamp. */
function isSetUp() {
  return (
    fs.existsSync(stampFile) && fs.readFileSync(stampFile, "utf8") === stamp() && findNode() !== undefined
  );
}

/**
 * The environment for an npm inside npm: without what the outer one says of itself (its script, its workspace,
 * its flags, `NODE_ENV`), but with where packages come from.
 */
function npmEnvironment() {
  const keep =
    /^npm_config_(registry|cache|ca|cafile|cert|key|(https?_)?proxy|no_?proxy|userconfig|globalconfig|strict_ssl|fetch_.*|maxsockets|(prefer_)?offline|nodedir|\/\/.*|@.*)$/i;
  const entries = Object.entries(process.env).filter(
    ([name]) => name !== "NODE_ENV" && name !== "NODE_OPTIONS" && (!/^npm_/i.test(name) || keep.test(name)),
  );
  const environment = Object.fromEntries(entries);
  const name = Object.keys(environment).find((key) => key.toUpperCase() === "PATH") ?? "PATH";
  // The old Node's folder comes first: its npm must not run on the Node which is being replaced.
  environment[name] = [path.dirname(process.execPath), environment[name]]
    .filter(Boolean)
    .join(path.delimiter);
  return environment;
}

/** @param {string} verb */
function npm(verb) {
  const args = [
    verb,
    "--no-audit",
    "--no-fund",
    "--include=dev",
    ...(verb === "install" ? ["--no-save"] : []),
  ];
  const cli = process.env.npm_execpath ?? "";
  const ours = cli.endsWith("npm-cli.js") && fs.existsSync(cli);
  const result = spawnSync(ours ? process.execPath : "npm", ours ? [cli, ...args] : args, {
    cwd: root,
    env: npmEnvironment(),
    encoding: "utf8",
    shell: !ours && process.platform === "win32",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error) {
    stop(`npm did not start (${result.error.message}). Install npm, or put it in the PATH, and try again.`);
  }
  if (result.signal) process.exit(130);
  return { passed: result.status === 0, output: `${result.stdout}${result.stderr}` };
}

function install() {
  const verb = fs.existsSync(path.join(root, "package-lock.json")) ? "ci" : "install";
  say(`installing packages (npm ${verb}); this takes a minute, once …`);
  fs.rmSync(stampFile, { force: true });
  let result = npm(verb);
  if (verb === "ci" && result.output.includes("code EUSAGE")) {
    say("package-lock.json does not match the package.json files; using npm install instead …");
    result = npm("install");
  }
  if (!result.passed) {
    process.stderr.write(result.output);
    stop("npm failed (above). Remedy what it says, then run this again; it starts afresh.");
  }
  if (findNode() === undefined) {
    stop(
      `npm brought no Node ${nodeMajor} for this machine. Install Node ${nodeMajor} or later and run this with it.`,
    );
  }
  fs.writeFileSync(stampFile, stamp());
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Removes the lock of a dead process, unless another one that saw it too has made its own since. */
function moveAway(/** @type {number} */ owner) {
  const aside = `${lockFile}.${process.pid}`;
  fs.renameSync(lockFile, aside);
  if (Number(fs.readFileSync(aside, "utf8")) !== owner) fs.linkSync(aside, lockFile);
  fs.rmSync(aside, { force: true });
}

/** Takes the lock, or says who has it. A lock whose owner died is moved away first. */
function takeLock() {
  fs.mkdirSync(path.dirname(lockFile), { recursive: true });
  try {
    fs.writeFileSync(lockFile, String(process.pid), { flag: "wx" });
    return undefined;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  let owner = 0;
  try {
    owner = Number(fs.readFileSync(lockFile, "utf8"));
    const ageMilliseconds = Date.now() - fs.statSync(lockFile).mtimeMs;
    const abandoned = owner > 0 ? !isAlive(owner) : ageMilliseconds > 5_000;
    if (abandoned) moveAway(owner);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  return owner;
}

/** Installs what is missing; of two that start at once, one installs and the other waits for it. */
function setUp() {
  if (isSetUp()) return;
  const deadline = Date.now() + setupWaitMilliseconds;
  let told = false;
  for (;;) {
    const owner = takeLock();
    if (owner === undefined) break;
    if (Date.now() > deadline)
      stop(`waited too long for the installation by process ${owner}; remove ${lockFile} if it is dead.`);
    if (!told) say("another process is installing packages; waiting for it …");
    told = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
  try {
    if (!isSetUp()) install();
  } finally {
    fs.rmSync(lockFile, { force: true });
  }
}

process.on("exit", () => {
  // stop() leaves no lock behind either.
  try {
    if (fs.readFileSync(lockFile, "utf8") === String(process.pid)) fs.rmSync(lockFile, { force: true });
  } catch {
    // There was none.
  }
});

/**
 * Hands signals on, each press once. In a terminal, Ctrl-C reaches the child by itself (it is in the same
 * process group), and npm sends its own copy besides; only without a terminal is it ours to hand on.
 * @param {import("node:child_process").ChildProcess} child
 */
function forwardSignals(child) {
  const inTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY);
  /** @type {Record<string, number>} */
  const lastAt = {};
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    process.on(signal, () => {
      if (signal !== "SIGTERM" && inTerminal) return;
      if (Date.now() - (lastAt[signal] ?? 0) < 1_000) return;
      lastAt[signal] = Date.now();
      child.kill(signal);
    });
  }
}

/** @param {string[]} script @param {string[]} args */
function start(script, args) {
  const node = findNode();
  if (node === undefined)
    stop(
      `no Node ${nodeMajor} here. Run "node scripts/run.mjs setup", or install Node ${nodeMajor} or later.`,
    );
  const [file = "", ...first] = script;
  if (!fs.existsSync(path.join(root, file)))
    stop(`${file} is not there (yet): this checkout cannot run that command.`);
  const environment = { ...process.env };
  const name = Object.keys(environment).find((key) => key.toUpperCase() === "PATH") ?? "PATH";
  environment[name] = [path.join(modules, ".bin"), environment[name]].filter(Boolean).join(path.delimiter);
  // The young generation is bounded as in the published command's first line: see packages/server/src/cli/main.ts.
  const flags = [
    "--conditions=keyturn-source",
    "--disable-warning=ExperimentalWarning",
    "--max-semi-space-size=8",
  ];
  const child = spawn(node, [...flags, path.join(root, file), ...first, ...args], {
    cwd: root,
    env: environment,
    stdio: "inherit",
  });
  forwardSignals(child);
  child.on("error", (error) => stop(`Node did not start: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const [command = "", ...args] = process.argv.slice(2);
const script = Object.hasOwn(commands, command)
  ? commands[/** @type {keyof typeof commands} */ (command)]
  : undefined;
if (script === undefined) stop(`say one of: ${Object.keys(commands).join(", ")} (got "${command}").`);

if (command === "stamp") {
  // Runs after an install by hand (the script "prepare"), so that the next command does not install again.
  if (findNode() !== undefined) fs.writeFileSync(stampFile, stamp());
} else {
  setUp();
  if (script.length > 0) start(script, args);
}
