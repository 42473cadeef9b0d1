import type { Clock } from "../primitives/clock.ts";
import { firstIdAt, type Id } from "../primitives/id.ts";

interface Log {
  error(detail: object, message: string): void;
}

export interface Job {
  readonly name: string;
  readonly everySeconds: number;
  /** One bounded piece of work; it comes round again. */
  run(): Promise<unknown>;
}

/** Runs each job again and again until stopped, never twice at once. A failure is logged and the job comes round again. */
export function startJobs(jobs: readonly Job[], log: Log): { stop(): Promise<void> } {
  const running = new Set<Promise<unknown>>();
  const timers = jobs.map((job) => {
    let busy = false;
    const timer = setInterval(() => {
      if (busy) return;
      busy = true;
      const run = job
        .run()
        .catch((error) => log.error({ err: error, job: job.name }, "A job failed; it is tried again"))
        .finally(() => {
          busy = false;
          running.delete(run);
        });
      running.add(run);
    }, job.everySeconds * 1000);
    timer.unref();
    return timer;
  });
  return {
    async stop() {
      for (const timer of timers) clearInterval(timer);
      await Promise.all(running);
    },
  };
}

interface Cleaning {
  readonly clock: Clock;
  readonly sessions: {
    deleteOver(over: number, cursor?: Id): Promise<{ deleted: number; next: Id | undefined }>;
  };
  readonly revocations: { deletePast(): Promise<void> };
  readonly factors: { deletePast(): Promise<void> };
  readonly mailing: { deletePast(): Promise<void> };
  readonly deviceCodes: { deletePast(): Promise<unknown> };
  readonly rateLimits: { deleteFull(): Promise<unknown> };
  readonly audit: { deleteBefore(before: number): Promise<void> };
  readonly auditDays: number;
}

const DAY = 24 * 60 * 60 * 1000;
/** An ended session is kept this long for `keyturn session explain`. */
const ENDED_SESSION_DAYS = 30;

/**
 * Deletes what nobody needs any more, a slice of sessions at a time: the walk over the table goes on at the next
 * run, so that a large table is never held up.
 */
export function deleteExpiredJob({
  clock,
  sessions,
  revocations,
  factors,
  mailing,
  deviceCodes,
  rateLimits,
  audit,
  auditDays,
}: Cleaning): Job {
  let cursor: Id | undefined;
  let restedUntil = 0;
  return {
    name: "delete-expired",
    everySeconds: 5,
    async run() {
      const now = clock.now();
      if (now < restedUntil) return;
      const slice = await sessions.deleteOver(now - ENDED_SESSION_DAYS * DAY, cursor ?? firstIdAt(0));
      cursor = slice.next;
      if (cursor !== undefined) return;
      // The end of the table: the rest is small. Then nothing for an hour.
      await revocations.deletePast();
      await rateLimits.deleteFull();
      await factors.deletePast();
      await mailing.deletePast();
      await deviceCodes.deletePast();
      await audit.deleteBefore(now - auditDays * DAY);
      restedUntil = now + 60 * 60 * 1000;
    },
  };
}
