import { type LoadResult, load, refreshing } from "./load.ts";
import { startServer } from "./processes.ts";

const contenders = {
  keyturn: "./keyturn-server.ts",
  "by hand": "./peers/by-hand.ts",
  tutorial: "./peers/tutorial.ts",
} as const;

type Name = keyof typeof contenders;

/**
 * POST /refresh side by side, in turn, several rounds: a round is one run of each, so that a ratio is between
 * runs that are neighbours in time.
 */
export async function benchRefresh({ rounds = 5, seconds = 5, connections = 32, sessions = 1000 } = {}) {
  const results: Record<Name, (LoadResult & { idleMb: number; peakMb: number; cpuMicroseconds: number })[]> =
    { keyturn: [], "by hand": [], tutorial: [] };
  for (let round = 0; round < rounds; round++) {
    for (const name of Object.keys(contenders) as Name[]) {
      const server = await startServer(contenders[name], [String(sessions)]);
      const idleMb = server.memory().now;
      const next = refreshing(server.tokens, connections);
      const target = { port: server.port, path: "/refresh", connections, next };
      await load({ ...target, seconds: 1.5 });
      const cpuBefore = server.cpu();
      const result = await load({ ...target, seconds });
      const cpuMicroseconds = ((server.cpu() - cpuBefore) * 1000) / result.requests;
      results[name].push({ ...result, idleMb, cpuMicroseconds, peakMb: server.memory().peak });
      await server.stop();
    }
  }
  const ratio = (of: Name, to: Name) =>
    results[of].map((one, index) => one.perSecond / (results[to][index]?.perSecond ?? 1));
  return {
    scenario: "refresh",
    connections,
    sessions,
    rounds,
    seconds,
    contenders: Object.fromEntries(
      (Object.keys(contenders) as Name[]).map((name) => [
        name,
        {
          perSecond: median(results[name].map((one) => one.perSecond)),
          p50: median(results[name].map((one) => one.p50)),
          p99: median(results[name].map((one) => one.p99)),
          max: Math.max(...results[name].map((one) => one.max)),
          idleMb: median(results[name].map((one) => one.idleMb)),
          cpuMicroseconds: median(results[name].map((one) => one.cpuMicroseconds)),
          peakMb: median(results[name].map((one) => one.peakMb)),
          failures: results[name].reduce((sum, one) => sum + one.failures, 0),
        },
      ]),
    ),
    ratios: {
      "keyturn / by hand": spread(ratio("keyturn", "by hand")),
      "keyturn / tutorial": spread(ratio("keyturn", "tutorial")),
    },
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export function spread(values: readonly number[]) {
  return { min: Math.min(...values), median: median(values), max: Math.max(...values) };
}
