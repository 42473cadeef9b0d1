import { workerData } from "node:worker_threads";
import { checkpointerState, checkpointState } from "./sqlite-checkpoints.ts";
import { openSqliteConnection, type SqliteConnection } from "./sqlite-connection.ts";

/** The thread that moves the write-ahead log into the database file; see sqlite-checkpoints.ts. */
const { path, shared } = workerData as { path: string; shared: Int32Array<SharedArrayBuffer> };

/** Each pass leaves what was written meanwhile, less each time. */
const PASSES_MAX = 4;
const LEFT_BYTES_ENOUGH = 256 * 1024;
const SLEEP_MS = 1_000;

let connection: SqliteConnection | undefined;

while (Atomics.load(shared, 0) !== checkpointState.ended) {
  if (Atomics.load(shared, 0) === checkpointState.asked) {
    move();
    Atomics.compareExchange(shared, 0, checkpointState.asked, checkpointState.done);
  }
  sleepUntilAsked();
}
try {
  connection?.close();
} finally {
  Atomics.store(shared, 1, checkpointerState.closed);
  Atomics.notify(shared, 1);
}

/** Until the word changes. Not for ever: a sleeping thread cannot be ended from outside at every moment. */
function sleepUntilAsked(): void {
  const seen = Atomics.load(shared, 0);
  if (seen !== checkpointState.asked && seen !== checkpointState.ended)
    Atomics.wait(shared, 0, seen, SLEEP_MS);
}

function move(): void {
  try {
    connection ??= openSqliteConnection(path, { readOnly: false, cacheKib: 256 });
    for (let pass = 0; pass < PASSES_MAX; pass++) {
      connection.exec("PRAGMA wal_checkpoint(PASSIVE)");
      if (connection.logBytes().waiting < LEFT_BYTES_ENOUGH) return;
    }
  } catch {
    // The writer meets the same full disk or broken file, and tells of it. The next time is a new start.
    try {
      connection?.close();
    } catch {}
    connection = undefined;
  }
}
