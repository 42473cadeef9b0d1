import type { Socket } from "node:net";
import pg from "pg";
import { randomBytes } from "../primitives/random.ts";
import type { Listener } from "./database.ts";
import { postgresError } from "./postgres-errors.ts";
import type { PostgresPool } from "./postgres-pool.ts";

const CONNECT_MS = 5_000;
const AGAIN_MS = 1_000;
const END_MS = 500;

interface Options {
  readonly connectionString: string;
  readonly pool: PostgresPool;
  readonly channel: string;
  /** Something was changed, or may have been while nobody listened. */
  onWord(): void;
  onLost(error: Error): void;
}

/**
 * Hears what other processes say on a channel (NOTIFY), over a connection of its own, which is made again when it is
 * lost. Whether words arrive is not believed but tried: a pooler in between may take LISTEN and hand nothing on. So
 * we say something ourselves, by another connection, and listen for it.
 */
export function listenOnPostgres({ connectionString, pool, channel, onWord, onLost }: Options): Listener {
  const ownName = randomBytes(8).toString("hex");
  let client: pg.Client | undefined;
  let heard = false;
  let stopped = false;
  let isTrying = false;
  let timer: NodeJS.Timeout | undefined;

  function lost(which: pg.Client, error: Error | undefined): void {
    if (client !== which) return;
    client = undefined;
    heard = false;
    which.end().catch(() => {});
    if (stopped) return;
    if (error !== undefined) onLost(postgresError(error, connectionString));
    timer = setTimeout(() => void connect(), AGAIN_MS);
    timer.unref();
  }

  async function connect(): Promise<void> {
    const own = new pg.Client({
      connectionString,
      application_name: "keyturn listener",
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
    });
    client = own;
    own.on("error", (error) => lost(own, error));
    own.on("end", () => lost(own, undefined));
    let schema: string | undefined;
    own.on("notification", ({ payload }) => {
      if (payload === ownName) heard = true;
      else if (payload === schema) onWord();
    });
    try {
      await own.connect();
      await own.query(`LISTEN ${channel}`);
      const { rows } = await own.query("SELECT current_schema() AS schema");
      schema = rows[0]?.schema;
      // A process that has nothing else to do may end.
      socketOf(own).unref();
      if (stopped) return;
      onWord();
      tryIt();
    } catch (error) {
      lost(own, error as Error);
    }
  }

  function tryIt(): void {
    heard = false;
    if (isTrying) return;
    isTrying = true;
    const word = { text: "SELECT pg_notify($1, $2)", values: [channel, ownName] };
    pool
      .use((connection) => connection.pipeline([word]))
      // The database is away: the connection here is then lost as well, and made again.
      .catch(() => {})
      .finally(() => {
        isTrying = false;
      });
  }

  void connect();
  return {
    hears: () => heard,
    doubt: tryIt,
    async stop() {
      stopped = true;
      heard = false;
      clearTimeout(timer);
      if (client === undefined) return;
      const socket = socketOf(client);
      socket.ref();
      // A server that does not answer must not hold up the end of this process.
      const late = setTimeout(() => socket.destroy(), END_MS);
      await client.end().catch(() => {});
      clearTimeout(late);
    },
  };
}

function socketOf(client: pg.Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}
