import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Finding, median, rounded, shown, spread } from "./figures.ts";
import { load, refreshing, type Target } from "./load.ts";
import { canPin, seed, startKeyturn, startPeer } from "./processes.ts";

const people = Array.from({ length: 8 }, (_, index) => `person${index}`);

/** Sign-ins on one core against the bare hash on that core, and what a refresh feels of them. */
export async function benchSignIn({ rounds = 5, seconds = 6 } = {}) {
  const ratios: number[] = [];
  const quiet: number[] = [];
  const beside: number[] = [];
  const rates: number[] = [];
  const others: number[] = [];
  let failures = 0;
  const seeded = seed(1000, people);
  for (let round = 0; round < rounds; round++) {
    const bare = bareHashes(seconds);
    const server = await startKeyturn(seeded);
    const signIns: Target = {
      port: server.port,
      path: "/login",
      connections: people.length,
      seconds,
      next: signingIn,
    };
    const refreshes = {
      port: server.port,
      path: "/refresh",
      connections: 32,
      next: refreshing(server.tokens, 32),
    };
    await load({ ...signIns, seconds: 1 });
    const alone = await load(signIns);
    await load({ ...refreshes, seconds: 2 });
    const without = await load({ ...refreshes, seconds });
    const [signing, among] = await Promise.all([load(signIns), load({ ...refreshes, seconds })]);
    failures += alone.failures + without.failures + signing.failures + among.failures;
    ratios.push(alone.perSecond / bare);
    rates.push(alone.perSecond);
    quiet.push(without.p99);
    beside.push(among.p99);
    seeded.tokens = server.tokens;
    await server.stop();
    const peer = await startPeer("./peers/better-auth.ts", 1, ["tokens", ...people]);
    const theirs = { ...signIns, port: peer.port, path: "/api/auth/sign-in/email", next: signingInThere };
    await load({ ...theirs, seconds: 1 });
    const there = await load(theirs);
    failures += there.failures;
    others.push(there.perSecond);
    await peer.stop();
  }
  seeded.remove();
  if (failures > 0) throw new Error(`${failures} sign-ins or refreshes were refused`);
  const against = spread(rates.map((rate, round) => rate / (others[round] ?? 1)));
  const findings: Finding[] = [
    {
      what: "sign-ins, against the bare hash",
      target: "≥ 0.90",
      measured: shown(spread(ratios)),
      reached: median(ratios) >= 0.9,
    },
    {
      what: "sign-ins, against better-auth with Argon2id of the same cost",
      target: "≥ 6.00",
      measured: `${shown(against)}, ${rounded(median(rates), 0)} a second against ${rounded(median(others), 0)}`,
      reached: against.median >= 6,
    },
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
    ratios: spread(ratios),
    againstBetterAuth: against,
    betterAuthPerSecond: spread(others),
    signInsPerSecond: spread(rates),
    p99Quiet: spread(quiet),
    p99Beside: spread(beside),
  };
}

function signingIn(connection: number) {
  return {
    body: JSON.stringify({ username: people[connection], password: "correct horse battery" }),
    check: (status: number, body: string) =>
      status === 200 && JSON.parse(body).user.username === people[connection],
  };
}

function signingInThere(connection: number) {
  const email = `${people[connection]}@bench.example`;
  return {
    body: JSON.stringify({ email, password: "correct horse battery" }),
    check: (status: number, body: string) => status === 200 && JSON.parse(body).user.email === email,
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
