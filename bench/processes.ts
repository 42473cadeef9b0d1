import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Whether this machine can pin a process to a core; without it the figures say so. */
export const canPin = spawnSync("taskset", ["-V"]).status === 0;

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const command = here("../packages/server/dist/cli/main.js");

export interface Server {
  readonly port: number;
  /** The newest refresh token of each session, which the load keeps so; or the value of each browser's cookie. */
  readonly tokens: string[];
  /** From the start of the process to its first answer, in milliseconds. Only where it was asked for. */
  readonly startMilliseconds?: number;
  /** Resident memory now and at its highest, in MB. Linux only. */
  memory(): { now: number; peak: number };
  /** Processor time used so far, in milliseconds, all threads together. Linux only. */
  cpu(): number;
  stop(): Promise<void>;
}

function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}, core = 0) {
  const whole = [process.execPath, ...args];
  const [file, ...rest] = canPin ? ["taskset", "-c", String(core), ...whole] : whole;
  const child = spawn(file as string, rest, {
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...environment },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const proc = (name: string) => readFileSync(`/proc/${child.pid}/${name}`, "utf8");
  const kilobytes = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(proc("status"))?.[1] ?? 0);
  return {
    async line(pattern: RegExp): Promise<string> {
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(`${args.join(" ")} ended before it was ready`);
        if (pattern.test(value)) return value;
      }
    },
    memory: () => ({ now: kilobytes("VmRSS") / 1024, peak: kilobytes("VmHWM") / 1024 }),
    cpu() {
      const fields = proc("stat").split(") ")[1]?.split(" ") ?? [];
      return (Number(fields[11]) + Number(fields[12])) * 10;
    },
    async stop() {
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** A peer's script; it prints one line of JSON when it is ready. */
export async function startPeer(
  script: string,
  sessions: number,
  more: readonly string[] = [],
): Promise<Server> {
  const flags = ["--conditions=keyturn-source", "--disable-warning=ExperimentalWarning"];
  const begun = performance.now();
  const server = start([...flags, here(script), String(sessions), ...more], { NODE_ENV: "production" });
  const ready = JSON.parse(await server.line(/^\{/));
  return { ...server, startMilliseconds: performance.now() - begun, ...ready };
}

interface Seeded {
  readonly tokens: string[];
  /** Of the kind `client`: the sessions that the client `bench` was let in with, and its secret. */
  readonly clientTokens: string[];
  readonly secret: string;
}

/** A folder with users and sessions in it, as a Keyturn that ran before has left it. */
export function seed(
  sessions: number,
  usernames: readonly string[],
  kind: "app" | "browser" | "client" = "app",
  database?: string,
) {
  const data = makeDataFolder();
  const args = ["./seed.mjs", data, String(sessions), kind, ...usernames];
  const { tokens, clientTokens, secret } = filled<Seeded>(args, { data, database });
  return { data, database, tokens, clientTokens, secret, remove: () => removeFolder(data) };
}

/** The same with very many sessions, made by SQL: tokens for some of them, and the bytes that all of them take. */
export function seedMany({ sessions, withToken, database }: ManySessions) {
  const data = makeDataFolder();
  const args = ["./seed-many.mjs", data, String(sessions), String(Math.min(sessions, withToken))];
  const { tokens, bytes } = filled<{ tokens: string[]; bytes: Record<string, number> }>(args, {
    data,
    database,
  });
  return { data, database, tokens, bytes, remove: () => removeFolder(data) };
}

interface ManySessions {
  readonly sessions: number;
  readonly withToken: number;
  /** The address of a PostgreSQL. Default: a file. */
  readonly database?: string;
}

const makeDataFolder = () => mkdtempSync(join(tmpdir(), "keyturn-bench-"));
const removeFolder = (data: string) => rmSync(data, { recursive: true, force: true });

function filled<T>(
  [script, ...args]: readonly string[],
  { data, database }: { data: string; database: string | undefined },
): T {
  const made = spawnSync(process.execPath, [here(script as string), ...args], {
    maxBuffer: 1024 * 1024 * 1024,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    env: { ...process.env, ...(database !== undefined && { KEYTURN_DATABASE: database }) },
  });
  if (made.status !== 0) {
    removeFolder(data);
    throw new Error("The sessions could not be made; see above.");
  }
  return JSON.parse(made.stdout) as T;
}

/** What a Keyturn is started on. */
export type Data = Pick<ReturnType<typeof seed>, "data" | "database" | "tokens">;

/** The published command, `keyturn serve`, with the flags that its first line names, and more of Node's. */
export async function startKeyturn(
  seeded: Data,
  { flags: more = [], core = 0 }: { flags?: readonly string[]; core?: number } = {},
): Promise<Server> {
  const flags =
    /^#!.* node(.*)$/m.exec(readFileSync(command, "utf8"))?.[1]?.trim().split(/\s+/).filter(Boolean) ?? [];
  const begun = performance.now();
  const environment = {
    KEYTURN_DATA: seeded.data,
    KEYTURN_LOG_LEVEL: "error",
    ...(seeded.database !== undefined && { KEYTURN_DATABASE: seeded.database }),
  };
  const server = start([...flags, ...more, command, "serve", "--port", "0"], environment, core);
  const ready = await server.line(/listens on/);
  const port = Number(/listens on \S+:(\d+)/.exec(ready)?.[1]);
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  const startMilliseconds = performance.now() - begun;
  if (!answer.ok) throw new Error(`/healthz answers ${answer.status}`);
  return { ...server, port, startMilliseconds, tokens: [...seeded.tokens] };
}
