import type { KeyObject } from "node:crypto";
import type { Clock } from "../primitives/clock.ts";
import { hmacSha256 } from "../primitives/digest.ts";
import type { Database } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import {
  type BucketRow,
  deleteFullRows,
  giveBack,
  keepUntil,
  selectBuckets,
  takeOne,
} from "./rate-limits.sql.ts";
import type { RateRule } from "./rules.ts";

/** One bucket: a rule, and what it is counted for (an account, an address, both). */
export interface Bucket {
  readonly rule: RateRule;
  readonly subject: string;
}

export type Consumed =
  | { readonly allowed: true }
  /** `bucket`: the one that allows the next attempt last. */
  | { readonly allowed: false; readonly retryAfterSeconds: number; readonly bucket: Bucket };

export type RateLimits = ReturnType<typeof createRateLimits>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** `secrets.key("rate-limit")`: the table then does not tell which names and addresses were tried. */
  readonly key: KeyObject;
}

/** Rolls a transaction back; it never leaves this file. */
class NotTaken extends Error {
  readonly bucket: Bucket;
  constructor(bucket: Bucket) {
    super("A bucket holds none");
    this.bucket = bucket;
  }
}

const ID_BYTES = 16;
const CLOCKS_DIFFER_MS = 60_000;

/**
 * Limits by the generic cell rate algorithm (ITU-T I.371): a bucket is one number, the time at which it is full
 * again. It needs no job that fills it, and a row that says nothing any more can be deleted at any time.
 */
export function createRateLimits({ database, clock, key }: Dependencies) {
  const idOf = (kind: string, subject: string) =>
    hmacSha256(key, `${kind}\0${subject}`).subarray(0, ID_BYTES);
  const bucketId = ({ rule, subject }: Bucket) => idOf(rule.name, subject);

  /** How long until the bucket holds one again, 0 when it does. Milliseconds. */
  function waitOf({ rule }: Bucket, fullAt: number, now: number): number {
    return fullAt > possible(rule, now) ? 0 : Math.max(0, fullAt - latest(rule, now));
  }

  async function longestWait(buckets: readonly Bucket[], now: number): Promise<Consumed> {
    const ids = buckets.map(bucketId);
    const rows = await database.all<BucketRow>(selectBuckets(ids));
    const fullAt = new Map(rows.map((row) => [hex(row.id), row.full_at]));
    let wait = 0;
    let last: Bucket | undefined;
    for (const [index, bucket] of buckets.entries()) {
      const found = waitOf(bucket, fullAt.get(hex(ids[index] as Buffer)) ?? 0, now);
      if (found > wait) [wait, last] = [found, bucket];
    }
    return last === undefined
      ? { allowed: true }
      : { allowed: false, retryAfterSeconds: Math.ceil(wait / 1000), bucket: last };
  }

  function takeStatement(bucket: Bucket, now: number) {
    const { rule } = bucket;
    return takeOne({
      id: bucketId(bucket),
      now,
      intervalMs: rule.seconds * 1000,
      latestMs: latest(rule, now),
      possibleMs: possible(rule, now),
    });
  }

  function refundStatements(buckets: readonly Bucket[]) {
    const now = clock.now();
    return buckets.map((bucket) =>
      giveBack({ id: bucketId(bucket), now, intervalMs: bucket.rule.seconds * 1000 }),
    );
  }

  /**
   * Takes one from each bucket, or from none. A refusal that a look can tell writes nothing: a flood costs reads.
   * Always name buckets in the same order of rules, so that two transactions never wait for each other.
   */
  async function consumeAll(buckets: readonly Bucket[]): Promise<Consumed> {
    const now = clock.now();
    const seen = await longestWait(buckets, now);
    if (!seen.allowed) return seen;
    const refused = await take(buckets, now);
    if (refused === undefined) return { allowed: true };
    // Others were first since we looked.
    const waiting = await longestWait(buckets, now);
    return waiting.allowed ? { allowed: false, retryAfterSeconds: 1, bucket: refused } : waiting;
  }

  /**
   * Takes one from each in one transaction, which is rolled back at the first that has none: what an attempt takes in
   * vain must not be missing to others for a moment. Gives back that one; undefined when all were taken.
   */
  async function take(buckets: readonly Bucket[], now: number): Promise<Bucket | undefined> {
    try {
      await database.transaction(async (tx) => {
        for (const bucket of buckets) {
          if ((await tx.run(takeStatement(bucket, now))) === 0) throw new NotTaken(bucket);
        }
      });
      return undefined;
    } catch (error) {
      if (error instanceof NotTaken) return error.bucket;
      throw error;
    }
  }

  return {
    /** Takes one from the bucket of a rule and a subject, atomically: of any number at once, at most the burst win. */
    consume: (rule: RateRule, subject: string): Promise<Consumed> => consumeAll([{ rule, subject }]),
    consumeAll,

    /** Puts one back into each bucket, for an attempt that turned out to be no guess. */
    async refund(buckets: readonly Bucket[]): Promise<void> {
      await database.batch(refundStatements(buckets));
    },
    /** The same as statements, for a transaction of another room. */
    refundStatements,

    /** How long until the next attempt would be allowed; 0 when it is now. Takes nothing. */
    async retryAfterSeconds(rule: RateRule, subject: string): Promise<number> {
      const seen = await longestWait([{ rule, subject }], clock.now());
      return seen.allowed ? 0 : seen.retryAfterSeconds;
    },

    /** A mark on a subject that fades after `seconds`, as a statement for a transaction of another room. */
    rememberStatement(subject: string, seconds: number) {
      return keepUntil(idOf("remembered", subject), clock.now() + seconds * 1000);
    },
    /** Whether the subject has a mark that has not faded. One look at one key, whatever the answer. */
    async isRemembered(subject: string): Promise<boolean> {
      const [row] = await database.all<BucketRow>(selectBuckets([idOf("remembered", subject)]));
      return row !== undefined && row.full_at > clock.now();
    },

    /** Deletes the rows that say nothing any more; how many. */
    deleteFull(): Promise<number> {
      const now = clock.now();
      return deleteInSlices(database, (rows) => deleteFullRows(now, rows));
    },
  };
}

/**
 * No bucket is full later than this, however empty: one that says so was used while the clock was ahead, and would hold
 * people off until it is so late in truth. A minute more, for nodes whose clocks differ a little.
 */
function possible(rule: RateRule, now: number): number {
  return now + rule.burst * rule.seconds * 1000 + CLOCKS_DIFFER_MS;
}

/** A bucket that is full by then holds at least one now. */
function latest(rule: RateRule, now: number): number {
  return now + (rule.burst - 1) * rule.seconds * 1000;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
