import { DatabasePaused, DatabaseUnavailable } from "./database.ts";
import { PAUSED_SQLSTATE } from "./pause-word.ts";
import { StatementFailed, type StatementFailure } from "./statement-failed.ts";

/** The transaction lost against another one and is to be run again from the start. */
export class TransactionConflict extends DatabaseUnavailable {}

/** A lock was not free within the time that the transaction waits for one. Nothing was changed. */
export class LockNotFree extends DatabaseUnavailable {}

/** SQLSTATEs (PostgreSQL documentation, appendix A): a deadlock, a serialization failure. */
const CONFLICTS = new Set(["40001", "40P01"]);

const CONSTRAINTS = new Map<string, StatementFailure>([
  ["23502", "not_null"],
  ["23503", "foreign_key"],
  ["23505", "unique"],
  ["23514", "check"],
]);

/** Whole classes that mean the server could not do its part: connection, resources, operator, system, internal. */
const UNAVAILABLE_CLASSES = new Set(["08", "53", "57", "58", "XX"]);

const UNAVAILABLE = new Map([
  ["28000", "it refuses this user: check the user and the host rules (pg_hba.conf)"],
  ["28P01", "it refuses the password: check the database address"],
  ["3D000", "the database does not exist: make it (CREATE DATABASE), or correct the name in the address"],
  ["3F000", "the schema does not exist: run keyturn migrate, or correct ?schema= in the address"],
  ["25006", "the server takes no writes (a standby, or read-only): give the address of the primary"],
  ["25P03", "the transaction stood idle for too long"],
  ["25P04", "the transaction took too long"],
  ["26000", "it forgot a prepared statement; ask again"],
  [
    "42P05",
    "a pooler there gives connections to others between transactions: have it keep them (pool_mode = session), or give the address of PostgreSQL itself",
  ],
  ["42501", "this user lacks a right there: make it the owner of the tables and the schema"],
  ["53300", "it has no connection left: raise max_connections, or lower the connections of each node"],
  ["53100", "its disk is full: make room, nothing else is needed"],
  ["57014", "a statement took longer than it may"],
  ["57P01", "it ended the connection (a restart?); ask again"],
  ["57P03", "it is starting or stopping; ask again"],
]);

const NETWORK = new Map([
  ["ECONNREFUSED", "nothing answers there: is it running, and is the port right?"],
  ["ENOTFOUND", "the host name is unknown"],
  ["EAI_AGAIN", "the host name cannot be looked up now"],
  ["ETIMEDOUT", "it does not answer"],
  ["EHOSTUNREACH", "there is no way to that host"],
  ["ECONNRESET", "the connection was lost"],
]);

/**
 * What pg threw, as one of our two errors. PostgreSQL puts values of rows into `detail`, and into the message of a
 * data exception: neither is kept.
 */
export function postgresError(error: unknown, address: string): Error {
  if (error instanceof TypeError) return error;
  const { code, message, errors } = error as { code?: string; message: string; errors?: { code?: string }[] };
  const state =
    /^[0-9A-Z]{5}$/.test(code ?? "") && (error as { severity?: string }).severity
      ? (code as string)
      : undefined;
  if (state === undefined) {
    if (error instanceof RangeError) return new StatementFailed(message, "other");
    const reason = NETWORK.get(code ?? errors?.[0]?.code ?? "") ?? networkReason(message);
    return new DatabaseUnavailable(`PostgreSQL at ${placeOf(address)}: ${reason}`);
  }
  if (CONFLICTS.has(state))
    return new TransactionConflict("PostgreSQL: too many transactions collide on the same rows; ask again");
  if (state === "55P03")
    return new LockNotFree(
      `PostgreSQL at ${placeOf(address)}: a lock was not free in time (55P03); ask again`,
    );
  if (state === PAUSED_SQLSTATE) return new DatabasePaused();
  const constraint = CONSTRAINTS.get(state);
  if (constraint !== undefined) return new StatementFailed(message, constraint);
  const stale = state === "0A000" && message.includes("cached plan");
  const reason = stale ? "its tables have changed; ask again" : UNAVAILABLE.get(state);
  if (reason !== undefined || UNAVAILABLE_CLASSES.has(state.slice(0, 2))) {
    return new DatabaseUnavailable(`PostgreSQL at ${placeOf(address)}: ${reason ?? message} (${state})`);
  }
  const kept = state.startsWith("22") ? "a value does not fit its type or column" : message;
  return new StatementFailed(`PostgreSQL refuses a statement: ${kept} (${state})`, "other");
}

function networkReason(message: string): string {
  if (/timeout/i.test(message)) return "no connection came free in time, or it does not answer";
  if (/SSL|TLS|certificate/i.test(message)) return `no secure connection: ${message}`;
  return "the connection was lost";
}

/** Host, port and name of the database, without user and password. */
function placeOf(address: string): string {
  if (!URL.canParse(address)) return "the given address";
  const { host, pathname } = new URL(address);
  return `${host}${pathname}`;
}
