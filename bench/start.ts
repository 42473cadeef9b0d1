import { type Finding, median, rounded, spread } from "./figures.ts";
import { seed, startKeyturn } from "./processes.ts";

/** From the start of the process to its first 200, with a database that exists. */
export async function benchStart({ rounds = 11 } = {}) {
  const seeded = seed(1000, ["bench"]);
  const times: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const server = await startKeyturn(seeded);
    // The first start on a machine fills the cache of compiled code.
    if (round > 0) times.push(server.startMilliseconds ?? 0);
    await server.stop();
  }
  seeded.remove();
  const findings: Finding[] = [
    {
      what: "start to the first 200, database exists",
      target: "< 400 ms",
      measured: `${rounded(median(times), 0)} ms`,
      reached: median(times) < 400,
    },
  ];
  return { findings, rounds, milliseconds: spread(times) };
}
