import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { type Finding, ratios, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, refreshing, warmUp } from "./load.ts";
import { seedMany, startKeyturn } from "./processes.ts";

interface Run extends LoadResult {
  readonly cpuMicroseconds: number;
}

const connections = 32;
const targets: Readonly<Record<number, number>> = { 1000000: 0.9, 10000000: 0.8 };
/** Of a session in the database while this is being filled, and as much again for the log. */
const bytesNeeded = 1000;

/**
 * A refresh with more and more sessions in the database. Those that are turned lie evenly over the whole table and are
 * taken in random order: with a million sessions and more hardly any is in the 16 MB that the server's connections
 * keep of the file, and each turn dirties a page of its own.
 */
export async function benchSizes({
  rounds = 3,
  seconds = 8,
  withToken = 200_000,
  sizes = [1_000, 100_000, 1_000_000, 10_000_000],
} = {}) {
  const { bavail, bsize } = statfsSync(tmpdir());
  const needed = sizes.reduce((sum, sessions) => sum + sessions, 0) * bytesNeeded;
  if (bavail * bsize < needed)
    throw new Error(
      `${tmpdir()} has room for ${rounded((bavail * bsize) / 1e9, 1)} GB, and ${rounded(needed / 1e9, 1)} GB are needed; set TMPDIR to a folder with more.`,
    );
  const seeded = new Map<number, ReturnType<typeof seedMany>>();
  const runs = new Map(sizes.map((sessions) => [sessions, [] as Run[]]));
  try {
    for (const sessions of sizes) seeded.set(sessions, seedMany({ sessions, withToken }));
    for (let round = 0; round < rounds; round++) {
      for (const [sessions, one] of seeded) runs.get(sessions)?.push(await measure(one, seconds));
    }
  } finally {
    for (const { remove } of seeded.values()) remove();
  }
  const [smallest = 0] = sizes;
  const rates = (sessions: number) => (runs.get(sessions) ?? []).map((run) => run.perSecond);
  const against = (sessions: number) => spread(ratios(rates(sessions), rates(smallest)));
  const bytes = (sessions: number) => {
    const all = Object.values(seeded.get(sessions)?.bytes ?? {}).reduce((sum, part) => sum + part, 0);
    return all / sessions;
  };
  return {
    findings: sizes.flatMap((sessions) => findingsOf(sessions, against(sessions), bytes(sessions))),
    connections,
    rounds,
    seconds,
    withToken,
    ratios: Object.fromEntries(sizes.map((sessions) => [sessions, against(sessions)])),
    bytesASession: Object.fromEntries(sizes.map((sessions) => [sessions, bytes(sessions)])),
    runs: Object.fromEntries(sizes.map((sessions) => [sessions, summary(runs.get(sessions) ?? [])])),
  };
}

function findingsOf(sessions: number, ratio: ReturnType<typeof spread>, bytes: number): Finding[] {
  const target = targets[sessions];
  if (target === undefined) return [];
  const many = sessions.toLocaleString("en");
  return [
    {
      what: `refresh with ${many} sessions, against a thousand`,
      target: `≥ ${rounded(target)}`,
      measured: shown(ratio),
      reached: ratio.median >= target,
    },
    {
      what: `bytes of database a session, of ${many}`,
      target: "≤ 400",
      measured: rounded(bytes, 0),
      reached: bytes <= 400,
    },
  ];
}

async function measure(one: ReturnType<typeof seedMany>, seconds: number): Promise<Run> {
  const server = await startKeyturn(one);
  const target = { port: server.port, path: "/refresh", connections };
  // One walk for both: the second goes on where the first has stopped.
  const next = refreshing(server.tokens, connections);
  await warmUp({ ...target, next });
  const before = server.cpu();
  const result = await load({ ...target, next, seconds });
  const cpuMicroseconds = ((server.cpu() - before) * 1000) / result.requests;
  for (const [index, token] of server.tokens.entries()) one.tokens[index] = token;
  await server.stop();
  return { ...result, cpuMicroseconds };
}

function summary(runs: readonly Run[]) {
  return {
    perSecond: spread(runs.map((run) => run.perSecond)),
    p50: spread(runs.map((run) => run.p50)),
    p99: spread(runs.map((run) => run.p99)),
    max: spread(runs.map((run) => run.max)),
    cpuMicroseconds: spread(runs.map((run) => run.cpuMicroseconds)),
    requests: runs.reduce((sum, run) => sum + run.requests, 0),
    failures: runs.reduce((sum, run) => sum + run.failures, 0),
  };
}
