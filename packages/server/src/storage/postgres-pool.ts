import pg from "pg";
import { DatabaseUnavailable, type Result, type Row, type Value } from "./database.ts";
import { postgresError, TransactionConflict } from "./postgres-errors.ts";
import type { Query } from "./statement-set.ts";

/** The only file that knows pg. */

const CONNECT_MS = 5_000;
const STATEMENT_MS = 10_000;
const IDLE_IN_TRANSACTION_MS = 15_000;
/** The server cuts a statement off after STATEMENT_MS; when not even that is heard, the network is gone. */
const ANSWER_MS = 15_000;
const IDLE_CONNECTION_MS = 60_000;
/** Callers that wait for a connection; beyond that they are refused at once. */
const WAITING_MAX = 10_000;
/** Texts that the server keeps a plan for, for each connection. */
const NAMED_STATEMENTS_MAX = 300;
const NAMES_LENGTH_MAX = 8_000;

export interface PostgresAddress {
  /** As pg takes it. */
  connectionString: string;
  connectionsMax: number;
}

/** One connection, while it is ours. */
export interface PostgresConnection {
  /**
   * Sends all in one flush and waits for all answers: one trip.
   * @throws the first error, after the last answer has come
   */
  pipeline(queries: readonly (Query | string)[], options?: { patient?: boolean }): Promise<Result[]>;
}

export interface PostgresPool {
  /** Borrows a connection. One whose use failed with `DatabaseUnavailable` is thrown away. */
  use<T>(work: (connection: PostgresConnection) => Promise<T>): Promise<T>;
  end(): Promise<void>;
}

export function createPostgresPool(address: PostgresAddress, onLost: (error: Error) => void): PostgresPool {
  const pool = new pg.Pool({
    connectionString: address.connectionString,
    max: address.connectionsMax,
    pipeline: true,
    application_name: "keyturn",
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: IDLE_CONNECTION_MS,
    statement_timeout: STATEMENT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    allowExitOnIdle: true,
    types: { getTypeParser: typeParser },
    // A server whose default is "off" would acknowledge what it has not flushed. Any other choice is the operator's.
    onConnect: async (client) => {
      await client.query(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
      );
    },
  } as pg.PoolConfig);
  pool.on("error", onLost);
  const nameOf = createNames();
  let inUse = 0;
  let unused: (() => void) | undefined;

  return {
    async use(work) {
      inUse += 1;
      try {
        return await borrow(work);
      } finally {
        inUse -= 1;
        if (inUse === 0) unused?.();
      }
    },
    async end() {
      // pg lets callers that still wait for a connection run into their timeout: they come first.
      if (inUse > 0)
        await new Promise<void>((resolve) => {
          unused = resolve;
        });
      await pool.end();
    },
  };

  async function borrow<T>(work: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    if (pool.waitingCount >= WAITING_MAX)
      throw new DatabaseUnavailable("Too many requests wait for PostgreSQL; ask again");
    const client = await pool.connect().catch((error) => {
      throw postgresError(error, address.connectionString);
    });
    let broken: Error | undefined;
    const onError = (error: Error) => {
      broken = error;
    };
    client.on("error", onError);
    try {
      return await work(connectionOf(client, nameOf, address));
    } catch (error) {
      if (error instanceof DatabaseUnavailable && !(error instanceof TransactionConflict)) broken = error;
      throw error;
    } finally {
      client.off("error", onError);
      client.release(broken);
    }
  }
}

function connectionOf(
  client: pg.PoolClient,
  nameOf: (text: string) => string | undefined,
  address: PostgresAddress,
): PostgresConnection {
  return {
    async pipeline(asked, options = {}) {
      const queries = asked.map((query) => configOf(query, nameOf));
      const socket = (
        client as unknown as { connection: { stream: { cork(): void; uncork(): void; destroy(): void } } }
      ).connection.stream;
      const timer = options.patient === true ? undefined : setTimeout(() => socket.destroy(), ANSWER_MS);
      socket.cork();
      const answers = queries.map((query) => client.query<Row>(query));
      socket.uncork();
      const settled = await Promise.allSettled(answers);
      clearTimeout(timer);
      return settled.map((answer) => {
        if (answer.status === "rejected") throw postgresError(answer.reason, address.connectionString);
        const { rows, rowCount, command } = answer.value;
        return { rows, changes: command === "SELECT" ? 0 : (rowCount ?? 0) };
      });
    },
  };
}

function configOf(query: Query | string, nameOf: (text: string) => string | undefined): pg.QueryConfig {
  if (typeof query === "string") return { text: query };
  const { text } = query;
  const values = query.values as unknown[];
  const name = nameOf(text);
  return name === undefined ? { text, values } : { name, text, values };
}

/** The first few hundred texts get a name, and the server keeps their plan; later ones are planned at every use. */
function createNames(): (text: string) => string | undefined {
  const names = new Map<string, string>();
  return (text) => {
    const known = names.get(text);
    if (known !== undefined || names.size >= NAMED_STATEMENTS_MAX || text.length > NAMES_LENGTH_MAX)
      return known;
    const name = `keyturn_${names.size}`;
    names.set(text, name);
    return name;
  };
}

const BOOLEAN = 16;
const INT8 = 20;
const NUMERIC = 1700;

// For these connections only: an embedding application may use pg with types of its own.
function typeParser(oid: number, format?: "text" | "binary"): (text: string) => Value {
  if (oid === INT8 || oid === NUMERIC) return toNumber;
  if (oid === BOOLEAN) return (text) => (text === "t" ? 1 : 0);
  return pg.types.getTypeParser(oid, format as "text") as (text: string) => Value;
}

function toNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) || text.includes(".")) return number;
  throw new RangeError("PostgreSQL answered with a number outside the range that counts exactly");
}
