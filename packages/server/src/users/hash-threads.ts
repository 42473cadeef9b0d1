import { Worker } from "node:worker_threads";
import type { HashJob, HashReply } from "./hash-protocol.ts";

const MODULE = import.meta.url.endsWith(".ts")
  ? "./password-hasher-worker.ts"
  : "./password-hasher-worker.js";

export interface HashThreads {
  /** Runs a job when a thread is free; "busy" when too many wait already. Rejects when the thread broke. */
  run(job: HashJob): Promise<HashReply | "busy">;
  /** Ends the threads. What still waits is rejected. */
  close(): Promise<void>;
  /** How many threads there are now. */
  count(): number;
  /** Ends the threads at once, as a crash would. For tests. */
  kill(): Promise<void>;
}

interface Options {
  readonly threadsMax: number;
  readonly waitingMax: number;
  /** A thread without work for this long is ended, with the memory its hashes took. */
  readonly idleMilliseconds?: number;
}

interface Waiting {
  readonly job: HashJob;
  resolve(reply: HashReply): void;
  reject(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  current: Waiting | undefined;
  idle: NodeJS.Timeout | undefined;
}

/** Threads for hashing: started when there is work, one job each, first come first served, replaced when they die. */
export function createHashThreads(options: Options): HashThreads {
  const { threadsMax, waitingMax, idleMilliseconds = 60_000 } = options;
  const threads = new Set<Thread>();
  const queue: Waiting[] = [];
  let closed = false;

  function start(): Thread {
    const worker = new Worker(new URL(MODULE, import.meta.url), {
      name: "keyturn password hasher",
      // The memory of a hash is outside of the heap; the heap holds little but the program.
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 2 },
    });
    const thread: Thread = { worker, current: undefined, idle: undefined };
    threads.add(thread);
    let broke: Error | undefined;
    worker.on("message", (reply: HashReply) => {
      const done = thread.current;
      thread.current = undefined;
      rest(thread);
      pump();
      done?.resolve(reply);
    });
    worker.on("error", (error) => {
      broke = error;
    });
    worker.on("exit", () => {
      threads.delete(thread);
      clearTimeout(thread.idle);
      // Not tried again: if the job itself broke the thread, it would break the next one as well.
      thread.current?.reject(
        new Error("A password hashing thread ended before its work was done", { cause: broke }),
      );
      thread.current = undefined;
      pump();
    });
    return thread;
  }

  /** A resting thread keeps no process alive, and ends after a while. */
  function rest(thread: Thread): void {
    thread.worker.unref();
    thread.idle = setTimeout(() => {
      threads.delete(thread);
      void thread.worker.terminate();
    }, idleMilliseconds);
    thread.idle.unref();
  }

  function freeThread(): Thread | undefined {
    for (const thread of threads) if (thread.current === undefined) return thread;
    return threads.size < threadsMax ? start() : undefined;
  }

  function pump(): void {
    while (queue.length > 0 && !closed) {
      const thread = freeThread();
      if (thread === undefined) return;
      const next = queue.shift() as Waiting;
      clearTimeout(thread.idle);
      thread.current = next;
      thread.worker.ref();
      thread.worker.postMessage(next.job);
    }
  }

  return {
    async run(job) {
      if (closed) throw new Error("Password hashing is closed");
      if (queue.length >= waitingMax) return "busy";
      return new Promise((resolve, reject) => {
        queue.push({ job, resolve, reject });
        pump();
      });
    },
    async close() {
      closed = true;
      for (const { reject } of queue.splice(0)) reject(new Error("Password hashing is closed"));
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
    count: () => threads.size,
    async kill() {
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
  };
}
