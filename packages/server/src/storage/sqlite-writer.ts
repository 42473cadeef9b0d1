import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { Result } from "./database.ts";
import { createCheckpoints } from "./sqlite-checkpoints.ts";
import { openSqliteConnection, type SqliteConnection, sqliteFailure } from "./sqlite-connection.ts";
import { type Failure, type Reply, type Request, replyOf } from "./sqlite-protocol.ts";
import { createStatementDecoder, type TextAndParameters } from "./sqlite-statements.ts";

/**
 * The thread that owns the write connection, so that a flush to disk never stops the event loop.
 *
 * Batches that arrive while one is being flushed share the next transaction and its flush (group commit). Each
 * stands behind a savepoint: one that fails is undone alone. Replies leave after the commit.
 */

const BATCHES_PER_COMMIT_MAX = 64;

interface Batch {
  id: number;
  statements: TextAndParameters[];
}

const port = parentPort as MessagePort;
const { path } = workerData as { path: string };
const checkpoints = createCheckpoints(path);
const decode = createStatementDecoder();
let connection: SqliteConnection | undefined;

try {
  connection = openSqliteConnection(path, { readOnly: false });
  port.on("message", onMessage);
  port.postMessage({ opened: true });
} catch (error) {
  const failure = sqliteFailure(error, path);
  port.postMessage({ refused: failure.kind === "paused" ? "it is paused" : failure.message });
}

function onMessage(first: Request): void {
  let request: Request | undefined = first;
  while (request !== undefined) {
    if (request.kind === "batch") {
      const { batches, next } = collectBatches({ id: request.id, statements: decode(request.statements) });
      port.postMessage(runBatches(batches));
      lookAtLog();
      request = next;
    } else {
      port.postMessage([runOther(request)]);
      if (request.kind === "commit") lookAtLog();
      // Nothing is listened to any more: the thread ends by itself, after its last message has left.
      if (request.kind === "close") port.off("message", onMessage);
      request = receive();
    }
  }
}

// After the replies have left: whoever waits for this commit does not wait for the log.
function lookAtLog(): void {
  if (connection === undefined || connection.inTransaction) return;
  try {
    checkpoints.afterCommit(connection);
  } catch (error) {
    afterFailure(error);
  }
}

function receive(): Request | undefined {
  return (receiveMessageOnPort(port) as { message: Request } | undefined)?.message;
}

function collectBatches(first: Batch): { batches: Batch[]; next: Request | undefined } {
  const batches = [first];
  let next: Request | undefined;
  while (batches.length < BATCHES_PER_COMMIT_MAX) {
    next = receive();
    if (next === undefined || next.kind !== "batch") break;
    batches.push({ id: next.id, statements: decode(next.statements) });
    next = undefined;
  }
  return { batches, next };
}

function runBatches(batches: Batch[]): Reply[] {
  const replies: Reply[] = [];
  try {
    const db = opened();
    db.exec("BEGIN IMMEDIATE");
    for (const batch of batches) replies.push(runBatch(db, batch, batches.length > 1));
    if (db.inTransaction) db.exec("COMMIT");
    return replies;
  } catch (error) {
    const failure = afterFailure(error);
    return batches.map(({ id }, index) =>
      replies[index]?.failure ? (replies[index] as Reply) : { id, failure },
    );
  }
}

/** @throws when the failure takes the whole transaction with it */
function runBatch(db: SqliteConnection, batch: Batch, shared: boolean): Reply {
  if (shared) db.exec("SAVEPOINT batch");
  try {
    const reply = replyOf(batch.id, runStatements(db, batch.statements));
    if (shared) db.exec("RELEASE batch");
    return reply;
  } catch (error) {
    const failure = sqliteFailure(error, path);
    // A write that a pause refuses is the failure of one batch too: the mover's own may share the transaction with it.
    if (!shared || failure.kind === "unavailable" || !db.inTransaction) throw error;
    db.exec("ROLLBACK TO batch; RELEASE batch");
    return { id: batch.id, failure };
  }
}

function runOther(request: Exclude<Request, { kind: "batch" }>): Reply {
  const { id, kind } = request;
  try {
    if (kind === "run") {
      // Decoded even when it will not run: a later message may need a text that came with this one.
      const statements = decode(request.statements);
      return replyOf(id, runStatements(inTransaction(), statements));
    }
    if (kind === "begin") opened().exec("BEGIN IMMEDIATE");
    if (kind === "commit") inTransaction().exec("COMMIT");
    if (kind === "rollback" && connection?.inTransaction) connection.exec("ROLLBACK");
    if (kind === "close") {
      checkpoints.end();
      connection?.close();
      connection = undefined;
    }
    return { id };
  } catch (error) {
    return { id, failure: afterFailure(error) };
  }
}

function opened(): SqliteConnection {
  connection ??= openSqliteConnection(path, { readOnly: false });
  return connection;
}

// Statements flow behind each other. One that arrives after its transaction was rolled back must not run alone.
function inTransaction(): SqliteConnection {
  if (connection?.inTransaction) return connection;
  throw new RangeError("The transaction was rolled back before this statement");
}

/** Rolls back what is open, and drops a connection whose file failed: the next request opens it afresh. */
function afterFailure(error: unknown): Failure {
  const failure = sqliteFailure(error, path);
  try {
    if (connection?.inTransaction) connection.exec("ROLLBACK");
    if (failure.kind === "unavailable") {
      connection?.close();
      connection = undefined;
    }
  } catch {
    connection = undefined;
  }
  return failure;
}

function runStatements(db: SqliteConnection, statements: readonly TextAndParameters[]): Result[] {
  return statements.map(({ text, parameters }) => db.run(text, parameters));
}
