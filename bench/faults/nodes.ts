import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

/** `keyturn serve` as a process that is killed, stopped, hampered and started again. */

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const startSeconds = 20;
/** A node may find no database at its start, and end; it is started again as a supervisor would. */
const startsMax = 60;
const stopSeconds = 20;

/** How the command is run: as it is published, or from the repository without a build. */
export const commands = {
  dist() {
    const file = here("../../packages/server/dist/cli/main.js");
    const [, flags = ""] = /^#!.* node(.*)$/m.exec(readFileSync(file, "utf8")) ?? [];
    return [...flags.trim().split(/\s+/).filter(Boolean), file];
  },
  source: () => [
    "--conditions=keyturn-source",
    "--disable-warning=ExperimentalWarning",
    here("../../packages/server/src/cli/main.ts"),
  ],
} as const;

export interface Node {
  readonly name: string;
  readonly port: number;
  readonly data: string;
  isRunning(): boolean;
  start(): Promise<void>;
  /** As a crash or a power cut would end it. */
  kill(): Promise<void>;
  /** How often that was done while it ran. */
  kills(): number;
  /** SIGTERM, and waits until it has ended by itself. @throws when it does not */
  stop(): Promise<void>;
  pid(): number | undefined;
  /** Shifts its clock against the machine's. */
  shiftClock(milliseconds: number): void;
  /** For the next starts. */
  set(variable: string, value: string | undefined): void;
  /** The command line, beside it, to its end. */
  run(args: readonly string[]): Promise<{ code: number | null; output: string }>;
  /** The end of what it has written. */
  log(): string;
}

export interface NodeOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly data: string;
  readonly clockFile: string;
  readonly environment: Readonly<Record<string, string>>;
}

const alive = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

export async function makeNode({ name, command, data, clockFile, environment }: NodeOptions): Promise<Node> {
  const port = await freePort();
  // Settings of whoever runs this are not those of the nodes.
  const inherited = Object.entries(process.env).filter(([key]) => !/^(KEYTURN_|NODE_|PORT$|HOST$)/.test(key));
  const variables: Record<string, string | undefined> = {
    ...Object.fromEntries(inherited),
    ...environment,
    KEYTURN_DATA: data,
    FAULTS_CLOCK: clockFile,
  };
  const withClock = ["--import", new URL("./shifted-clock.mjs", import.meta.url).href, ...command];
  let child: ChildProcess | undefined;
  let written = "";
  let kills = 0;
  writeFileSync(clockFile, "0");

  function launch(args: readonly string[]): ChildProcess {
    const started = spawn(process.execPath, [...withClock, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...variables, PORT: String(port), HOST: "127.0.0.1" },
    });
    alive.add(started);
    started.once("close", () => alive.delete(started));
    return started;
  }

  async function startOnce(): Promise<boolean> {
    const started = launch(["serve", "--json"]);
    let said = "";
    let settle: (isReady: boolean) => void = () => {};
    const ready = new Promise<boolean>((resolve) => {
      settle = resolve;
    });
    started.once("close", () => settle(false));
    const note = (text: string) => {
      written = (written + text).slice(-20_000);
    };
    started.stderr?.setEncoding("utf8").on("data", note);
    started.stdout?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-20_000);
      if (/^\}$/m.test(said)) settle(true);
      // The greeting of a first start shows a password; what comes after it is the log.
      if (!said.includes("firstAdmin")) note(text);
    });
    const timer = setTimeout(() => started.kill("SIGKILL"), startSeconds * 1000);
    child = started;
    const isReady = await ready;
    clearTimeout(timer);
    if (!isReady) child = undefined;
    return isReady;
  }

  async function ended(): Promise<void> {
    const ending = child;
    child = undefined;
    if (ending !== undefined && ending.exitCode === null && ending.signalCode === null)
      await once(ending, "close");
  }

  return {
    name,
    port,
    data,
    isRunning: () => child !== undefined && child.exitCode === null && child.signalCode === null,
    async start() {
      for (let starts = 1; !(await startOnce()); starts++) {
        if (starts >= startsMax) throw new Error(`${name} does not start:\n${written}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    kills: () => kills,
    async kill() {
      if (child?.kill("SIGKILL")) kills++;
      await ended();
    },
    async stop() {
      const stopping = child;
      stopping?.kill("SIGTERM");
      const timer = setTimeout(() => stopping?.kill("SIGKILL"), stopSeconds * 1000);
      await ended();
      clearTimeout(timer);
      if (stopping?.signalCode === "SIGKILL")
        throw new Error(`${name} did not end within ${stopSeconds} s of SIGTERM:\n${written}`);
    },
    pid: () => child?.pid,
    shiftClock(milliseconds) {
      writeFileSync(clockFile, String(milliseconds));
    },
    set(variable, value) {
      variables[variable] = value;
    },
    async run(args) {
      const running = launch(args);
      let output = "";
      for (const stream of [running.stdout, running.stderr])
        stream?.setEncoding("utf8").on("data", (text: string) => {
          output = (output + text).slice(-20_000);
        });
      const [code] = await once(running, "close");
      return { code: code as number | null, output };
    },
    log: () => written,
  };
}

/** Whether the size of the files that a running process may write can be limited here. */
export const canLimitFiles = spawnSync("prlimit", ["--version"]).status === 0;

/** As a full disk: no file of these processes grows beyond so many bytes until the limit is taken away. */
export function limitFiles(pids: readonly number[], bytes: number | "unlimited"): void {
  for (const pid of pids) spawnSync("prlimit", ["--pid", String(pid), `--fsize=${bytes}:`]);
}

/** A port that was free a moment ago: a node keeps its own over its starts. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
