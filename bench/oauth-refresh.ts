import { type Finding, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, refreshing, warmUp } from "./load.ts";
import { seed, startKeyturn } from "./processes.ts";

/**
 * POST /oauth/token with refresh_token against POST /refresh: the same engine, the same algorithms, the same server
 * process. A round is one run of each, one after the other, and every second round begins with the other one.
 */
export async function benchOauthRefresh({
  rounds = 16,
  seconds = 3,
  connections = 32,
  sessions = 1000,
} = {}) {
  const runs: Record<"oauth" | "own", LoadResult[]> = { oauth: [], own: [] };
  const cpu: Record<"oauth" | "own", number[]> = { oauth: [], own: [] };
  const seeded = seed(sessions, ["bench"], "client");
  const server = await startKeyturn(seeded);
  const client = { id: "bench", secret: seeded.secret };
  const targets = {
    own: { port: server.port, path: "/refresh", connections, next: refreshing(server.tokens, connections) },
    oauth: {
      port: server.port,
      path: "/oauth/token",
      connections,
      type: "application/x-www-form-urlencoded",
      next: refreshing(seeded.clientTokens, connections, client),
    },
  };
  for (const target of [targets.own, targets.oauth]) await warmUp(target);
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["own", "oauth"] as const) : (["oauth", "own"] as const);
    for (const name of order) {
      const before = server.cpu();
      const result = await load({ ...targets[name], seconds });
      runs[name].push(result);
      cpu[name].push(((server.cpu() - before) * 1000) / result.requests);
    }
  }
  await server.stop();
  seeded.remove();
  const ratios = spread(
    runs.oauth.map(({ perSecond }, round) => perSecond / (runs.own[round]?.perSecond ?? 1)),
  );
  // Of the machine's other work the processor time knows less than the rate does.
  const cost = spread(cpu.oauth.map((microseconds, round) => microseconds / (cpu.own[round] ?? 1)));
  const rates = spread(runs.oauth.map(({ perSecond }) => perSecond));
  const failures = [...runs.oauth, ...runs.own].reduce((sum, run) => sum + run.failures, 0);
  const findings: Finding[] = [
    {
      what: "POST /oauth/token with refresh_token, against POST /refresh",
      target: "≥ 0.85",
      measured: `${shown(ratios)}, ${rounded(rates.median, 0)} a second`,
      reached: ratios.median >= 0.85 && failures === 0,
    },
    {
      what: "the same by processor time for one",
      target: "≤ 1.15",
      measured: shown(cost),
      reached: cost.median <= 1.15,
    },
  ];
  const summary = (name: keyof typeof runs) => ({
    perSecond: spread(runs[name].map((run) => run.perSecond)),
    p50: spread(runs[name].map((run) => run.p50)),
    p99: spread(runs[name].map((run) => run.p99)),
    cpuMicroseconds: spread(cpu[name]),
  });
  return {
    findings,
    connections,
    sessions,
    rounds,
    seconds,
    failures,
    ratios,
    cost,
    runs: { oauth: summary("oauth"), own: summary("own") },
  };
}
