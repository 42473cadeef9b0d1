import { type Finding, median, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, refreshing } from "./load.ts";
import { type Server, seed, startKeyturn, startPeer } from "./processes.ts";

interface Run extends LoadResult {
  readonly idleMb: number;
  readonly peakMb: number;
  /** Processor time of the server for one request, all its threads. */
  readonly cpuMicroseconds: number;
}

type Name = "keyturn" | "by hand" | "tutorial";
const names: readonly Name[] = ["keyturn", "by hand", "tutorial"];

/**
 * POST /refresh side by side, in turn, several rounds: a round is one run of each, so that a ratio is between
 * runs that are neighbours in time.
 */
export async function benchRefresh({ rounds = 7, seconds = 6, connections = 32, sessions = 1000 } = {}) {
  const runs: Record<Name, Run[]> = { keyturn: [], "by hand": [], tutorial: [] };
  const seeded = seed(sessions, ["bench"]);
  const startOf: Record<Name, () => Promise<Server>> = {
    keyturn: () => startKeyturn(seeded),
    "by hand": () => startPeer("./peers/by-hand.ts", sessions),
    tutorial: () => startPeer("./peers/tutorial.ts", sessions),
  };
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const server = await startOf[name]();
      runs[name].push(await measure(server, { seconds, connections }));
      if (name === "keyturn") seeded.tokens = server.tokens;
      await server.stop();
    }
  }
  seeded.remove();
  const perSecond = (name: Name) => runs[name].map((run) => run.perSecond);
  const ratioTo = (name: Name) =>
    spread(perSecond("keyturn").map((own, index) => own / (perSecond(name)[index] ?? 1)));
  const ratios = { byHand: ratioTo("by hand"), tutorial: ratioTo("tutorial") };
  const idleMb = median(runs.keyturn.map((run) => run.idleMb));
  const peakMb = Math.max(...runs.keyturn.map((run) => run.peakMb));
  const findings: Finding[] = [
    {
      what: "refresh, against by hand",
      target: "≥ 0.80",
      measured: shown(ratios.byHand),
      reached: ratios.byHand.median >= 0.8,
    },
    {
      what: "refresh, against the tutorial's app",
      target: "≥ 1.00",
      measured: shown(ratios.tutorial),
      reached: ratios.tutorial.median >= 1,
    },
    { what: "memory idle", target: "< 90 MB", measured: `${rounded(idleMb, 0)} MB`, reached: idleMb < 90 },
    {
      what: "memory at full load, the most",
      target: "< 160 MB",
      measured: `${rounded(peakMb, 0)} MB`,
      reached: peakMb < 160,
    },
  ];
  return {
    findings,
    connections,
    sessions,
    rounds,
    seconds,
    ratios,
    runs: Object.fromEntries(names.map((name) => [name, summary(runs[name])])),
  };
}

async function measure(
  server: Server,
  { seconds, connections }: { seconds: number; connections: number },
): Promise<Run> {
  await new Promise((resolve) => setTimeout(resolve, 500));
  const idleMb = server.memory().now;
  const target = {
    port: server.port,
    path: "/refresh",
    connections,
    next: refreshing(server.tokens, connections),
  };
  await load({ ...target, seconds: 6 });
  const before = server.cpu();
  const result = await load({ ...target, seconds });
  const cpuMicroseconds = ((server.cpu() - before) * 1000) / result.requests;
  return { ...result, idleMb, cpuMicroseconds, peakMb: server.memory().peak };
}

function summary(runs: readonly Run[]) {
  return {
    perSecond: spread(runs.map((run) => run.perSecond)),
    p50: spread(runs.map((run) => run.p50)),
    p99: spread(runs.map((run) => run.p99)),
    cpuMicroseconds: spread(runs.map((run) => run.cpuMicroseconds)),
    idleMb: spread(runs.map((run) => run.idleMb)),
    peakMb: spread(runs.map((run) => run.peakMb)),
    requests: runs.reduce((sum, run) => sum + run.requests, 0),
    failures: runs.reduce((sum, run) => sum + run.failures, 0),
  };
}
