import { connect, createServer, type Socket } from "node:net";
import { makePostgres } from "./faults/postgres-server.ts";
import { type Finding, median, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, refreshing } from "./load.ts";
import { type Server, seed, startKeyturn } from "./processes.ts";

interface Run extends LoadResult {
  /** Processor time of the nodes for one request. */
  readonly cpuMicroseconds: number;
}

const names = ["SQLite, one server", "PostgreSQL, one node", "PostgreSQL, two nodes"] as const;
type Name = (typeof names)[number];

/**
 * Refreshing on PostgreSQL against SQLite, and two nodes behind a balancer that gives each connection to the next one
 * against one. The server of PostgreSQL flushes every commit, and runs where the system puts it: on two cores it shares
 * them with the nodes and with the load, so two nodes can do no more than one; processor time is what can be compared.
 */
export async function benchPostgres({ rounds = 3, seconds = 5, connections = 32, sessions = 1000 } = {}) {
  const runs: Record<Name, Run[]> = {
    "SQLite, one server": [],
    "PostgreSQL, one node": [],
    "PostgreSQL, two nodes": [],
  };
  const postgres = await makePostgres();
  try {
    await postgres.start();
    const onFile = seed(sessions, ["bench"]);
    const onPostgres = seed(sessions, ["bench"], "app", postgres.url);
    for (let round = 0; round < rounds; round++) {
      for (const name of names) {
        const seeded = name === "SQLite, one server" ? onFile : onPostgres;
        const nodes: Server[] = [await startKeyturn(seeded)];
        if (name === "PostgreSQL, two nodes") nodes.push(await startKeyturn(seeded));
        const balancer = await balance(nodes.map(({ port }) => port));
        const tokens = [...seeded.tokens];
        const next = refreshing(tokens, connections);
        const target = { port: balancer.port, path: "/refresh", connections, next };
        await load({ ...target, seconds: 3 });
        const before = nodes.reduce((sum, node) => sum + node.cpu(), 0);
        const result = await load({ ...target, seconds });
        const used = nodes.reduce((sum, node) => sum + node.cpu(), 0) - before;
        if (result.failures > 0) throw new Error(`${name}: ${result.failures} replies were no new tokens`);
        runs[name].push({ ...result, cpuMicroseconds: (used * 1000) / result.requests });
        seeded.tokens = tokens;
        balancer.close();
        for (const node of nodes) await node.stop();
      }
    }
    onFile.remove();
    onPostgres.remove();
  } finally {
    await postgres.remove();
  }
  const rates = (name: Name) => runs[name].map(({ perSecond }) => perSecond);
  const ratio = (one: Name, other: Name) =>
    spread(rates(one).map((rate, round) => rate / (rates(other)[round] ?? 1)));
  const oneNode = ratio("PostgreSQL, one node", "SQLite, one server");
  const twoNodes = ratio("PostgreSQL, two nodes", "PostgreSQL, one node");
  const rateOf = (name: Name) => `${rounded(median(rates(name)), 0)} a second`;
  const findings: Finding[] = [
    {
      what: "refresh on PostgreSQL, one node, against SQLite",
      target: "≥ 0.70",
      measured: `${shown(oneNode)}, ${rateOf("PostgreSQL, one node")}`,
      reached: oneNode.median >= 0.7,
    },
    {
      what: "refresh on PostgreSQL, two nodes against one",
      target: "≥ 1.60 where cores allow",
      measured: `${shown(twoNodes)}, ${rateOf("PostgreSQL, two nodes")}`,
      reached: twoNodes.median >= 1.6,
    },
  ];
  const summary = (name: Name) => ({
    perSecond: spread(rates(name)),
    p50: spread(runs[name].map(({ p50 }) => p50)),
    p99: spread(runs[name].map(({ p99 }) => p99)),
    cpuMicroseconds: spread(runs[name].map(({ cpuMicroseconds }) => cpuMicroseconds)),
  });
  return {
    findings,
    rounds,
    seconds,
    connections,
    sessions,
    ratios: { oneNode, twoNodes },
    runs: Object.fromEntries(names.map((name) => [name, summary(name)])),
  };
}

/** A plain balancer, in front of one node too, so that its cost is in all figures: the next connection, the next port. */
async function balance(ports: readonly number[]) {
  let turn = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const node = connect({ port: ports[turn++ % ports.length] ?? 0, host: "127.0.0.1", noDelay: true });
    client.setNoDelay(true);
    for (const [from, to] of [
      [client, node],
      [node, client],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => sockets.delete(from));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
