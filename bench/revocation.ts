import { createGuard, type FeedPolicy } from "@keyturn/guard";
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
  let cut: Awaited<ReturnType<typeof whileCut>> | undefined;
  const stage = createStage();
  const postgres = await makePostgres();
  try {
    await postgres.start();
    const sqlite = await house(stage, undefined);
    results["SQLite, one server"] = await measure(sqlite, rounds);
    results["SQLite, one server, under load"] = await underLoad(sqlite, rounds);
    // Each of these waits for an answer that is remembered for a second.
    cut = await whileCut(sqlite, Math.min(rounds, 40));
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
  if (cut !== undefined) findings.push(...cut.findings);
  return {
    findings,
    rounds,
    guards: apisCount,
    refreshesInFlight,
    results,
    whileTheFeedIsCut: cut?.outcomes,
  };
}

interface House {
  /** Who is told to revoke. */
  readonly revoking: KeyturnServer;
  /** Ports of the three APIs. */
  readonly ports: readonly number[];
  readonly owner: Tokens;
  readonly resource: { readonly id: string; readonly secret: string };
  stop(): Promise<void>;
}

async function house(stage: Stage, database: string | undefined): Promise<House> {
  const environment = { KEYTURN_TRUSTED_PROXIES: "1" };
  const followed = await startKeyturn(stage, { environment, ...(database !== undefined && { database }) });
  const revoking =
    database === undefined ? followed : await startKeyturn(stage, { database, beside: followed });
  const { RESOURCE_ID, RESOURCE_SECRET } = await followed.addResource("api");
  const ofApis = { KEYTURN_ISSUER: followed.issuer, RESOURCE_ID, RESOURCE_SECRET };
  const started = await Promise.all(apis.map((file) => startExample(stage, file, ofApis)));
  await revoking.register("alice");
  return {
    revoking,
    ports: started.map(({ url }) => Number(new URL(url).port)),
    owner: await signIn(revoking),
    resource: { id: RESOURCE_ID, secret: RESOURCE_SECRET },
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

/**
 * What a guard does while only its feed is cut: with a token that lives and one whose session ended a moment ago, by
 * each policy; and how soon the second is refused by the guard that asks the server.
 */
async function whileCut({ revoking, owner, resource }: House, rounds: number) {
  const guard = createGuard({
    issuer: revoking.issuer,
    audience: revoking.issuer,
    resource,
    feedStaleAfterSeconds: 0.5,
    fetch: (input, init) =>
      String(input).endsWith("/revocations") ? Promise.reject(new Error("cut")) : fetch(input, init),
  });
  const outcome = async (token: string, whenFeedBroken: FeedPolicy) => {
    const verification = await guard.verify(token, { whenFeedBroken });
    return verification.ok ? 200 : verification.refusal.status;
  };
  const policies = ["accept", "introspect", "refuse"] as const;
  const outcomes: Record<string, Record<FeedPolicy, number[]>> = {};
  const note = (what: string, policy: FeedPolicy, status: number) => {
    outcomes[what] ??= { accept: [], introspect: [], refuse: [] };
    const statuses = outcomes[what][policy];
    if (!statuses.includes(status)) statuses.push(status);
  };
  const asking: number[] = [];
  const untilRefused: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      const { accessToken, sessionId } = await signIn(revoking);
      const asked = performance.now();
      note("a token that lives", "introspect", await outcome(accessToken, "introspect"));
      asking.push(performance.now() - asked);
      for (const policy of policies) note("a token that lives", policy, await outcome(accessToken, policy));
      const address = `/sessions/${sessionId}`;
      const { status } = await revoking.call(address, { method: "DELETE", token: owner.accessToken });
      const revokedAt = performance.now();
      if (status !== 204) throw new Error(`the revocation is answered ${status}`);
      while ((await outcome(accessToken, "introspect")) === 200) {
        if (performance.now() - revokedAt > giveUpMs) throw new Error("a revoked session is let in");
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      untilRefused.push(performance.now() - revokedAt);
      for (const policy of policies) note("a revoked one", policy, await outcome(accessToken, policy));
    }
  } finally {
    guard.close();
  }
  const told = (what: string) => policies.map((policy) => `${policy} ${outcomes[what]?.[policy].join("/")}`);
  const [ask, refused] = [latencyOf(asking), latencyOf(untilRefused)];
  const findings: Finding[] = [
    {
      what: "the feed is cut: a token that lives",
      target: "accept 200, introspect 200, refuse 503",
      measured: told("a token that lives").join(", "),
      reached: told("a token that lives").join(", ") === "accept 200, introspect 200, refuse 503",
    },
    {
      what: "the feed is cut: a revoked one",
      target: "accept 200, introspect 401, refuse 503",
      measured: told("a revoked one").join(", "),
      reached: told("a revoked one").join(", ") === "accept 200, introspect 401, refuse 503",
    },
    {
      what: "the feed is cut: revocation to the first 401 by introspect",
      target: "most ≤ 1000 ms",
      measured: `p50 ${rounded(refused.p50, 0)} ms, p99 ${rounded(refused.p99, 0)} ms, most ${rounded(refused.max, 0)} ms; a question takes p50 ${rounded(ask.p50, 1)} ms, p99 ${rounded(ask.p99, 1)} ms`,
      reached: refused.max <= 1000,
    },
  ];
  return { findings, outcomes, asking: ask, untilRefused: refused };
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
