import { Worker } from "node:worker_threads";
import type { SqliteConnection } from "./sqlite-connection.ts";

/**
 * Moving pages from the write-ahead log into the database file costs two flushes and many scattered writes, and
 * SQLite does it inside a commit: every thousandth page somebody waits 20 to 50 ms. Here a second thread moves
 * them while commits go on. It can never quite catch up with a writer that does not pause, so the writer itself
 * moves the few that are left, and the log starts again from its beginning.
 */

/** The log is moved when so much of it waits. */
const START_BYTES = 8 * 1024 * 1024;
/** The writer finishes, so that the log can start again, when the log is longer than this and little is left. */
const RESTART_BYTES = 16 * 1024 * 1024;
const LEFT_BYTES_MAX = 1024 * 1024;
/**
 * Beyond this the other thread has died or the writer is too fast for it, and the writer moves the log itself. Only
 * a reader that holds an old state of the rows (a backup) lets it grow further; it is tried again after each step.
 */
const LOG_BYTES_MAX = 48 * 1024 * 1024;
const LOG_STEP_BYTES = 16 * 1024 * 1024;
/** A look at the log costs a few microseconds; one in so many commits is enough. */
const COMMITS_PER_LOOK = 8;

/** What the first of the two words that both threads share says. */
export const checkpointState = { idle: 0, asked: 1, done: 2, ended: 3 } as const;
/** What the second says: whether the other thread holds the file. */
export const checkpointerState = { none: 0, running: 1, closed: 2 } as const;

/** A checkpoint that is under way when the database is closed takes no longer; if it does, the log file stays. */
const CLOSE_WAIT_MS = 5_000;

const MODULE = import.meta.url.endsWith(".ts") ? "./sqlite-checkpointer.ts" : "./sqlite-checkpointer.js";

export interface Checkpoints {
  /** To be called by the writer after each commit, between transactions. */
  afterCommit(connection: SqliteConnection): void;
  /**
   * Ends the thread and waits until it has closed the file: the last one to close it takes the log away, and that
   * has to be the writer.
   */
  end(): void;
}

/** The thread is started when the log is long for the first time: most short-lived processes never need it. */
export function createCheckpoints(path: string): Checkpoints {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  let worker: Worker | undefined;
  let commits = 0;
  let forceBytes = LOG_BYTES_MAX;

  function ask(): void {
    Atomics.store(shared, 0, checkpointState.asked);
    Atomics.notify(shared, 0);
    if (worker !== undefined) return;
    Atomics.store(shared, 1, checkpointerState.running);
    worker = new Worker(new URL(MODULE, import.meta.url), {
      name: "keyturn sqlite checkpoints",
      workerData: { path, shared },
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    });
    // Should it die, the writer moves the log by itself, when it is long.
    worker.on("error", () => {});
    worker.unref();
  }

  function look(connection: SqliteConnection): void {
    const { log, waiting } = connection.logBytes();
    if (Atomics.load(shared, 0) === checkpointState.done) {
      Atomics.store(shared, 0, checkpointState.idle);
      if (log > RESTART_BYTES && waiting < LEFT_BYTES_MAX) connection.exec("PRAGMA wal_checkpoint(PASSIVE)");
    } else if (log > forceBytes) {
      connection.forceCheckpoint();
      forceBytes = Math.max(LOG_BYTES_MAX, connection.logBytes().log + LOG_STEP_BYTES);
    } else if (waiting > START_BYTES && Atomics.load(shared, 0) === checkpointState.idle) {
      ask();
    }
  }

  return {
    afterCommit(connection) {
      commits += 1;
      if (Atomics.load(shared, 0) === checkpointState.done || commits % COMMITS_PER_LOOK === 0)
        look(connection);
    },
    end() {
      Atomics.store(shared, 0, checkpointState.ended);
      Atomics.notify(shared, 0);
      Atomics.wait(shared, 1, checkpointerState.running, CLOSE_WAIT_MS);
    },
  };
}
