import { createFollower, type Feed, type FeedParts } from "./feed.ts";
import { checkFeedEvent, type FeedEvent } from "./feed-events.ts";

/** Subscribes to a feed in this process; returns what ends the subscription. */
export type Follow = (listener: (event: FeedEvent) => void) => () => void;

/** Follows a feed inside this process: no network, never stale. */
export function followSource(follow: Follow, parts: FeedParts): Feed {
  const follower = createFollower(parts);
  const isLive = () => follower.hasSnapshot() && !follower.isFull();

  const stop = follow((event) => {
    parts.revocations.forget(parts.nowMs() / 1000);
    if (follower.apply(checkFeedEvent(event))) follower.up();
    else follower.down("full", "More revocations are alive than the guard holds; some are not applied.");
  });

  return {
    isLive,
    status: () => ({
      state: isLive() ? "live" : follower.isFull() ? "broken" : "connecting",
      lastSeq: follower.lastSeq(),
      staleForSeconds: 0,
      entries: parts.revocations.size(),
    }),
    firstSnapshot: follower.firstSnapshot,
    lastProblem: follower.lastProblem,
    close: stop,
  };
}
