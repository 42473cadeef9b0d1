import { type Clock, steadyClock } from "../primitives/clock.ts";
import { type Database, DatabaseUnavailable } from "./database.ts";
import { clockMemory } from "./sqlite-clock.ts";

/** Where the storage room says what an operator should know. A pino logger fits. */
export interface StorageLog {
  warn(details: object, message: string): void;
}

export interface OpenOptions {
  /** `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`, with `?schema=NAME` and `?sslmode=…` if wanted. */
  url: string;
  /** Takes the place of the database's clock. For tests. */
  clock?: Clock;
  log?: StorageLog;
}

/**
 * Opens the database that an address names. It does not migrate it.
 * @throws {DatabaseUnavailable} whose message is one sentence that says what to do, without the password
 */
export async function openDatabase(options: OpenOptions): Promise<Database> {
  const { url, clock, log } = options;
  if (url.startsWith("sqlite:")) {
    const path = url.slice("sqlite:".length);
    if (path === "" || path.startsWith(":") || path.startsWith("file:")) {
      throw new DatabaseUnavailable("The database address must name a file, as in sqlite:./data/keyturn.db");
    }
    const { openSqlite } = await import("./sqlite.ts");
    return openSqlite({
      path,
      clock: clock ?? steadyClock({ memory: clockMemory(path) }),
      onDeath: (error) => log?.warn({ err: error }, "The SQLite writing thread ended; it is started again"),
    });
  }
  if (/^postgres(ql)?:\/\//.test(url)) {
    const { openPostgres } = await import("./postgres.ts");
    return openPostgres({
      url,
      clock,
      onLost: (error) =>
        log?.warn({ err: error }, "A PostgreSQL connection was lost; the next request makes another"),
    });
  }
  // The address may hold a password: it is not repeated.
  throw new DatabaseUnavailable("The database address must begin with sqlite: or postgres://");
}
