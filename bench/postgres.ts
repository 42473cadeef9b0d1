import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { makePostgres, type PostgresServer } from "./faults/postgres-server.ts";
import { type Finding, ratios, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, refreshing, warmUpSeconds } from "./load.ts";
import { type Data, type Server, seed, seedMany, startKeyturn } from "./processes.ts";

interface Run extends LoadResult {
  /** Processor time for one request: of all nodes together, and of PostgreSQL with all its processes. */
  readonly cpuMicroseconds: number;
  readonly postgresMicroseconds: number;
}

const connections = 32;
type Name = "SQLite" | "PostgreSQL" | "PostgreSQL, two nodes" | "PostgreSQL, a million sessions";

/**
 * A refresh on PostgreSQL, with everything that keeps what it has acknowledged (fsync and synchronous_commit, its
 * defaults), against one on SQLite; one node, and two between which the connections are shared out.
 *
 * About cores. The first node has the first core. PostgreSQL and the load are on the second, so on a machine with two
 * cores one node is held up by the other core, and a second node (on the third core where there are four) only takes
 * from the rest. There the processor time of a turn says more than the rate.
 */
export async function benchPostgres({ rounds = 4, seconds = 5, sessions = 1000, many = 1_000_000 } = {}) {
  const postgres = await makePostgres();
  const removes: (() => void | Promise<void>)[] = [() => postgres.remove()];
  const seeded = <T extends Data & { remove(): void }>(made: T): T => {
    removes.unshift(made.remove);
    return made;
  };
  const runs: Record<Name, Run[]> = {
    SQLite: [],
    PostgreSQL: [],
    "PostgreSQL, two nodes": [],
    "PostgreSQL, a million sessions": [],
  };
  let bytes: Record<string, number>;
  try {
    await postgres.start();
    const file = seeded(seed(sessions, ["bench"]));
    const few = seeded(seed(sessions, ["bench"], "app", await makeDatabase(postgres, "few")));
    const large = seeded(
      seedMany({ sessions: many, withToken: 200_000, database: await makeDatabase(postgres, "many") }),
    );
    bytes = large.bytes;
    const second = { ...few, data: otherFolder(few.data) };
    removes.unshift(() => rmSync(second.data, { recursive: true, force: true }));
    for (let round = 0; round < rounds; round++) {
      runs.SQLite.push(await measure([file], { postgres, seconds }));
      runs.PostgreSQL.push(await measure([few], { postgres, seconds }));
      runs["PostgreSQL, two nodes"].push(await measure([few, second], { postgres, seconds }));
      runs["PostgreSQL, a million sessions"].push(await measure([large], { postgres, seconds }));
    }
  } finally {
    for (const remove of removes) await remove();
  }
  const rates = (name: Name) => runs[name].map((run) => run.perSecond);
  const against = (name: Name, other: Name) => spread(ratios(rates(name), rates(other)));
  const one = against("PostgreSQL", "SQLite");
  const two = against("PostgreSQL, two nodes", "PostgreSQL");
  const ofMany = against("PostgreSQL, a million sessions", "PostgreSQL");
  const bytesASession = Object.values(bytes).reduce((sum, part) => sum + part, 0) / many;
  const cost = (name: Name) => {
    const own = spread(runs[name].map((run) => run.cpuMicroseconds)).median;
    const theirs = spread(runs[name].map((run) => run.postgresMicroseconds)).median;
    return `processor time of a turn ${rounded(own, 0)} µs${theirs > 0 ? ` and ${rounded(theirs, 0)} of PostgreSQL` : ""}`;
  };
  const findings: Finding[] = [
    {
      what: "refresh on PostgreSQL, one node, against SQLite",
      target: "≥ 0.70",
      measured: `${shown(one)}; ${cost("PostgreSQL")}, on SQLite ${cost("SQLite")}`,
      reached: one.median >= 0.7,
    },
    {
      what: "refresh on PostgreSQL, two nodes against one",
      target: "≥ 1.60, where cores allow",
      measured: `${shown(two)}, all on ${cpus().length} cores; ${cost("PostgreSQL, two nodes")}`,
      reached: two.median >= 1.6,
    },
    {
      what: "refresh on PostgreSQL with a million sessions, against a thousand",
      target: "≥ 0.90",
      measured: shown(ofMany),
      reached: ofMany.median >= 0.9,
    },
    {
      what: "bytes of PostgreSQL a session",
      target: "≤ 400",
      measured: rounded(bytesASession, 0),
      reached: bytesASession <= 400,
    },
  ];
  const names = Object.keys(runs) as Name[];
  return {
    findings,
    connections,
    sessions,
    many,
    rounds,
    seconds,
    cores: cpus().length,
    bytesASession,
    runs: Object.fromEntries(names.map((name) => [name, summary(runs[name])])),
  };
}

