import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Whether this machine can pin a process to a core; without it the figures say so. */
export const canPin = spawnSync("taskset", ["-V"]).status === 0;

export interface Started {
  readonly port: number;
  readonly tokens: string[];
  readonly [more: string]: unknown;
}

/** Starts a script of this folder on one core; it prints one line of JSON when it is ready. */
export async function startServer(
  script: string,
  args: readonly string[] = [],
  environment: NodeJS.ProcessEnv = {},
) {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const node = [
    process.execPath,
    "--conditions=keyturn-source",
    "--disable-warning=ExperimentalWarning",
    file,
    ...args,
  ];
  const [command, ...rest] = canPin ? ["taskset", "-c", "0", ...node] : node;
  const child = spawn(command as string, rest, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...environment },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done) throw new Error(`${script} ended before it was ready`);
  const started = JSON.parse(first.value) as Started;
  return {
    ...started,
    /** Resident memory now and at its highest, in MB. Linux only. */
    memory() {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      const kb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0);
      return { now: kb("VmRSS") / 1024, peak: kb("VmHWM") / 1024 };
    },
    /** Processor time used so far, in milliseconds, all threads together. Linux only. */
    cpu() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
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
