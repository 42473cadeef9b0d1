import type { Result, Statement, Transaction } from "./database.ts";

/** How long an open transaction waits for the next statement of its callback before it is rolled back. */
const TRANSACTION_IDLE_MS = 10_000;

/**
 * Runs the callback of a transaction that is open, and watches it, the same way on both engines. The caller commits
 * when this resolves and rolls back when it rejects.
 *
 * A statement that failed fails the transaction, whatever the callback makes of it: one with a hole in it is not
 * committed (PostgreSQL would not). A callback that waits for something else is cut off: it holds up other writers.
 */
export async function followCallback<T>(
  execute: (statement: Statement) => Promise<Result>,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  let over: Error | undefined;
  let running = 0;
  const { promise: ended, reject } = Promise.withResolvers<never>();
  ended.catch(() => {});
  const timer = setTimeout(() => {
    if (running > 0) timer.refresh();
    else end(new Error(TOO_LATE));
  }, TRANSACTION_IDLE_MS);

  function end(error: Error): void {
    clearTimeout(timer);
    over ??= error;
    reject(over);
  }

  async function run(statement: Statement): Promise<Result> {
    if (over !== undefined) throw over;
    running += 1;
    try {
      return await execute(statement);
    } catch (error) {
      end(error as Error);
      throw error;
    } finally {
      running -= 1;
      if (over === undefined) timer.refresh();
    }
  }

  try {
    const value = await Promise.race([
      ended,
      work({
        all: async <R>(statement: Statement) => (await run(statement)).rows as R[],
        one: async <R>(statement: Statement) => (await run(statement)).rows[0] as R | undefined,
        run: async (statement) => (await run(statement)).changes,
      }),
    ]);
    if (running > 0) throw new Error("A transaction ended before its statements: await each of them");
    return value;
  } finally {
    end(new Error("The transaction has ended: use its statements inside its callback only"));
  }
}

const TOO_LATE = `A transaction waited ${TRANSACTION_IDLE_MS / 1000} s for its callback and was rolled back: await nothing but its own statements inside`;
