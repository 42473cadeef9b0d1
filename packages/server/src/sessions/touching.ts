import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { Database } from "../storage/database.ts";
import { updateUsed } from "./browsing.sql.ts";

/** A session's last use is written at most this often. */
const TOUCH_MS = 60_000;

interface Use {
  readonly sessionId: Buffer;
  readonly at: number;
  readonly ip: string | undefined;
}

interface Dependencies {
  readonly database: Pick<Database, "batch">;
  readonly clock: Clock;
  readonly log: { warn(detail: object, message: string): void };
}

/**
 * Writes down when browsers' sessions were last used, all uses of one moment in one transaction. Nobody waits for it:
 * a use that is lost in a crash shortens an idle session by a minute at most, and the next request notes it again.
 */
export function createTouching({ database, clock, log }: Dependencies) {
  let waiting = new Map<string, Use>();
  let running: Promise<void> | undefined;

  async function drain(): Promise<void> {
    while (waiting.size > 0) {
      const batch = waiting;
      waiting = new Map();
      // In the order of their ids: two nodes that lock rows in one order never wait for each other in a ring.
      const uses = [...batch.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, use]) => use);
      try {
        await database.batch(
          uses.map(({ sessionId, at, ip }) =>
            updateUsed({ sessionId, at, before: at - TOUCH_MS + 1, ip: ip ?? null }),
          ),
        );
      } catch (error) {
        log.warn({ err: error, sessions: uses.length }, "The last use of sessions could not be written");
      }
    }
    running = undefined;
  }

  return {
    /** A use now. Written when the one before is a minute ago. */
    used(session: { sessionId: Buffer; lastUsedAt: number; ip: string | undefined }): void {
      const at = clock.now();
      if (at - session.lastUsedAt < TOUCH_MS) return;
      const key = session.sessionId.toString("latin1");
      if (waiting.has(key) || waiting.size >= limits.touchesWaitingMax) return;
      waiting.set(key, { sessionId: Buffer.from(session.sessionId), at, ip: session.ip });
      running ??= new Promise<void>((done) => setImmediate(done)).then(drain);
    },
    /** Resolves when nothing waits any more. */
    async drained(): Promise<void> {
      while (running !== undefined) await running;
    },
  };
}
