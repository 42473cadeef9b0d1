import { type Finding, median, ratios, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, refreshing, type TokenForm, warmUp } from "./load.ts";
import { type Server, seed, startKeyturn, startPeer } from "./processes.ts";

interface Run extends LoadResult {
  readonly inFlight: number;
  readonly idleMb: number;
  readonly peakMb: number;
  /** Processor time of the server for one request, all its threads. */
  readonly cpuMicroseconds: number;
}

interface Contender {
  start(sessions: number): Promise<Server>;
  readonly path: string;
  /** By the token endpoint, as a public client; otherwise JSON. */
  readonly form?: TokenForm;
  /** What Keyturn is to reach, as a multiple of it. */
  readonly target?: number;
}

const usual = 32;
const crowd = 128;
/** How many requests are in flight at a time, one level after the other. */
const ladder = [1, 8, usual, crowd] as const;
const fewSessions = 1000;
const publicClient = { id: "bench" };

type Name = keyof typeof peers;
const peers = {
  "by hand": {
    start: (sessions) => startPeer("./peers/by-hand.ts", sessions),
    path: "/refresh",
    target: 0.8,
  },
  "the tutorial's app": {
    start: (sessions) => startPeer("./peers/tutorial.ts", sessions),
    path: "/refresh",
    target: 1.2,
  },
  "oidc-provider in memory": {
    start: (sessions) => startPeer("./peers/oidc-provider.ts", sessions, ["memory"]),
    path: "/token",
    form: publicClient,
    target: 2.5,
  },
  "oidc-provider on SQLite": {
    start: (sessions) => startPeer("./peers/oidc-provider.ts", sessions, ["sqlite"]),
    path: "/token",
    form: publicClient,
    target: 10,
  },
  "oidc-provider on SQLite, grouped": {
    start: (sessions) => startPeer("./peers/oidc-provider.ts", sessions, ["sqlite-grouped"]),
    path: "/token",
    form: publicClient,
  },
  "better-auth on SQLite": {
    start: (sessions) => startPeer("./peers/better-auth.ts", sessions, ["tokens"]),
    path: "/api/auth/oauth2/token",
    form: publicClient,
    target: 30,
  },
} as const satisfies Record<string, Contender>;

/**
 * A refresh, side by side, in turn, several rounds: a round is one run of each, so that a ratio is between runs that
 * are neighbours in time.
 */
export async function benchRefresh({
  rounds = 3,
  seconds = 4,
  sessions = fewSessions,
  levels = ladder as readonly number[],
} = {}) {
  const seeded = seed(sessions, ["bench"]);
  const contenders = new Map<Name | "Keyturn", Contender>([
    ["Keyturn", { start: () => startKeyturn(seeded), path: "/refresh" }],
    ...(Object.entries(peers) as [Name, Contender][]),
  ]);
  const runs = new Map([...contenders.keys()].map((name) => [name, [] as Run[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, contender] of contenders) {
      const server = await contender.start(sessions);
      runs.get(name)?.push(...(await measure(server, { contender, seconds, levels })));
      if (name === "Keyturn") seeded.tokens = server.tokens;
      await server.stop();
    }
  }
  seeded.remove();
  const at = (name: Name | "Keyturn", inFlight = usual) =>
    (runs.get(name) ?? []).filter((run) => run.inFlight === inFlight);
  const ratioTo = (name: Name) =>
    spread(
      ratios(
        at("Keyturn").map((run) => run.perSecond),
        at(name).map((run) => run.perSecond),
      ),
    );
  return {
    findings: [
      ...(Object.entries(peers) as [Name, Contender][]).map(([name, { target }]) =>
        against(name, ratioTo(name), { target, sessions }),
      ),
      ...(levels.includes(crowd) ? ownFindings(at("Keyturn"), at("Keyturn", crowd)) : []),
    ],
    sessions,
    rounds,
    seconds,
    ratios: Object.fromEntries((Object.keys(peers) as Name[]).map((name) => [name, ratioTo(name)])),
    runs: Object.fromEntries(
      [...contenders.keys()].map((name) => [
        name,
        Object.fromEntries(levels.map((level) => [level, summary(at(name, level))])),
      ]),
    ),
  };
}

/**
 * The same with a hundred thousand sessions each, once. More are not made: better-auth alone would issue its tokens for
 * most of an hour.
 */
export const benchRefreshMany = () => benchRefresh({ rounds: 1, sessions: 100_000, levels: [usual] });

function against(
  name: Name,
  ratio: ReturnType<typeof spread>,
  { target, sessions }: { target: number | undefined; sessions: number },
): Finding {
  const many = sessions === fewSessions ? "" : ` with ${sessions.toLocaleString("en")} sessions`;
  return {
    what: `refresh${many}, against ${name}`,
    target: target === undefined ? "none" : `≥ ${rounded(target)}`,
    measured: shown(ratio),
    reached: ratio.median >= (target ?? 0),
  };
}

function ownFindings(usually: readonly Run[], crowded: readonly Run[]): Finding[] {
  const idleMb = median(usually.map((run) => run.idleMb));
  const peakMb = Math.max(...crowded.map((run) => run.peakMb));
  const p99 = spread(crowded.map((run) => run.p99));
  return [
    {
      what: "p99 of refresh, 128 in flight",
      target: "< 40 ms",
      measured: `${shown(p99, 1)} ms`,
      reached: p99.median < 40,
    },
    { what: "memory idle", target: "< 90 MB", measured: `${rounded(idleMb, 0)} MB`, reached: idleMb < 90 },
    {
      what: "memory at full load, the most",
      target: "< 160 MB",
      measured: `${rounded(peakMb, 0)} MB`,
      reached: peakMb < 160,
    },
  ];
}

async function measure(
  server: Server,
  { contender, seconds, levels }: { contender: Contender; seconds: number; levels: readonly number[] },
): Promise<Run[]> {
  const { path, form } = contender;
  await new Promise((resolve) => setTimeout(resolve, 500));
  const idleMb = server.memory().now;
  const runs: Run[] = [];
  const targetOf = (connections: number) => ({
    port: server.port,
    path,
    connections,
    ...(form !== undefined && { type: "application/x-www-form-urlencoded" }),
    next: refreshing(server.tokens, connections, form),
  });
  await warmUp(targetOf(usual));
  for (const connections of levels) {
    const target = targetOf(connections);
    await load({ ...target, seconds: 1 });
    const before = server.cpu();
    const result = await load({ ...target, seconds });
    const cpuMicroseconds = ((server.cpu() - before) * 1000) / result.requests;
    runs.push({ ...result, inFlight: connections, idleMb, cpuMicroseconds, peakMb: server.memory().peak });
  }
  return runs;
}

function summary(runs: readonly Run[]) {
  return {
    perSecond: spread(runs.map((run) => run.perSecond)),
    p50: spread(runs.map((run) => run.p50)),
    p99: spread(runs.map((run) => run.p99)),
    max: spread(runs.map((run) => run.max)),
    cpuMicroseconds: spread(runs.map((run) => run.cpuMicroseconds)),
    idleMb: spread(runs.map((run) => run.idleMb)),
    peakMb: spread(runs.map((run) => run.peakMb)),
    requests: runs.reduce((sum, run) => sum + run.requests, 0),
    failures: runs.reduce((sum, run) => sum + run.failures, 0),
  };
}
