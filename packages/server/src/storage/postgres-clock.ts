import type { Clock } from "../primitives/clock.ts";
import type { PostgresPool } from "./postgres-pool.ts";

const SAMPLES = 5;
const MEASURE_AGAIN_MS = 30_000;

/**
 * The time of the database server, without asking it at every call: the distance between its clock and this
 * process's steady one is measured now and then. All nodes share one time so, however wrong their own clocks are.
 */
export async function startPostgresClock(pool: PostgresPool): Promise<Clock & { stop(): void }> {
  let distance = await measure(pool);
  const timer = setInterval(() => {
    measure(pool).then(
      (measured) => {
        distance = measured;
      },
      // The server is away: the steady clock goes on by itself until it is back.
      () => {},
    );
  }, MEASURE_AGAIN_MS);
  timer.unref();
  return {
    now: () => Math.floor(performance.now() + distance),
    stop: () => clearInterval(timer),
  };
}

/** Milliseconds from the steady clock to the server's; of several trips the fastest one knows it best. */
async function measure(pool: PostgresPool): Promise<number> {
  return pool.use(async (connection) => {
    let best = { trip: Number.POSITIVE_INFINITY, distance: 0 };
    for (let i = 0; i < SAMPLES; i++) {
      const before = performance.now();
      const [answer] = await connection.pipeline([
        {
          text: "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS microseconds",
          values: [],
        },
      ]);
      const after = performance.now();
      const trip = after - before;
      const server = Number(answer?.rows[0]?.microseconds) / 1000;
      if (trip < best.trip) best = { trip, distance: server - (before + after) / 2 };
    }
    return best.distance;
  });
}
