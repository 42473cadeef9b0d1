import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { initialise, makeFolder, reachableBinaries } from "../../scripts/testing/postgres.ts";
import { freePort } from "./nodes.ts";

/*
 * A PostgreSQL that is killed and started again on the data that it has left, with everything that keeps what it has
 * acknowledged: unlike that of the tests it flushes.
 */

export interface PostgresServer {
  readonly port: number;
  /** By its own port, past every wire. */
  readonly url: string;
  start(): Promise<void>;
  isRunning(): boolean;
  /** `kill -9` of the server; its processes for connections end because of that. */
  kill(): Promise<void>;
  /** In order, as before its files are copied. */
  stop(): Promise<void>;
  /** Of the server and all its processes. Linux only. */
  pids(): number[];
  /** Copies what it has, while it is stopped. */
  copyTo(name: string): void;
  /** Puts an earlier copy in the place of what it has, while it is stopped. */
  restoreFrom(name: string): void;
  remove(): Promise<void>;
}

const settings = [
  "max_connections=100",
  "shared_buffers=64MB",
  "jit=off",
  "listen_addresses=127.0.0.1",
  "unix_socket_directories=",
];
const startsMax = 100;

/** Waits for the end of its input, which comes when this process ends, however it ends; then it ends the server. */
const keeper = `"$@" </dev/null & server=$!
echo "pid $server"
( read -r _ <&3; kill -QUIT $server 2>/dev/null ) & watch=$!
wait $server
kill $watch 2>/dev/null`;

export async function makePostgres(): Promise<PostgresServer> {
  const { owner, folder } = makeFolder();
  const binaries = reachableBinaries(folder, owner);
  const password = randomBytes(16).toString("hex");
  initialise({ binaries, folder, owner, password });
  const port = await freePort();
  const data = path.join(folder, "data");
  const args = ["-D", data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
  let keeping: ChildProcess | undefined;
  let pid = 0;

  /** False: it ended at once, as it does while processes of the one before it are still there. */
  async function startOnce(): Promise<{ ready: boolean; log: string }> {
    const child = spawn("/bin/sh", ["-c", keeper, "sh", path.join(binaries, "postgres"), ...args], {
      ...owner,
      cwd: folder,
      detached: true, // Ctrl-C in a terminal is for us.
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    let log = "";
    const ready = await new Promise<boolean>((resolve) => {
      child.once("exit", () => resolve(false));
      child.stdout?.on("data", (text) => {
        pid = Number(/pid (\d+)/.exec(String(text))?.[1] ?? pid);
      });
      child.stderr?.on("data", (text) => {
        log = (log + String(text)).slice(-8000);
        if (log.includes("ready to accept connections")) resolve(true);
      });
    });
    if (ready) keeping = child;
    return { ready, log };
  }

  async function end(signal: "SIGKILL" | "SIGINT"): Promise<void> {
    const ending = keeping;
    keeping = undefined;
    if (ending === undefined || ending.exitCode !== null) return;
    const exited = once(ending, "exit");
    process.kill(pid, signal);
    await exited;
  }

  return {
    port,
    url: `postgres://keyturn:${password}@127.0.0.1:${port}/postgres`,
    async start() {
      for (let starts = 1; ; starts++) {
        const { ready, log } = await startOnce();
        if (ready) return;
        if (starts >= startsMax) throw new Error(`PostgreSQL does not start:\n${log}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    isRunning: () => keeping !== undefined && keeping.exitCode === null,
    kill: () => end("SIGKILL"),
    stop: () => end("SIGINT"),
    pids: () => [pid, ...childrenOf(pid)],
    copyTo(name) {
      rmSync(path.join(folder, name), { recursive: true, force: true });
      copyFolder(data, path.join(folder, name));
    },
    restoreFrom(name) {
      rmSync(data, { recursive: true, force: true });
      copyFolder(path.join(folder, name), data);
    },
    async remove() {
      await end("SIGINT");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** With owners and modes, by the system's own tool: thousands of files one by one would hold everybody up. */
function copyFolder(from: string, to: string): void {
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  if (status !== 0) throw new Error(`PostgreSQL's files could not be copied: ${stderr}`);
}

function childrenOf(parent: number): number[] {
  const children: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [, fields = ""] = readFileSync(`/proc/${name}/stat`, "utf8").split(") ");
      if (Number(fields.split(" ")[1]) === parent) children.push(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return children;
}
