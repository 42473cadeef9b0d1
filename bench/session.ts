import { type Finding, ratios, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, type Target, warmUp } from "./load.ts";
import { type Server, seed, startKeyturn, startPeer } from "./processes.ts";

interface Contender {
  start(sessions: number): Promise<Server>;
  readonly path: string;
  /** Of its reply, that it is the session's own. Default: a session with a new access token. */
  readonly check?: (body: string) => boolean;
  /** Whether it looks at a cookie. */
  readonly reads: boolean;
  readonly target?: number;
}

/** better-auth's reply: the session and its user; it makes no access token. */
function sessionIn(body: string): boolean {
  const { session, user } = JSON.parse(body);
  return typeof session?.id === "string" && session.userId === user?.id;
}

const betterAuth = (kind: string): Omit<Contender, "target"> => ({
  start: (sessions) => startPeer("./peers/better-auth.ts", sessions, [kind]),
  path: "/api/auth/get-session",
  check: sessionIn,
  reads: true,
});

type Name = keyof typeof peers;
const peers = {
  "a bare Hono route": {
    start: () => startPeer("./peers/bare-hono.ts", 0),
    path: "/session",
    reads: false,
    target: 0.4,
  },
  "better-auth": { ...betterAuth("cookies"), target: 15 },
  "better-auth, its cookie cache": betterAuth("cookie-cache"),
} as const satisfies Record<string, Contender>;
const names = Object.keys(peers) as Name[];

/** GET /session by cookie, thirty-two in flight over a thousand browsers, side by side, in turn. */
export async function benchSession({ rounds = 5, seconds = 5, connections = 32, sessions = 1000 } = {}) {
  const seeded = seed(sessions, ["bench"], "browser");
  const contenders = new Map<Name | "Keyturn", Contender>([
    ["Keyturn", { start: () => startKeyturn(seeded), path: "/session", reads: true }],
    ...(Object.entries(peers) as [Name, Contender][]),
  ]);
  const runs = new Map([...contenders.keys()].map((name) => [name, [] as LoadResult[]]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, { start, path, check = tokenIn, reads }] of contenders) {
      const server = await start(sessions);
      const next = reads ? reading(server.tokens, { connections, check }) : asking;
      const target = { port: server.port, path, method: "GET", connections, next } as const;
      await warmUp(target);
      runs.get(name)?.push(await load({ ...target, seconds }));
      await server.stop();
    }
  }
  seeded.remove();
  const rates = (name: Name | "Keyturn") => (runs.get(name) ?? []).map((run) => run.perSecond);
  const own = spread(rates("Keyturn"));
  const against = (name: Name) => spread(ratios(rates("Keyturn"), rates(name)));
  const findings = (Object.entries(peers) as [Name, Contender][]).map(([name, { target }]): Finding => {
    const ratio = against(name);
    return {
      what: `GET /session, against ${name}`,
      target: target === undefined ? "none" : `≥ ${rounded(target)}`,
      measured: `${shown(ratio)}, ${rounded(own.median, 0)} a second (${rounded(own.min, 0)} to ${rounded(own.max, 0)})`,
      reached: ratio.median >= (target ?? 0),
    };
  });
  const all = [...runs.values()].flat();
  return {
    findings,
    connections,
    sessions,
    rounds,
    seconds,
    failures: all.reduce((sum, run) => sum + run.failures, 0),
    ratios: Object.fromEntries(names.map((name) => [name, against(name)])),
    runs: Object.fromEntries(
      [...runs].map(([name, its]) => [
        name,
        {
          perSecond: spread(its.map((run) => run.perSecond)),
          p50: spread(its.map((run) => run.p50)),
          p99: spread(its.map((run) => run.p99)),
        },
      ]),
    ),
  };
}

/** Every connection walks over its share of the browsers. Every reply is checked: the session's own, with a token. */
function reading(
  cookies: readonly string[],
  { connections, check }: { connections: number; check(body: string): boolean },
): Target["next"] {
  const positions = Array.from({ length: connections }, (_, index) => index);
  return (connection) => {
    const at = positions[connection] ?? 0;
    positions[connection] = at + connections < cookies.length ? at + connections : connection;
    const given = cookies[at] ?? "";
    const cookie = given.includes("=") ? given : `keyturn=${given}`;
    const fields = `Cookie: ${cookie}\r\nSec-Fetch-Site: same-origin\r\n`;
    return { body: "", fields, check: (status, body) => status === 200 && check(body) };
  };
}

const asking: Target["next"] = () => ({ body: "", check: (status, body) => status === 200 && tokenIn(body) });

function tokenIn(body: string): boolean {
  const { accessToken, expiresIn } = JSON.parse(body);
  return typeof accessToken === "string" && accessToken.split(".").length === 3 && expiresIn > 0;
}
