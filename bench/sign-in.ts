import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Finding, median, ratios, rounded, shown, spread } from "./figures.ts";
import { load, refreshing, type Target, warmUp } from "./load.ts";
import { canPin, seed, startKeyturn, startPeer } from "./processes.ts";

const people = Array.from({ length: 8 }, (_, index) => `person${index}`);

type Name = keyof typeof peers;
const emailOf = (username: string) => `${username}@bench.example`;
const betterAuth = (kind: string) => ({
  start: () => startPeer("./peers/better-auth.ts", 1, [kind, ...people]),
  path: "/api/auth/sign-in/email",
  next: signingIn((username) => ({ email: emailOf(username) })),
  target: 6,
});
const peers = {
  "better-auth, its own hash": betterAuth("own-hash"),
  "better-auth, the same hash": betterAuth("tokens"),
  "the tutorial's app, the same hash": {
    start: () => startPeer("./peers/tutorial.ts", 1, people),
    path: "/login",
    next: signingIn((username) => ({ username })),
    target: undefined,
  },
} as const;
const names = Object.keys(peers) as Name[];

/** Sign-ins on one core against the bare hash on that core and against others, and what a refresh feels of them. */
export async function benchSignIn({ rounds = 5, seconds = 6 } = {}) {
  const rates: Record<"bare hash" | "Keyturn" | Name, number[]> = {
    "bare hash": [],
    Keyturn: [],
    "better-auth, its own hash": [],
    "better-auth, the same hash": [],
    "the tutorial's app, the same hash": [],
  };
  const quiet: number[] = [];
  const beside: number[] = [];
  let failures = 0;
  const seeded = seed(1000, people);
  for (let round = 0; round < rounds; round++) {
    rates["bare hash"].push(bareHashes(seconds));
    const server = await startKeyturn(seeded);
    const signIns: Target = {
      port: server.port,
      path: "/login",
      connections: people.length,
      seconds,
      next: signingIn((username) => ({ username })),
    };
    const refreshes = {
      port: server.port,
      path: "/refresh",
      connections: 32,
      next: refreshing(server.tokens, 32),
    };
    await warmUp(signIns);
    const alone = await load(signIns);
    await warmUp(refreshes);
    const without = await load({ ...refreshes, seconds });
    const [signing, among] = await Promise.all([load(signIns), load({ ...refreshes, seconds })]);
    failures += alone.failures + without.failures + signing.failures + among.failures;
    rates.Keyturn.push(alone.perSecond);
    quiet.push(without.p99);
    beside.push(among.p99);
    seeded.tokens = server.tokens;
    await server.stop();
    for (const name of names) {
      const { start, path, next } = peers[name];
      const peer = await start();
      const target = { port: peer.port, path, next, connections: people.length };
      await warmUp(target);
      const result = await load({ ...target, seconds });
      failures += result.failures;
      rates[name].push(result.perSecond);
      await peer.stop();
    }
  }
  seeded.remove();
  const against = (name: "bare hash" | Name) => spread(ratios(rates.Keyturn, rates[name]));
  const findings: Finding[] = [
    {
      what: "sign-ins, against the bare hash",
      target: "≥ 0.90",
      measured: shown(against("bare hash")),
      reached: against("bare hash").median >= 0.9,
    },
    ...names.map((name): Finding => {
      const { target } = peers[name];
      return {
        what: `sign-ins, against ${name}`,
        target: target === undefined ? "none" : `≥ ${rounded(target)}`,
        measured: shown(against(name)),
        reached: against(name).median >= (target ?? 0),
      };
    }),
    {
      what: "p99 of refresh, 32 in flight, while 8 sign in without pause",
      target: "< 25 ms",
      measured: `${rounded(median(beside), 1)} ms (without sign-ins ${rounded(median(quiet), 1)} ms)`,
      reached: median(beside) < 25,
    },
  ];
  return {
    findings,
    rounds,
    seconds,
    failures,
    ratios: spread(ratios(rates.Keyturn, rates["bare hash"])),
    signInsPerSecond: Object.fromEntries(Object.entries(rates).map(([name, all]) => [name, spread(all)])),
    p99Quiet: spread(quiet),
    p99Beside: spread(beside),
  };
}

function signingIn(who: (username: string) => object): Target["next"] {
  return (connection) => {
    const username = people[connection] ?? "";
    return {
      body: JSON.stringify({ ...who(username), password: "correct horse battery" }),
      check(status, body) {
        if (status !== 200) return false;
        const { user } = JSON.parse(body);
        return user.username === username || user.email === emailOf(username);
      },
    };
  };
}

/** The bare hash, one after the other, on the core that the server will have. */
function bareHashes(seconds: number): number {
  const script = fileURLToPath(new URL("./peers/bare-hash.mjs", import.meta.url));
  const [file, ...args] = [
    ...(canPin ? ["taskset", "-c", "0"] : []),
    process.execPath,
    script,
    String(seconds),
  ];
  return Number(spawnSync(file as string, args, { encoding: "utf8" }).stdout);
}
