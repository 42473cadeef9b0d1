import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withAttemptKeys } from "./limits.ts";
import { load, warmUp } from "./load.ts";
import { seed, startKeyturn } from "./processes.ts";
import { type CpuProfile, selfTimes, unbundled } from "./self-times.ts";

const connections = 32;
const shownMax = 25;

/**
 * Where the processor time of a refresh goes: the built server under load with V8's sampling profiler, all its threads.
 * Shares are of the samples in which something ran; microseconds are these shares of the processor time of a turn,
 * which is measured on the same run, and so includes what the profiler itself costs. The profiler knows no difference
 * between work and a system call that waits: `exec` of the writing thread is COMMIT, most of it the flush to the disk.
 */
export async function benchProfile({ seconds = 10, sessions = 1000 } = {}) {
  const seeded = seed(sessions, ["bench"]);
  const folder = mkdtempSync(join(tmpdir(), "keyturn-bench-profile-"));
  try {
    const flags = ["--cpu-prof", `--cpu-prof-dir=${folder}`, "--cpu-prof-interval=200"];
    const server = await startKeyturn(seeded, { flags });
    const target = { port: server.port, path: "/refresh", connections, next: withAttemptKeys(server.tokens) };
    await warmUp(target);
    const before = server.cpu();
    const { requests, failures } = await load({ ...target, seconds });
    const cpuMicroseconds = ((server.cpu() - before) * 1000) / requests;
    await server.stop();
    const profiles = readdirSync(folder).map((file) =>
      unbundled(JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile, linesOf),
    );
    const last = { seconds: seconds * 0.8, before: seconds * 0.1 };
    const { byRoom, byFunction } = selfTimes(profiles, last);
    const ofATurn = (shares: readonly (readonly [string, number])[]) =>
      shares.slice(0, shownMax).map(([where, share]) => ({
        where,
        percent: Number((share * 100).toFixed(1)),
        microseconds: Number((share * cpuMicroseconds).toFixed(1)),
      }));
    const rooms = ofATurn(byRoom);
    const functions = ofATurn(byFunction);
    for (const { where, percent, microseconds } of [...rooms, ...functions])
      console.error(`  ${String(percent).padStart(5)} %  ${String(microseconds).padStart(6)} µs  ${where}`);
    return {
      findings: [],
      connections,
      sessions,
      seconds,
      requests,
      failures,
      cpuMicroseconds,
      rooms,
      functions,
    };
  } finally {
    seeded.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

const linesByUrl = new Map<string, readonly string[]>();

function linesOf(url: string): readonly string[] {
  const known = linesByUrl.get(url);
  if (known !== undefined) return known;
  const lines = readFileSync(fileURLToPath(url), "utf8").split("\n");
  linesByUrl.set(url, lines);
  return lines;
}
