import { type Finding, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, type Target } from "./load.ts";
import { type Server, seed, startKeyturn, startPeer } from "./processes.ts";

const names = ["Keyturn", "bare Hono", "better-auth", "better-auth, its cookie cache"] as const;
type Name = (typeof names)[number];

/**
 * Who is signed in, asked by cookie: thirty-two in flight over a thousand browsers, in turn. A bare Hono route has no
 * session to read; better-auth reads its own, and with its cookie cache believes a signed copy for five minutes.
 */
export async function benchSession({ rounds = 5, seconds = 4, connections = 32, sessions = 1000 } = {}) {
  const runs = Object.fromEntries(names.map((name) => [name, [] as LoadResult[]])) as Record<
    Name,
    LoadResult[]
  >;
  const seeded = seed(sessions, ["bench"], "browser");
  const own = (cookie: string) => `keyturn=${cookie}`;
  const asItIs = (cookie: string) => cookie;
  const starting: Record<Name, () => Promise<[server: Server, path: string, next: Target["next"]]>> = {
    Keyturn: async () => {
      const server = await startKeyturn(seeded);
      return [server, "/session", reading(server.tokens, { connections, cookieOf: own, isGood: hasToken })];
    },
    "bare Hono": async () => [await startPeer("./peers/bare-hono.ts", 0), "/session", asking],
    "better-auth": () => betterAuth("cookies"),
    "better-auth, its cookie cache": () => betterAuth("cookie-cache"),
  };

  async function betterAuth(kind: string): Promise<[Server, string, Target["next"]]> {
    const server = await startPeer("./peers/better-auth.ts", sessions, [kind]);
    const next = reading(server.tokens, { connections, cookieOf: asItIs, isGood: hasUser });
    return [server, "/api/auth/get-session", next];
  }

  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const [server, path, next] = await starting[name]();
      const target = { port: server.port, path, method: "GET", connections, next } as const;
      await load({ ...target, seconds: 3 });
      runs[name].push(await load({ ...target, seconds }));
      await server.stop();
    }
  }
  seeded.remove();
  const failures = names.flatMap((name) => runs[name]).reduce((sum, run) => sum + run.failures, 0);
  if (failures > 0) throw new Error(`${failures} answers were no session`);
  const rates = (name: Name) => runs[name].map(({ perSecond }) => perSecond);
  const against = (name: Name) =>
    spread(rates("Keyturn").map((rate, round) => rate / (rates(name)[round] ?? 1)));
  const { min, median, max } = spread(rates("Keyturn"));
  const finding = (name: Name, least: number | undefined): Finding => ({
    what: `GET /session, against ${name}`,
    target: least === undefined ? "none" : `≥ ${least.toFixed(2)}`,
    measured: shown(against(name)),
    reached: least === undefined || against(name).median >= least,
  });
  const findings: Finding[] = [
    finding("bare Hono", 0.4),
    finding("better-auth", 15),
    finding("better-auth, its cookie cache", undefined),
    {
      what: "GET /session, a second",
      target: "none",
      measured: `${rounded(median, 0)} (${rounded(min, 0)} to ${rounded(max, 0)})`,
      reached: true,
    },
  ];
  const summary = (name: Name) => ({
    perSecond: spread(rates(name)),
    p50: spread(runs[name].map((run) => run.p50)),
    p99: spread(runs[name].map((run) => run.p99)),
  });
  return {
    findings,
    connections,
    sessions,
    rounds,
    seconds,
    ratios: Object.fromEntries(names.slice(1).map((name) => [name, against(name)])),
    runs: Object.fromEntries(names.map((name) => [name, summary(name)])),
  };
}

interface Reading {
  readonly connections: number;
  cookieOf(token: string): string;
  isGood(body: string): boolean;
}

/** Every connection walks over its share of the browsers. Every reply is checked: somebody's session. */
function reading(tokens: readonly string[], { connections, cookieOf, isGood }: Reading): Target["next"] {
  const positions = Array.from({ length: connections }, (_, index) => index);
  return (connection) => {
    const at = positions[connection] ?? 0;
    positions[connection] = at + connections < tokens.length ? at + connections : connection;
    const fields = `Cookie: ${cookieOf(tokens[at] ?? "")}\r\nSec-Fetch-Site: same-origin\r\n`;
    return { body: "", fields, check: (status, body) => status === 200 && isGood(body) };
  };
}

const asking: Target["next"] = () => ({
  body: "",
  check: (status, body) => status === 200 && hasToken(body),
});

function hasToken(body: string): boolean {
  const { accessToken, expiresIn } = JSON.parse(body);
  return typeof accessToken === "string" && accessToken.split(".").length === 3 && expiresIn > 0;
}

const hasUser = (body: string): boolean => typeof JSON.parse(body)?.user?.id === "string";
