import type { FeedProblem } from "./events.ts";
import type { OpenStream } from "./feed-connection.ts";
import { createEventStreamParser } from "./sse.ts";

export type ResourceCredentials = { readonly id: string; readonly secret: string };

export type FeedRequest = {
  readonly url: string;
  readonly resource: ResourceCredentials;
  /** The position to go on from; undefined asks for a snapshot. */
  readonly position: number | undefined;
  readonly open: OpenStream;
};

export type FeedRequestHandlers = {
  readonly opened: () => void;
  /** Some bytes came, before they are read. */
  readonly alive: () => void;
  /** @throws Error when the event should be understood and is not. */
  readonly event: (type: string, data: string) => void;
  /** All of what came was read. */
  readonly read: () => void;
  readonly retry: (milliseconds: number) => void;
  /** Called once, unless we closed the connection. */
  readonly lost: (reason: FeedProblem, message: string) => void;
};

/** Of a request to the issuer. */
export function authorization({ id, secret }: ResourceCredentials): string {
  // RFC 6749 §2.3.1: id and secret are form-urlencoded before they are joined.
  return `Basic ${btoa(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`)}`;
}

function refusalMessage(url: string, status: number, contentType: string): string {
  if (status === 401 || status === 403) {
    return (
      `${url} answered ${status}: the feed does not know these credentials. Register the API with ` +
      "`keyturn client add NAME --type resource` and give its id and secret to the guard as `resource`."
    );
  }
  if (status === 200)
    return `${url} answered with ${contentType || "no content type"}, not text/event-stream.`;
  return `${url} answered ${status} instead of a revocation feed.`;
}

/** One connection to the feed; returns what closes it. After that, or after `lost`, no handler is called. */
export function requestFeed(request: FeedRequest, handlers: FeedRequestHandlers): () => void {
  const { url, resource, position, open } = request;
  let isOver = false;
  let close = () => {};

  function lost(reason: FeedProblem, message: string): void {
    if (isOver) return;
    isOver = true;
    close();
    handlers.lost(reason, message);
  }

  const parser = createEventStreamParser({
    event({ type, data }) {
      // The rest of a chunk whose beginning ended the connection.
      if (!isOver) handlers.event(type, data);
    },
    retry: handlers.retry,
  });
  const headers = {
    accept: "text/event-stream",
    authorization: authorization(resource),
    "cache-control": "no-cache",
    ...(position !== undefined && { "last-event-id": String(position) }),
  };
  const streamHandlers = {
    opened(status: number, contentType: string): boolean {
      if (status === 200 && /^text\/event-stream\b/i.test(contentType)) {
        handlers.opened();
        return true;
      }
      const reason = status === 401 || status === 403 ? "unauthorized" : "unreachable";
      lost(reason, refusalMessage(url, status, contentType));
      return false;
    },
    bytes(chunk: Uint8Array): void {
      if (isOver) return;
      handlers.alive();
      try {
        parser.push(chunk);
      } catch (cause) {
        lost("unreadable", `${cause instanceof Error ? cause.message : String(cause)} (from ${url})`);
      }
      if (!isOver) handlers.read();
    },
    ended: (message: string) => lost("ended", `The feed at ${url} ended: ${message}.`),
  };
  close = open({ url, headers }, streamHandlers);
  return () => {
    isOver = true;
    close();
  };
}
