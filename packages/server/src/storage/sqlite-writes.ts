import { DatabaseUnavailable, type Result, type Statement, type Transaction } from "./database.ts";
import { startWriteThread, type WriteThread } from "./sqlite-write-thread.ts";
import { followCallback } from "./transaction-callback.ts";

/** Writes that wait for their turn on the calling side; beyond that they are refused at once. */
const WRITES_WAITING_MAX = 20_000;
/** A thread that died is started again at most this often. */
const RESTART_MS = 1_000;

export interface Writes {
  batch(statements: readonly Statement[]): Promise<Result[]>;
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Waits for the writes that were asked for, then ends the thread. */
  close(): Promise<void>;
  /** Ends the thread at once, as a crash would. For tests. */
  kill(): Promise<void>;
}

interface Job {
  /** Runs the job; resolves when the next one may be sent. */
  start(thread: WriteThread): Promise<void> | undefined;
  refuse(error: Error): void;
}

/**
 * The order of all writes of this process: first come, first served. Batches are sent at once and flow behind each
 * other; a transaction holds back whatever comes after it until it has ended.
 * @throws {DatabaseUnavailable} when the file cannot be opened
 */
export async function openWrites(options: { path: string; onDeath(error: Error): void }): Promise<Writes> {
  const jobs: Job[] = [];
  let thread: WriteThread | undefined;
  let startedAt = 0;
  let held = false;
  let starting = false;
  let closed = false;
  let emptied: (() => void) | undefined;

  async function start(): Promise<void> {
    startedAt = performance.now();
    thread = await startWriteThread({
      path: options.path,
      onDeath(error) {
        thread = undefined;
        options.onDeath(error);
        if (jobs.length > 0) restart();
      },
    });
  }

  function restart(): void {
    if (starting) return;
    starting = true;
    const wait = Math.max(0, startedAt + RESTART_MS - performance.now());
    setTimeout(async () => {
      try {
        await start();
      } catch (error) {
        for (const job of jobs.splice(0)) job.refuse(error as Error);
      }
      starting = false;
      pump();
    }, wait);
  }

  function pump(): void {
    while (jobs.length > 0 && !held) {
      if (thread === undefined) {
        restart();
        return;
      }
      const holding = (jobs.shift() as Job).start(thread);
      if (holding === undefined) continue;
      held = true;
      void holding.finally(() => {
        held = false;
        pump();
      });
    }
    if (jobs.length === 0 && !held) emptied?.();
  }

  function add(job: Job): void {
    const refusal = closed
      ? "The database is closed"
      : jobs.length >= WRITES_WAITING_MAX
        ? "Too many writes are waiting; ask again"
        : undefined;
    if (refusal !== undefined) {
      job.refuse(new DatabaseUnavailable(refusal));
      return;
    }
    jobs.push(job);
    pump();
  }

  await start();
  return {
    batch: (statements) =>
      new Promise((resolve, reject) => {
        add({ start: (to) => void to.batch(statements).then(resolve, reject), refuse: reject });
      }),
    transaction: (work) =>
      new Promise((resolve, reject) => {
        add({ start: (to) => runTransaction(to, work).then(resolve, reject), refuse: reject });
      }),
    async close() {
      if (closed) return;
      closed = true;
      await new Promise<void>((resolve) => {
        emptied = resolve;
        pump();
      });
      await thread?.close();
    },
    kill: async () => thread?.kill(),
  };
}

async function runTransaction<T>(thread: WriteThread, work: (tx: Transaction) => Promise<T>): Promise<T> {
  await thread.send("begin");
  try {
    const value = await followCallback((statement) => thread.run(statement), work);
    await thread.send("commit");
    return value;
  } catch (error) {
    await thread.send("rollback").catch(() => {});
    throw error;
  }
}
