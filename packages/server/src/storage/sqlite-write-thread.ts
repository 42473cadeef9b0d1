import { Worker } from "node:worker_threads";
import type { Sql } from "sql-template-tag";
import { DatabaseUnavailable, type Result, type Value } from "./database.ts";
import { asBuffer } from "./sqlite-connection.ts";
import {
  type Failure,
  type Reply,
  type Request,
  type Statements,
  TEXTS_MAX,
  type WriterMessage,
} from "./sqlite-protocol.ts";
import { StatementFailed } from "./statement-failed.ts";
import { parametersOf } from "./statement-text.ts";

/** The calling thread's end of the writing thread: sends requests, hands out replies. It lives until it dies once. */
export interface WriteThread {
  /** All statements in one transaction, one message there and one back. */
  batch(statements: readonly Sql[]): Promise<Result[]>;
  /** One statement inside the transaction opened by `send("begin")`. */
  run(statement: Sql): Promise<Result>;
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
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 },
  });
  const replies = createReplies(worker);
  await new Promise<void>((resolve, reject) => {
    worker.once("error", (error) =>
      reject(new DatabaseUnavailable("The SQLite writing thread did not start", { cause: error })),
    );
    worker.once("message", (message: WriterMessage) => {
      if ("refused" in message) {
        reject(new DatabaseUnavailable(message.refused));
      } else resolve();
    });
  }).catch(async (error) => {
    await worker.terminate();
    throw error;
  });
  worker.on("message", (message: Reply[]) => replies.take(message));
  worker.on("error", (error) => replies.die(error));
  worker.on("exit", () => {
    const error = replies.die();
    if (error !== undefined) options.onDeath(error);
  });
  // A process that waits for nothing of ours may end, even when nobody closed the database.
  worker.unref();
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const encode = createEncoder();
  return {
    batch: (statements) => replies.wait((id) => ({ id, kind: "batch", ...encode(statements) })),
    run: async (statement) => {
      const results = await replies.wait((id) => ({ id, kind: "run", ...encode([statement]) }));
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

function createReplies(worker: Worker) {
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let state: "alive" | "closing" | "dead" = "alive";
  let reason: unknown;

  return {
    wait(request: (id: number) => Request): Promise<Result[]> {
      return new Promise((resolve, reject) => {
        if (state === "dead") return reject(new DatabaseUnavailable("The SQLite writing thread has ended"));
        lastId += 1;
        worker.postMessage(request(lastId));
        if (waiting.size === 0) worker.ref();
        waiting.set(lastId, { resolve, reject });
      });
    },
    take(messages: Reply[]): void {
      for (const { id, results, failure } of messages) {
        const one = waiting.get(id);
        waiting.delete(id);
        if (failure === undefined) one?.resolve(withBuffers(results ?? []));
        else one?.reject(errorOf(failure));
      }
      if (waiting.size === 0) worker.unref();
    },
    expectExit(): void {
      state = "closing";
    },
    /** Rejects all that wait. Answers with the error when the thread ended without being asked to. */
    die(error?: unknown): Error | undefined {
      reason ??= error;
      if (error !== undefined) return undefined;
      const asked = state === "closing";
      state = "dead";
      const death = new DatabaseUnavailable("The SQLite writing thread ended before it answered", {
        cause: reason,
      });
      for (const one of waiting.values()) one.reject(death);
      waiting.clear();
      return asked ? undefined : death;
    },
  };
}

function createEncoder(): (statements: readonly Sql[]) => Statements {
  const known = new Map<string, number>();
  let last = 0;
  return (statements) => {
    const forget = known.size + statements.length > TEXTS_MAX;
    if (forget) known.clear();
    let texts: Statements["texts"] = null;
    const numbers: number[] = [];
    const parameters: Value[][] = [];
    for (const statement of statements) {
      const text = statement.sql;
      let number = known.get(text);
      if (number === undefined) {
        number = ++last;
        known.set(text, number);
        texts ??= [];
        texts.push([number, text]);
      }
      numbers.push(number);
      parameters.push(parametersOf(statement));
    }
    return { texts, forget, numbers, parameters };
  };
}

function errorOf(failure: Failure): Error {
  return failure.kind === "unavailable"
    ? new DatabaseUnavailable(failure.message)
    : new StatementFailed(failure.message, failure.failure);
}

// A Buffer crosses to another thread as a bare Uint8Array.
function withBuffers(results: Result[]): Result[] {
  for (const { rows } of results) {
    for (const row of rows) {
      for (const name in row) {
        const value = row[name];
        if (value instanceof Uint8Array) row[name] = asBuffer(value);
      }
    }
  }
  return results;
}
