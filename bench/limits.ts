import { type Finding, ratios, shown, spread } from "./figures.ts";
import { type LoadResult, load, refreshing, type Target, warmUp } from "./load.ts";
import { type Server, seed, startKeyturn, startPeer } from "./processes.ts";

interface Run extends LoadResult {
  /** Processor time of the server for one request, all its threads. */
  readonly cpuMicroseconds: number;
}

const connections = 32;
const starts = {
  "the ceiling on node:http": (sessions: number) => startPeer("./limits/ceiling.ts", sessions, ["node"]),
  "the ceiling on Hono": (sessions: number) => startPeer("./limits/ceiling.ts", sessions, ["hono"]),
  "by hand": (sessions: number) => startPeer("./peers/by-hand.ts", sessions),
} as const;
type Name = keyof typeof starts;
const names = Object.keys(starts) as Name[];
const targets: Readonly<Partial<Record<Name, number>>> = { "the ceiling on node:http": 0.9 };

/**
 * Keyturn's refresh against the same work with nothing around it, by rate and by processor time. Every request has an
 * attempt key, as those of the client have.
 */
export async function benchLimits({ rounds = 6, seconds = 5, sessions = 1000 } = {}) {
  const seeded = seed(sessions, ["bench"]);
  const runs = new Map<Name | "Keyturn", Run[]>([
    ["Keyturn", []],
    ...names.map((name) => [name, []] as const),
  ] as [Name | "Keyturn", Run[]][]);
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? (["Keyturn", ...names] as const) : ([...names, "Keyturn"] as const);
    for (const name of order) {
      const server = await (name === "Keyturn" ? startKeyturn(seeded) : starts[name](sessions));
      runs.get(name)?.push(await measure(server, seconds));
      if (name === "Keyturn") seeded.tokens = server.tokens;
      await server.stop();
    }
  }
  seeded.remove();
  const all = (name: Name | "Keyturn", of: (run: Run) => number) => (runs.get(name) ?? []).map(of);
  const rate = (name: Name | "Keyturn") => all(name, (run) => run.perSecond);
  const cost = (name: Name | "Keyturn") => all(name, (run) => run.cpuMicroseconds);
  const findings = names.flatMap((name): Finding[] => {
    const target = targets[name];
    const byRate = spread(ratios(rate("Keyturn"), rate(name)));
    const byCost = spread(ratios(cost(name), cost("Keyturn")));
    return [
      {
        what: `refresh with attempt keys, against ${name}`,
        target: target === undefined ? "none" : `≥ ${target.toFixed(2)}`,
        measured: `${shown(byRate)}; by processor time ${shown(byCost)}`,
        reached: byRate.median >= (target ?? 0),
      },
    ];
  });
  return {
    findings,
    connections,
    sessions,
    rounds,
    seconds,
    runs: Object.fromEntries(
      (["Keyturn", ...names] as const).map((name) => [
        name,
        {
          perSecond: spread(rate(name)),
          p50: spread(all(name, (run) => run.p50)),
          p99: spread(all(name, (run) => run.p99)),
          cpuMicroseconds: spread(cost(name)),
          failures: all(name, (run) => run.failures).reduce((sum, failures) => sum + failures, 0),
        },
      ]),
    ),
  };
}

async function measure(server: Server, seconds: number): Promise<Run> {
  const target = { port: server.port, path: "/refresh", connections, next: withAttemptKeys(server.tokens) };
  await warmUp(target);
  const before = server.cpu();
  const result = await load({ ...target, seconds });
  return { ...result, cpuMicroseconds: ((server.cpu() - before) * 1000) / result.requests };
}

/** Of 43 characters, as the client makes them. */
export function withAttemptKeys(tokens: string[]): Target["next"] {
  const next = refreshing(tokens, connections);
  let made = 0;
  return (connection) => {
    made++;
    return { ...next(connection), fields: `Idempotency-Key: ${String(made).padStart(43, "k")}\r\n` };
  };
}
