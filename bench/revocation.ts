import {
  type KeyturnServer,
  password,
  startExample,
  startKeyturn,
  type Tokens,
} from "../tests/keyturn-process.ts";
import { createStage, type Stage } from "../tests/stage.ts";
import { makePostgres } from "./faults/postgres-server.ts";
import { type Finding, rounded } from "./figures.ts";
import { connected, load, refreshing } from "./load.ts";

/** Milliseconds from the 204 of the revoking call to the answer 401 of a guard that is asked without pause. */
interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly samples: number;
}

const apis = ["express/app.ts", "fastify/app.ts", "hono/app.ts"];
const apisCount = apis.length;
const refreshesInFlight = 8;
const giveUpMs = 5_000;

/**
 * How soon a revoked token is dead: at guards in three processes that follow the feed of one server; and of two nodes
 * on PostgreSQL, where one is told to revoke and the guards follow the other. Quiet, and while sessions are turned
 * without pause at the node that revokes. Everything runs on this machine, by one clock: this process's.
 */
export async function benchRevocation({ rounds = 150 } = {}) {
  const results: Record<string, Latency> = {};
  const stage = createStage();
  const postgres = await makePostgres();
  try {
    await postgres.start();
    const sqlite = await house(stage, undefined);
    results["SQLite, one server"] = await measure(sqlite, rounds);
    results["SQLite, one server, under load"] = await underLoad(sqlite, rounds);
    await sqlite.stop();
    const nodes = await house(stage, postgres.url);
    results["PostgreSQL, two nodes"] = await measure(nodes, rounds);
    results["PostgreSQL, two nodes, under load"] = await underLoad(nodes, rounds);
    await nodes.stop();
  } finally {
    await stage.clear();
    await postgres.remove();
  }
  const findings: Finding[] = Object.entries(results).map(([what, { p50, p99, max, samples }]) => ({
    what: `revocation to the first 401, ${what}`,
    target: "p99 < 100 ms",
    measured: `p50 ${rounded(p50, 0)} ms, p99 ${rounded(p99, 0)} ms, most ${rounded(max, 0)} ms of ${samples}`,
    reached: p99 < 100,
  }));
  return { findings, rounds, guards: apisCount, refreshesInFlight, results };
}

interface House {
  /** Who is told to revoke. */
  readonly revoking: KeyturnServer;
  /** Ports of the three APIs. */
  readonly ports: readonly number[];
  readonly owner: Tokens;
  stop(): Promise<void>;
}

async function house(stage: Stage, database: string | undefined): Promise<House> {
  const environment = { KEYTURN_TRUSTED_PROXIES: "1" };
  const followed = await startKeyturn(stage, { environment, ...(database !== undefined && { database }) });
  const revoking =
    database === undefined ? followed : await startKeyturn(stage, { database, beside: followed });
  const ofApis = { KEYTURN_ISSUER: followed.issuer, ...(await followed.addResource("api")) };
  const started = await Promise.all(apis.map((file) => startExample(stage, file, ofApis)));
  await revoking.register("alice");
  return {
    revoking,
    ports: started.map(({ url }) => Number(new URL(url).port)),
    owner: await signIn(revoking),
    async stop() {
      for (const { process } of started) await process.kill();
      await revoking.stop();
      if (revoking !== followed) await followed.stop();
    },
  };
}

/** From another address each time, as a proxy would say: somebody who signs in so often from one is held off. */
async function signIn(server: KeyturnServer): Promise<Tokens> {
  const number = signIns++;
  const headers = { "x-forwarded-for": `198.51.${number >> 8}.${number & 255}` };
  const json = { username: "alice", password, device: "a bench" };
  const reply = await server.call("/login", { json, headers });
  if (reply.status !== 200) throw new Error(`a sign-in is answered ${reply.status}`);
  return reply.json;
}

let signIns = 0;

async function measure({ revoking, ports, owner }: House, rounds: number): Promise<Latency> {
  const asked = await Promise.all(
    ports.map((port) => connected({ port, path: "/protected", method: "GET" })),
  );
  const all: number[] = [];
  let token = owner.accessToken;
  const minted = performance.now();
  let refreshToken = owner.refreshToken;
  for (let round = 0; round < rounds; round++) {
    if (performance.now() - minted > 300_000) throw new Error("the rounds take longer than a token lives");
    const { accessToken, sessionId } = await signIn(revoking);
    const fields = `Authorization: Bearer ${accessToken}\r\n`;
    for (const api of asked) {
      const { status } = await api.exchange("", fields);
      if (status !== 200) throw new Error(`an API answers ${status} to a good token`);
    }
    if (round % 100 === 99) {
      const { json } = await revoking.refresh(refreshToken);
      token = json.accessToken;
      refreshToken = json.refreshToken;
    }
    const { status } = await revoking.call(`/sessions/${sessionId}`, { method: "DELETE", token });
    const revokedAt = performance.now();
    if (status !== 204) throw new Error(`the revocation is answered ${status}`);
    const late = await Promise.all(
      asked.map(async (api) => {
        for (;;) {
          const reply = await api.exchange("", fields);
          const after = performance.now() - revokedAt;
          if (reply.status === 401) return after;
          if (after > giveUpMs) throw new Error(`a revoked session is let in after ${giveUpMs} ms`);
        }
      }),
    );
    all.push(...late);
  }
  for (const api of asked) api.close();
  owner = { ...owner, accessToken: token, refreshToken };
  return latencyOf(all);
}

async function underLoad(given: House, rounds: number): Promise<Latency> {
  const { revoking } = given;
  const logins = Array.from({ length: 4 * refreshesInFlight }, () => signIn(revoking));
  const tokens = (await Promise.all(logins)).map(({ refreshToken }) => refreshToken);
  let isOver = false;
  const loading = (async () => {
    const next = refreshing(tokens, refreshesInFlight);
    const target = { port: revoking.port, path: "/refresh", connections: refreshesInFlight, next };
    while (!isOver) await load({ ...target, seconds: 1 });
  })();
  const owner = await signIn(revoking);
  const latency = await measure({ ...given, owner }, rounds);
  isOver = true;
  await loading;
  return latency;
}

function latencyOf(values: readonly number[]): Latency {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1), samples: sorted.length };
}
