import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { assertNoSecretIn } from "../packages/server/src/test-secrets.ts";

/** The repository's folder. */
export const root = path.resolve(import.meta.dirname, "..");

/** How Node runs the repository's own TypeScript. */
export const sourceFlags = ["--conditions=keyturn-source", "--disable-warning=ExperimentalWarning"];
const startSeconds = 20;
const endSeconds = 15;

export interface ProcessOptions {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly folder?: string;
  /** For its standard input. */
  readonly input?: string;
  /** False: plain `node`, which finds what is built. Default: true. */
  readonly fromSource?: boolean;
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type RunningProcess = ReturnType<typeof startProcess>;
export type Stage = ReturnType<typeof createStage>;

const alive = new Set<ChildProcess>();

// A test file that is ended from outside must not leave its processes behind.
process.once("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

/**
 * What one test file starts: processes and folders. `clear`, called after its tests whatever became of them, ends
 * and removes everything, and looks for secrets in what the processes wrote.
 */
export function createStage() {
  const processes: RunningProcess[] = [];
  const folders: string[] = [];
  const closings: (() => unknown)[] = [];

  function start(script: string, args: readonly string[] = [], options: ProcessOptions = {}): RunningProcess {
    const started = startProcess([script, ...args], options);
    processes.push(started);
    return started;
  }

  return {
    /** Starts a script by this Node. */
    start,

    /** Runs a script to its end. */
    async run(script: string, args: readonly string[] = [], options: ProcessOptions = {}): Promise<Finished> {
      const { ended, kill } = startProcess([script, ...args], options);
      const title = `${path.basename(script)} ${args.join(" ")}`;
      try {
        const finished = await within(startSeconds + endSeconds, ended, `${title} did not end`);
        // What a command answers may be a secret that was asked for; what it says beside that may not.
        assertNoSecretIn(finished.stderr);
        return finished;
      } finally {
        await kill();
      }
    },

    /** A folder of the test's own. */
    folder(): string {
      const folder = mkdtempSync(path.join(tmpdir(), "keyturn-tests-"));
      folders.push(folder);
      return folder;
    },

    /** Has something called when the stage is cleared, after the processes are gone; the last one first. */
    onClear(close: () => unknown): void {
      closings.push(close);
    },

    async clear(): Promise<void> {
      await Promise.all(processes.map((one) => one.kill()));
      for (const close of closings.splice(0).reverse()) await close();
      for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
      for (const { stdout, stderr } of processes.splice(0)) {
        assertNoSecretIn(stderr());
        // The greeting of the first start is for the terminal: it shows the first user's password once.
        assertNoSecretIn(stdout().replace(/"password":"\w+","device":"my terminal"/, ""));
      }
    },
  };
}

function startProcess(command: readonly string[], options: ProcessOptions) {
  const { environment = {}, folder = root, input, fromSource = true } = options;
  // Settings of whoever runs the tests are not those of the test.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(KEYTURN_|NODE_|RESOURCE_|PORT$|HOST$|AUDIENCE$)/.test(name),
  );
  const child = spawn(process.execPath, [...(fromSource ? sourceFlags : []), ...command], {
    cwd: folder,
    env: { ...Object.fromEntries(inherited), ...environment },
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  child.stdin?.end(input);
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      written[name] += text;
      child.emit("written");
    });
  }
  const ended = once(child, "close").then(
    ([code]): Finished => ({ code: code as number | null, ...written }),
  );
  const title = path.relative(root, command[0] ?? "");
  let killed = false;

  return {
    pid: child.pid,
    ended,
    stdout: () => written.stdout,
    stderr: () => written.stderr,

    /** The first match in what it writes to its standard output; waits for it. */
    async says(pattern: RegExp): Promise<RegExpExecArray> {
      const deadline = AbortSignal.timeout(startSeconds * 1000);
      const dead = ended.then(({ code }) => {
        if (!killed) throw new Error(`${title} ended with ${code}:\n${written.stdout}${written.stderr}`);
      });
      dead.catch(() => {});
      for (;;) {
        const match = pattern.exec(written.stdout);
        if (match !== null) return match;
        const more = once(child, "written", { signal: deadline }).catch(() => {
          throw new Error(
            `${title} did not say ${pattern} in ${startSeconds} s:\n${written.stdout}${written.stderr}`,
          );
        });
        await Promise.race([more, dead]);
      }
    },

    /** Ends it at once, as a crash or a power cut would; resolves when it is gone. */
    async kill(): Promise<void> {
      killed = true;
      child.kill("SIGKILL");
      await ended;
    },

    /** Asks it to end, and waits until it did. */
    async stop(): Promise<Finished> {
      child.kill("SIGTERM");
      return within(endSeconds, ended, `${title} did not end after SIGTERM`);
    },
  };
}

/** What a promise resolves to, or an error with the sentence when it takes longer. */
async function within<T>(seconds: number, promise: Promise<T>, sentence: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${sentence} within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again until the answer is what is waited for; how many milliseconds that took. */
export async function untilTrue(
  seconds: number,
  question: () => boolean | Promise<boolean>,
  sentence: string,
): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    if (await question()) return performance.now() - startedAt;
    if (performance.now() - startedAt > seconds * 1000) assert.fail(`${sentence} within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A port that was free a moment ago, for what must know its own address before it listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
