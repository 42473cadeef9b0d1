import type { Emit, FeedProblem } from "./events.ts";
import type { FeedEvent } from "./feed-events.ts";
import type { Revocations } from "./revocations.ts";

export type FeedState = "off" | "connecting" | "live" | "broken";

export type FeedStatus = {
  readonly state: FeedState;
  /** The last position heard of; 0 before the first. */
  readonly lastSeq: number;
  /** Seconds since anything was heard; 0 for a feed in this process, which cannot be stale. */
  readonly staleForSeconds: number;
  readonly entries: number;
};

export type Feed = {
  isLive(): boolean;
  status(): FeedStatus;
  /** Resolves when the first snapshot was applied; never rejects. */
  readonly firstSnapshot: Promise<void>;
  lastProblem(): string | undefined;
  close(): void;
};

export type FeedParts = {
  readonly revocations: Revocations;
  readonly emit: Emit;
  /** Wall clock, for the times in entries. */
  readonly nowMs: () => number;
  /** Milliseconds that never go back, for staleness. */
  readonly elapsedMs: () => number;
};

/** What every feed has in common: position, completeness, and telling the log of ups and downs. */
export type Follower = {
  readonly firstSnapshot: Promise<void>;
  lastSeq(): number;
  hasSnapshot(): boolean;
  /** Entries did not fit: what is known is incomplete until a snapshot fits. */
  isFull(): boolean;
  lastProblem(): string | undefined;
  up(): void;
  down(reason: FeedProblem, message: string): void;
  /** Whether everything fitted. */
  apply(event: FeedEvent): boolean;
};

/** Applies feed events to the revocations. */
export function createFollower({ revocations, emit, nowMs }: FeedParts): Follower {
  let lastSeq = 0;
  let hasSnapshot = false;
  let isFull = false;
  let isUp = false;
  let problem: string | undefined;
  let snapshotCame = () => {};
  const firstSnapshot = new Promise<void>((resolve) => {
    snapshotCame = resolve;
  });

  return {
    firstSnapshot,
    lastSeq: () => lastSeq,
    hasSnapshot: () => hasSnapshot,
    isFull: () => isFull,
    lastProblem: () => problem,
    up() {
      if (isUp || isFull || !hasSnapshot) return;
      isUp = true;
      problem = undefined;
      emit({ type: "feed_up", lastSeq, entries: revocations.size() });
    },
    down(reason, message) {
      // Once, and not at every new attempt that fails alike.
      if (problem !== message) emit({ type: "feed_down", reason, message });
      isUp = false;
      problem = message;
    },
    apply(event) {
      const nowSeconds = nowMs() / 1000;
      const entries = event.type === "snapshot" ? event.entries : [event.entry];
      // Merged and never replaced: what was taken back once stays so until no token can be alive any more.
      const haveFitted = entries.filter((entry) => !revocations.add(entry, nowSeconds)).length === 0;
      if (event.type === "snapshot") {
        // A lower position than ours is a server restored from an older copy: go on from where it is.
        lastSeq = event.seq;
        isFull = !haveFitted;
        hasSnapshot = true;
        snapshotCame();
      } else {
        lastSeq = Math.max(lastSeq, event.entry.seq);
        isFull ||= !haveFitted;
      }
      return haveFitted;
    },
  };
}

/** No feed: tokens stay good until they expire. */
export function noFeed(): Feed {
  return {
    isLive: () => false,
    status: () => ({ state: "off", lastSeq: 0, staleForSeconds: 0, entries: 0 }),
    firstSnapshot: Promise.resolve(),
    lastProblem: () => undefined,
    close() {},
  };
}
