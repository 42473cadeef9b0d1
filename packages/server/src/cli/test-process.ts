import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { assertNoSecretIn } from "../test-secrets.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const WAIT_MS = 30_000;

export interface Process {
  readonly child: ChildProcess;
  readonly output: { stdout: string; stderr: string };
  /** Resolves when the standard output or error has the text; rejects when the process ends before. */
  sees(pattern: RegExp): Promise<RegExpExecArray>;
  /** The exit code, or the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>;
}

/** Runs the real command line in a process of its own. */
export function startProcess(
  args: readonly string[],
  options: { cwd: string; environment?: Readonly<Record<string, string>> },
): Process {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(KEYTURN_|PORT$|HOST$|NODE_TEST|NODE_OPTIONS)/.test(name),
  );
  const child = spawn(
    process.execPath,
    ["--conditions=keyturn-source", "--disable-warning=ExperimentalWarning", MAIN, ...args],
    {
      cwd: options.cwd,
      env: { ...Object.fromEntries(inherited), ...options.environment },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: WAIT_MS,
      killSignal: "SIGKILL",
    },
  );
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const exit = once(child, "close").then(([code, signal]) => {
    assertNoSecretIn(output.stderr);
    return (code ?? signal) as number | NodeJS.Signals;
  });

  async function sees(pattern: RegExp): Promise<RegExpExecArray> {
    let ended = false;
    void exit.then(() => {
      ended = true;
    });
    for (;;) {
      const found = pattern.exec(output.stdout) ?? pattern.exec(output.stderr);
      if (found !== null) return found;
      if (ended) throw new Error(`it ended without ${pattern}:\n${output.stdout}\n${output.stderr}`);
      await Promise.race([once(child.stdout, "data"), once(child.stderr, "data"), exit]);
    }
  }

  return { child, output, sees, exit };
}
