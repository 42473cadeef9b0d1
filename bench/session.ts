import { type Finding, rounded, shown, spread } from "./figures.ts";
import { type LoadResult, load, type Target } from "./load.ts";
import { seed, startKeyturn, startPeer } from "./processes.ts";

/** GET /session by cookie, thirty-two in flight over a thousand browsers, against a bare Hono route in turn. */
export async function benchSession({ rounds = 7, seconds = 5, connections = 32, sessions = 1000 } = {}) {
  const runs: Record<"keyturn" | "bare Hono", LoadResult[]> = { keyturn: [], "bare Hono": [] };
  const seeded = seed(sessions, ["bench"], "browser");
  for (let round = 0; round < rounds; round++) {
    const server = await startKeyturn(seeded);
    runs.keyturn.push(await measure(server.port, reading(server.tokens, connections)));
    await server.stop();
    const peer = await startPeer("./peers/bare-hono.ts", 0);
    runs["bare Hono"].push(await measure(peer.port, asking));
    await peer.stop();
  }
  seeded.remove();

  async function measure(port: number, next: Target["next"]): Promise<LoadResult> {
    const target = { port, path: "/session", method: "GET", connections, next } as const;
    await load({ ...target, seconds: 3 });
    return load({ ...target, seconds });
  }

  const ratios = spread(
    runs.keyturn.map(({ perSecond }, round) => perSecond / (runs["bare Hono"][round]?.perSecond ?? 1)),
  );
  const rates = spread(runs.keyturn.map(({ perSecond }) => perSecond));
  const failures = [...runs.keyturn, ...runs["bare Hono"]].reduce((sum, run) => sum + run.failures, 0);
  const findings: Finding[] = [
    {
      what: "GET /session, against a bare Hono route",
      target: "≥ 0.40",
      measured: `${shown(ratios)}, ${rounded(rates.median, 0)} a second (${rounded(rates.min, 0)} to ${rounded(rates.max, 0)})`,
      reached: ratios.median >= 0.4,
    },
  ];
  const summary = (name: keyof typeof runs) => ({
    perSecond: spread(runs[name].map((run) => run.perSecond)),
    p50: spread(runs[name].map((run) => run.p50)),
    p99: spread(runs[name].map((run) => run.p99)),
  });
  return {
    findings,
    connections,
    sessions,
    rounds,
    seconds,
    failures,
    ratios,
    runs: { keyturn: summary("keyturn"), "bare Hono": summary("bare Hono") },
  };
}

/** Every connection walks over its share of the browsers. Every reply is checked: the session's own, with a token. */
function reading(cookies: readonly string[], connections: number): Target["next"] {
  const positions = Array.from({ length: connections }, (_, index) => index);
  return (connection) => {
    const at = positions[connection] ?? 0;
    positions[connection] = at + connections < cookies.length ? at + connections : connection;
    const fields = `Cookie: keyturn=${cookies[at]}\r\nSec-Fetch-Site: same-origin\r\n`;
    return { body: "", fields, check: (status, body) => status === 200 && tokenIn(body) };
  };
}

const asking: Target["next"] = () => ({ body: "", check: (status, body) => status === 200 && tokenIn(body) });

function tokenIn(body: string): boolean {
  const { accessToken, expiresIn } = JSON.parse(body);
  return typeof accessToken === "string" && accessToken.split(".").length === 3 && expiresIn > 0;
}