/** A database of its own on that server: what fills one changes nothing of another. */
async function makeDatabase(postgres: PostgresServer, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return new URL(`/${name}`, postgres.url).href;
}

/** For another node with the same master secret. */
function otherFolder(data: string): string {
  const folder = mkdtempSync(join(tmpdir(), "keyturn-bench-"));
  copyFileSync(join(data, "secret"), join(folder, "secret"));
  return folder;
}

/** The connections are shared out to the nodes evenly, and so are the sessions. */
async function measure(
  nodes: readonly [Data, ...Data[]],
  { postgres, seconds }: { postgres: PostgresServer; seconds: number },
): Promise<Run> {
  const [first] = nodes;
  const servers: Server[] = [];
  for (const [index, data] of nodes.entries())
    servers.push(await startKeyturn(data, { core: coreOf(index) }));
  const each = connections / nodes.length;
  const shares = servers.map((_, node) => first.tokens.filter((_, index) => index % nodes.length === node));
  const walks = shares.map((tokens) => refreshing(tokens, each));
  const run = (duration: number) =>
    Promise.all(
      servers.map(({ port }, node) => {
        const next = walks[node] as ReturnType<typeof refreshing>;
        return load({ port, path: "/refresh", connections: each, next, seconds: duration });
      }),
    );
  await run(warmUpSeconds);
  const before = { own: ownTime(servers), postgres: processorTime(postgres.pids()) };
  const results = await run(seconds);
  const after = { own: ownTime(servers), postgres: processorTime(postgres.pids()) };
  for (const server of servers) await server.stop();
  for (const [node, tokens] of shares.entries())
    for (const [index, token] of tokens.entries()) first.tokens[index * nodes.length + node] = token;
  return {
    ...together(results),
    cpuMicroseconds: ((after.own - before.own) * 1000) / together(results).requests,
    postgresMicroseconds: ((after.postgres - before.postgres) * 1000) / together(results).requests,
  };
}

const coreOf = (node: number) => (node === 0 ? 0 : cpus().length >= 4 ? 2 : 1);
const ownTime = (servers: readonly Server[]) => servers.reduce((sum, server) => sum + server.cpu(), 0);

/** In milliseconds, of processes that live on. Linux only. */
function processorTime(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      return sum + (Number(fields[11]) + Number(fields[12])) * 10;
    } catch {
      return sum;
    }
  }, 0);
}

/** What several loads have done beside each other. */
function together(results: readonly LoadResult[]): LoadResult {
  const sum = (of: (result: LoadResult) => number) => results.reduce((all, result) => all + of(result), 0);
  const most = (of: (result: LoadResult) => number) => Math.max(...results.map(of));
  return {
    perSecond: sum((result) => result.perSecond),
    requests: sum((result) => result.requests),
    failures: sum((result) => result.failures),
    p50: most((result) => result.p50),
    p99: most((result) => result.p99),
    max: most((result) => result.max),
  };
}

function summary(runs: readonly Run[]) {
  return {
    perSecond: spread(runs.map((run) => run.perSecond)),
    p50: spread(runs.map((run) => run.p50)),
    p99: spread(runs.map((run) => run.p99)),
    max: spread(runs.map((run) => run.max)),
    cpuMicroseconds: spread(runs.map((run) => run.cpuMicroseconds)),
    postgresMicroseconds: spread(runs.map((run) => run.postgresMicroseconds)),
    requests: runs.reduce((sum, run) => sum + run.requests, 0),
    failures: runs.reduce((sum, run) => sum + run.failures, 0),
  };
}
