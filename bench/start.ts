import { type Finding, median, rounded, spread } from "./figures.ts";
import { type Server, seed, startKeyturn, startPeer } from "./processes.ts";

/**
 * From the start of the process to its first 200 (of peers: until they listen, with one session), and what it then takes
 * of memory. The peers make their database anew, in memory or in a file; Keyturn has one of a thousand sessions.
 */
export async function benchStart({ rounds = 7 } = {}) {
  const seeded = seed(1000, ["bench"]);
  const starting: Record<string, () => Promise<Server>> = {
    Keyturn: () => startKeyturn(seeded),
    "oidc-provider in memory": () => startPeer("./peers/oidc-provider.ts", 1, ["memory"]),
    "better-auth on SQLite": () => startPeer("./peers/better-auth.ts", 1, ["cookies"]),
    "the tutorial's app": () => startPeer("./peers/tutorial.ts", 1),
  };
  const none = () => Object.fromEntries(Object.keys(starting).map((name) => [name, [] as number[]]));
  const [times, memory] = [none(), none()];
  for (let round = 0; round <= rounds; round++) {
    for (const [name, start] of Object.entries(starting)) {
      const server = await start();
      await new Promise((resolve) => setTimeout(resolve, 500));
      // The first start on a machine fills the cache of compiled code.
      if (round > 0) {
        times[name]?.push(server.startMilliseconds ?? 0);
        memory[name]?.push(server.memory().now);
      }
      await server.stop();
    }
  }
  seeded.remove();
  const own = median(times.Keyturn ?? []);
  const others = (of: Record<string, number[]>, unit: string) =>
    Object.entries(of)
      .filter(([name]) => name !== "Keyturn")
      .map(([name, values]) => `${name} ${rounded(median(values), 0)} ${unit}`)
      .join(", ");
  const findings: Finding[] = [
    {
      what: "start to the first 200, database exists",
      target: "< 400 ms",
      measured: `${rounded(own, 0)} ms (${others(times, "ms")})`,
      reached: own < 400,
    },
    {
      what: "memory after the start",
      target: "< 90 MB",
      measured: `${rounded(median(memory.Keyturn ?? []), 0)} MB (${others(memory, "MB")})`,
      reached: median(memory.Keyturn ?? []) < 90,
    },
  ];
  const all = (of: Record<string, number[]>) =>
    Object.fromEntries(Object.entries(of).map(([name, values]) => [name, spread(values)]));
  return { findings, rounds, milliseconds: all(times), megabytes: all(memory) };
}
