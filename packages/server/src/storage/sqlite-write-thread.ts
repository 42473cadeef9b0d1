import { Worker } from "node:worker_threads";
import { DatabasePaused, DatabaseUnavailable, type Result, type Statement } from "./database.ts";
import { type Failure, type Reply, type Request, resultsOf, type WriterMessage } from "./sqlite-protocol.ts";
import { createStatementEncoder } from "./sqlite-statements.ts";
import { StatementFailed } from "./statement-failed.ts";

/** The calling thread's end of the writing thread: sends requests, hands out replies. It lives until it dies once. */
export interface WriteThread {
  /** All statements in one transaction, one message there and one back. */
  batch(statements: readonly Statement[]): Promise<Result[]>;
  /** One statement inside the transaction opened by `send("begin")`. */
  run(statement: Statement): Promise<Result>;
  send(kind: "begin" | "commit" | "rollback"): Promise<void>;
  /** Closes the file and ends the thread, after everything that was asked for before. */
  close(): Promise<void>;
  /** Ends the thread at once, whatever it is doing. */
  kill(): Promise<void>;
}

interface Waiting {
  resolve(results: Result[]): void;
  reject(error: Error): void;
}

const MODULE = import.meta.url.endsWith(".ts") ? "./sqlite-writer.ts" : "./sqlite-writer.js";

/**
 * Starts the thread; resolves when it has opened the file.
 * @throws {DatabaseUnavailable} with the reason, when it cannot open it
 */
export async function startWriteThread(options: {
  path: string;
  onDeath(error: Error): void;
}): Promise<WriteThread> {
  const worker = new Worker(new URL(MODULE, import.meta.url), {
    name: "keyturn sqlite writer",
    workerData: { path: options.path },
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 2 },
  });
  await opened(worker);
  const replies = createReplies(worker);
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  worker.on("message", (message: Reply[]) => replies.take(message));
  worker.on("error", (error) => replies.explain(error));
  worker.on("exit", () => {
    const error = replies.die();
    if (error !== undefined) options.onDeath(error);
  });
  // A process that waits for nothing of ours may end, even when nobody closed the database.
  worker.unref();
  const encode = createStatementEncoder();
  return {
    batch: (statements) => replies.wait((id) => ({ id, kind: "batch", statements: encode(statements) })),
    async run(statement) {
      const results = await replies.wait((id) => ({ id, kind: "run", statements: encode([statement]) }));
      return results[0] as Result;
    },
    async send(kind) {
      await replies.wait((id) => ({ id, kind }));
    },
    async close() {
      replies.expectExit();
      await replies.wait((id) => ({ id, kind: "close" }));
      worker.ref();
      await exited;
    },
    async kill() {
      await worker.terminate();
    },
  };
}

async function opened(worker: Worker): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const died = (cause?: unknown) =>
    reject(new DatabaseUnavailable("The SQLite writing thread did not start", { cause }));
  worker.once("error", died);
  worker.once("exit", died);
  worker.once("message", (message: WriterMessage) => {
    if ("refused" in message) reject(new DatabaseUnavailable(message.refused));
    else resolve();
  });
  try {
    await promise;
  } catch (error) {
    await worker.terminate();
    throw error;
  } finally {
    worker.off("error", died);
    worker.off("exit", died);
  }
}

function createReplies(worker: Worker) {
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let state: "alive" | "closing" | "dead" = "alive";
  let cause: unknown;

  return {
    wait(request: (id: number) => Request): Promise<Result[]> {
      return new Promise((resolve, reject) => {
        if (state === "dead") throw new DatabaseUnavailable("The SQLite writing thread has ended; ask again");
        lastId += 1;
        worker.postMessage(request(lastId));
        if (waiting.size === 0) worker.ref();
        waiting.set(lastId, { resolve, reject });
      });
    },
    take(replies: Reply[]): void {
      for (const reply of replies) {
        const one = waiting.get(reply.id);
        waiting.delete(reply.id);
        if (reply.failure === undefined) one?.resolve(resultsOf(reply));
        else one?.reject(errorOf(reply.failure));
      }
      if (waiting.size === 0) worker.unref();
    },
    expectExit(): void {
      state = "closing";
    },
    explain(error: unknown): void {
      cause = error;
    },
    /** Rejects all that wait. Answers with the error when the thread ended without being asked to. */
    die(): Error | undefined {
      const asked = state === "closing";
      state = "dead";
      const death = new DatabaseUnavailable("The SQLite writing thread ended before it answered", { cause });
      for (const one of waiting.values()) one.reject(death);
      waiting.clear();
      return asked ? undefined : death;
    },
  };
}

function errorOf(failure: Failure): Error {
  if (failure.kind === "paused") return new DatabasePaused();
  return failure.kind === "unavailable"
    ? new DatabaseUnavailable(failure.message)
    : new StatementFailed(failure.message, failure.failure);
}
