import { setTimeout as wait } from "node:timers/promises";
import { type Clock, toSeconds } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { Reminted } from "../sessions/revocations.sql.ts";
import { selectLatestBefore } from "../sessions/revocations.sql.ts";
import { remintStatements } from "../sessions/revocations.ts";
import type { Database, Transaction } from "../storage/database.ts";
import { lockRoleChanges, selectLiving, selectUsersWith, touchUsers } from "./roles.sql.ts";

/** Whose tokens say something else after a change. */
export type Affected = readonly Uint8Array[] | "everybody";
export const nobody: Affected = [];

/** What a change has come to, and whose tokens must be exchanged for it. */
export interface Change<T> {
  readonly outcome: T;
  readonly affected: Affected;
}

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** Tells the feed of this process that there is something new. */
  readonly announce: () => Promise<void>;
}

/** How long a commit may take, and how far the clocks of two nodes may differ, before a re-mint is sent again. */
const MARGIN_MS = 250;

/** The tokens that are out would have to be refused for longer than guards tolerate: ask again a moment later. */
class TooSoon extends Error {
  readonly milliseconds: number;
  constructor(milliseconds: number) {
    super("Roles change faster than tokens can tell");
    this.milliseconds = milliseconds;
  }
}

export type Reminting = ReturnType<typeof createReminting>;

/**
 * Changes of what users may do, each one transaction with its re-mint inside.
 *
 * The rule (ADR 0014): a token is issued at the time just before its rights were read. `before` is a whole second that
 * lies after the commit, so a token with the rights of before is older than it. Whoever reads after the commit finds
 * the entry too, and issues the token at `before` or later.
 */
export function createReminting({ database, clock, announce }: Dependencies) {
  /** The entries for whoever is affected, as the last step of the transaction: all locks are held by now. */
  async function send(tx: Transaction, affected: Affected, patient: boolean) {
    const reminted = await remintedBy(tx, affected);
    if (reminted === undefined) return undefined;
    const before = await nextBefore(tx, reminted, patient);
    for (const statement of remintStatements(reminted, before)) await tx.run(statement);
    return { reminted, before };
  }

  async function remintedBy(tx: Transaction, affected: Affected): Promise<Reminted | undefined> {
    if (affected === "everybody") return affected;
    if (affected.length === 0) return undefined;
    await tx.run(touchUsers(affected, clock.now()));
    const most = limits.remintSessionsMax;
    const living = await tx.all<{ id: Uint8Array }>(
      selectLiving(affected, { at: clock.now(), rows: most + 1 }),
    );
    if (living.length > most) return "everybody";
    return living.length === 0 ? undefined : { sessions: living.map(({ id }) => id) };
  }

  async function nextBefore(tx: Transaction, reminted: Reminted, patient: boolean): Promise<number> {
    const latest = await tx.one<{ before_seconds: number | null }>(selectLatestBefore(reminted));
    const now = clock.now();
    // Tokens that are out may have been postdated to the `before` of the last change: this one must lie after it.
    const before = Math.max(toSeconds(now + MARGIN_MS), latest?.before_seconds ?? 0) + 1;
    const aheadMs = before * 1000 - now;
    const mostMs = limits.tokenPostdatedSecondsMax * 1000;
    if (patient && aheadMs > mostMs) throw new TooSoon(Math.min(aheadMs - mostMs, 1000));
    return before;
  }

  /**
   * A reader that saw the rights of before may have done so until the commit. Did that come after `before`, the entry
   * is sent again; by now every reader sees the new rights, so once is enough but for the same bad luck again.
   */
  async function settle(sent: Awaited<ReturnType<typeof send>>): Promise<void> {
    if (sent === undefined) return;
    let { before } = sent;
    for (let sends = 0; toSeconds(clock.now() + MARGIN_MS / 2) >= before; sends++) {
      if (sends === limits.remintResendsMax) break;
      before = await database.transaction(async (tx) => {
        const next = await nextBefore(tx, sent.reminted, false);
        for (const statement of remintStatements(sent.reminted, next)) await tx.run(statement);
        return next;
      });
    }
    await announce();
  }

  return {
    /** Runs the change and sends its re-mint. `work` may run again from the start: no side effects but on `tx`. */
    async change<T>(work: (tx: Transaction, at: number) => Promise<Change<T>>): Promise<T> {
      for (let waits = 0; ; waits++) {
        try {
          const { outcome, sent } = await database.transaction(async (tx) => {
            await tx.run(lockRoleChanges());
            const done = await work(tx, clock.now());
            const isPatient = waits < limits.remintWaitsMax;
            return { outcome: done.outcome, sent: await send(tx, done.affected, isPatient) };
          });
          await settle(sent);
          return outcome;
        } catch (error) {
          if (!(error instanceof TooSoon)) throw error;
          await wait(error.milliseconds);
        }
      }
    },

    /** Whoever has this role now; ask before it is taken away. */
    async usersWith(tx: Transaction, role: string): Promise<Affected> {
      const most = limits.remintUsersMax;
      const found = await tx.all<{ user_id: Uint8Array }>(selectUsersWith(role, most + 1));
      return found.length > most ? "everybody" : found.map(({ user_id }) => user_id);
    },
  };
}
