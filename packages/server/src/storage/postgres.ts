import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../primitives/clock.ts";
import { randomBytes } from "../primitives/random.ts";
import { type Database, DatabaseUnavailable, type Listener, type Row, type Statement } from "./database.ts";
import { startPostgresClock } from "./postgres-clock.ts";
import { TransactionConflict } from "./postgres-errors.ts";
import { listenOnPostgres } from "./postgres-listener.ts";
import {
  createPostgresPool,
  type PostgresAddress,
  type PostgresConnection,
  type PostgresPool,
} from "./postgres-pool.ts";
import { fold } from "./statement-set.ts";
import { assertReads, parametersOf } from "./statement-text.ts";
import { followCallback } from "./transaction-callback.ts";

const CONNECTIONS_MAX = 10;
/** How often a transaction runs again after it collided with another. */
const CONFLICT_RETRIES_MAX = 5;
const CONFLICT_WAIT_MS = 5;

/**
 * A set is changed row by row in the order in which it is given, so that two nodes which lock the same rows never wait
 * for each other in a ring: other plans than that one are out of the question.
 */
const BEGIN_WITH_SETS = "BEGIN; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/**
 * A database on a PostgreSQL server, shared by any number of nodes.
 * @throws {DatabaseUnavailable} with one sentence that says what to do, without the password
 */
export async function openPostgres(options: {
  url: string;
  clock: Clock | undefined;
  onLost(error: Error): void;
}): Promise<Database> {
  const address = addressFrom(options.url);
  const pool = createPostgresPool(address, options.onLost);
  try {
    const own = options.clock === undefined ? await startPostgresClock(pool) : undefined;
    if (own === undefined) await pool.use((connection) => connection.pipeline(["SELECT 1"]));
    return databaseOf({
      pool,
      clock: options.clock ?? (own as Clock),
      stop: () => own?.stop(),
      listen: (channel, onWord) =>
        listenOnPostgres({ ...address, pool, channel, onWord, onLost: options.onLost }),
    });
  } catch (error) {
    await pool.end();
    throw error;
  }
}

interface Parts {
  pool: PostgresPool;
  clock: Clock;
  stop(): void;
  listen: Database["listen"];
}

function databaseOf({ pool, clock, stop, listen }: Parts): Database {
  const listeners = new Set<Listener>();
  let closed: Promise<void> | undefined;

  function use<T>(work: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    if (closed !== undefined) return Promise.reject(new DatabaseUnavailable("The database is closed"));
    return pool.use(work);
  }

  async function each<R>(statements: readonly Statement[]): Promise<R[][]> {
    for (const statement of statements) assertReads(statement.text);
    if (statements.length === 0) return [];
    const { queries, unfold } = fold(statements);
    const answers = await use((connection) => connection.pipeline(queries));
    return unfold(answers).map(({ rows }) => rows as R[]);
  }

  return {
    engine: "postgres",
    clock,
    each,
    all: async <R = Row>(statement: Statement) => (await each<R>([statement]))[0] ?? [],
    one: async <R = Row>(statement: Statement) => (await each<R>([statement]))[0]?.[0],
    batch: (statements) =>
      retrying(() =>
        use(async (connection) => {
          if (statements.length === 0) return [];
          const { queries, changesSets, unfold } = fold(statements);
          // Every statement has its own Sync. After one that failed the others fail too, and COMMIT rolls back.
          const answers = await connection.pipeline([
            changesSets ? BEGIN_WITH_SETS : "BEGIN",
            ...queries,
            "COMMIT",
          ]);
          return unfold(answers.slice(1, -1));
        }),
      ),
    transaction: (work) => retrying(() => use((connection) => runTransaction(connection, work))),
    listen(channel, onWord) {
      const listener = listen(channel, onWord);
      listeners.add(listener);
      return listener;
    },
    close() {
      closed ??= (async () => {
        stop();
        await Promise.all([...listeners].map((listener) => listener.stop()));
        await pool.end();
      })();
      return closed;
    },
  };
}

async function runTransaction<T>(
  connection: PostgresConnection,
  work: Parameters<Database["transaction"]>[0],
): Promise<T> {
  await connection.pipeline(["BEGIN"]);
  let patient = false;
  try {
    const value = await followCallback(async (statement) => {
      // A migration lifts the bound on the time of its statements, and so ours.
      patient ||= statement.text.startsWith("SET LOCAL statement_timeout");
      const query = { text: statement.text, values: parametersOf(statement) };
      const [result] = await connection.pipeline([query], { patient });
      return result ?? { rows: [], changes: 0 };
    }, work);
    await connection.pipeline(["COMMIT"], { patient });
    return value as T;
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable) || error instanceof TransactionConflict)
      await connection.pipeline(["ROLLBACK"]);
    throw error;
  }
}

async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let retries = 0; ; retries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransactionConflict) || retries >= CONFLICT_RETRIES_MAX) throw error;
      await wait((randomBytes(1).readUInt8() / 255) * CONFLICT_WAIT_MS * 2 ** retries);
    }
  }
}

function addressFrom(text: string): PostgresAddress {
  if (!URL.canParse(text))
    throw new DatabaseUnavailable(
      "The database address is not a URL: it takes postgres://USER:PASSWORD@HOST/NAME",
    );
  const url = new URL(text);
  const schema = url.searchParams.get("schema") ?? undefined;
  if (schema !== undefined && !/^[a-z_][a-z0-9_]{0,62}$/.test(schema)) {
    throw new DatabaseUnavailable(
      "?schema= in the database address takes up to 63 lower-case letters, digits and underscores",
    );
  }
  url.searchParams.delete("schema");
  if (schema !== undefined) {
    const options = url.searchParams.get("options") ?? "";
    url.searchParams.set("options", `${options} -c search_path=${schema}`.trim());
  }
  return { connectionString: url.href, connectionsMax: CONNECTIONS_MAX };
}
