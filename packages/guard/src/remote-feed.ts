import type { FeedProblem } from "./events.ts";
import { createFollower, type Feed, type FeedParts, type FeedState, type Follower } from "./feed.ts";
import type { OpenStream } from "./feed-connection.ts";
import { readFeedEvent } from "./feed-events.ts";
import { type ResourceCredentials, requestFeed } from "./feed-request.ts";
import { createReconnectPause } from "./reconnect-pause.ts";

export type RemoteFeedParts = FeedParts & {
  /** Rejects while the address cannot be learnt. */
  readonly url: () => Promise<string>;
  readonly resource: ResourceCredentials;
  readonly staleAfterSeconds: number;
  readonly open: OpenStream;
};

// Where trying again soon cannot help, because somebody has to change something first.
const slowReasons: readonly FeedProblem[] = ["unauthorized", "unreadable", "full"];
const slowRetryMs = 30_000;
// A server that accepts and drops at once does not count as one that held.
const heldAfterMs = 5000;

/** One timer at a time, which does not keep the process alive. */
function createTimer() {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => clearTimeout(timer);
  function start(delayMs: number, then: () => void): void {
    stop();
    timer = setTimeout(then, delayMs);
    timer.unref?.();
  }
  return { start, stop };
}

/** Keeps a connection to the feed: reconnects for ever, with pauses; `heard` is called at any sign of life. */
function keepConnected(parts: RemoteFeedParts, follower: Follower, heard: () => void): () => void {
  const { elapsedMs, staleAfterSeconds, resource, open } = parts;
  const pause = createReconnectPause(Math.random);
  const timer = createTimer();
  let openedMs = Number.POSITIVE_INFINITY;
  let canResume = false;
  let isClosed = false;
  let disconnect = () => {};

  function lost(reason: FeedProblem, message: string): void {
    disconnect();
    if (isClosed) return;
    if (elapsedMs() - openedMs >= heldAfterMs) pause.reset();
    openedMs = Number.POSITIVE_INFINITY;
    follower.down(reason, message);
    timer.start(slowReasons.includes(reason) ? slowRetryMs : pause.next(), () => void connect());
  }

  /** A connection can die without a word (a pulled cable): silence is the only sign. */
  function expectLife(): void {
    const message = `Nothing was heard from the feed for ${staleAfterSeconds} s; connecting anew.`;
    timer.start(staleAfterSeconds * 1000, () => lost("silent", message));
  }

  function received(type: string, data: string): void {
    const event = readFeedEvent(type, data);
    if (event === undefined) return;
    canResume = follower.apply(event);
    // Starts over with a snapshot: what did not fit must not be skipped.
    if (!canResume) lost("full", "More revocations are alive than the guard holds; some are not applied.");
  }

  async function connect(): Promise<void> {
    let url: string;
    try {
      url = await parts.url();
    } catch (cause) {
      return lost("unreachable", cause instanceof Error ? cause.message : String(cause));
    }
    if (isClosed) return;
    expectLife();
    const position = canResume ? follower.lastSeq() : undefined;
    disconnect = requestFeed(
      { url, resource, position, open },
      {
        opened: () => {
          openedMs = elapsedMs();
        },
        alive() {
          heard();
          expectLife();
        },
        event: received,
        read: follower.up,
        retry: pause.wish,
        lost,
      },
    );
  }

  void connect();
  return () => {
    isClosed = true;
    timer.stop();
    disconnect();
  };
}

/** Follows the revocation feed of an issuer by server-sent events, for as long as the guard lives. */
export function followRemote(parts: RemoteFeedParts): Feed {
  const { revocations, nowMs, elapsedMs, staleAfterSeconds } = parts;
  const follower = createFollower(parts);
  let lastHeardMs = elapsedMs();
  const staleForSeconds = () => Math.max(0, (elapsedMs() - lastHeardMs) / 1000);
  const isLive = () => follower.hasSnapshot() && !follower.isFull() && staleForSeconds() < staleAfterSeconds;

  function state(): FeedState {
    if (isLive()) return "live";
    return follower.hasSnapshot() ? "broken" : "connecting";
  }

  const close = keepConnected(parts, follower, () => {
    lastHeardMs = elapsedMs();
    revocations.forget(nowMs() / 1000);
  });
  return {
    isLive,
    status: () => ({
      state: state(),
      lastSeq: follower.lastSeq(),
      staleForSeconds: staleForSeconds(),
      entries: revocations.size(),
    }),
    firstSnapshot: follower.firstSnapshot,
    lastProblem: follower.lastProblem,
    close,
  };
}
