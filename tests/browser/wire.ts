import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout } from "node:timers/promises";

/** What serves the far end: Keyturn, a site, a test's own page. */
export type Handler = (
  request: Request,
  connection: { incoming: IncomingMessage },
) => Response | Promise<Response>;

/** One request as it passes. */
export interface Passing {
  readonly method: string;
  readonly path: string;
  /** How many of the same method and path came before it. */
  readonly count: number;
}

/** What may become of a request on its way. */
export type Fault =
  /** It never arrives; the browser sees its connection break. */
  | "lose-request"
  /** It arrives and is acted on; the browser sees its connection break instead of the answer. */
  | "lose-reply"
  /** It arrives twice at the same time; the browser gets one of the two answers. */
  | "duplicate"
  /** A proxy or a portal on the way answers instead, and may say when to come back. */
  | { readonly status: number; readonly retryAfterSeconds?: number }
  /** It waits on its way there, or the answer on its way back: for the test, or so many milliseconds. */
  | { readonly before?: Promise<unknown> | number; readonly after?: Promise<unknown> | number };

/**
 * The network between a browser and what it calls, on a port of its own that outlives restarts of the far end.
 * Faults happen at the socket, as they do in the world: what the browser makes of them is its own business. A
 * connection ends after a POST, because on one that was used before Chromium sends what broke again by itself.
 */
export async function startWire() {
  const counts = new Map<string, number>();
  const moving = new Set<IncomingMessage>();
  let moved: (() => void)[] = [];
  let handler: Handler | undefined;
  let keepsConnections = false;
  let faultOf: (passing: Passing) => Fault | undefined = () => undefined;

  /** What waits for the test is not moving; what is slow is. */
  async function hold(
    incoming: IncomingMessage,
    until: Promise<unknown> | number | undefined,
  ): Promise<void> {
    if (until === undefined) return;
    if (typeof until === "number") return setTimeout(until);
    stopMoving(incoming);
    await until;
    moving.add(incoming);
  }

  function stopMoving(incoming: IncomingMessage): void {
    moving.delete(incoming);
    if (moving.size > 0) return;
    for (const tell of moved) tell();
    moved = [];
  }

  async function carry(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "GET", url: place = "/" } = incoming;
    const address = new URL(place, url);
    const key = `${method} ${address.pathname}`;
    const count = counts.get(key) ?? 0;
    counts.set(key, count + 1);
    const body = await text(incoming);
    const fault = faultOf({ method, path: address.pathname, count });

    if (fault === "lose-request" || handler === undefined) return void incoming.socket.destroy();
    if (typeof fault === "object" && "status" in fault) return answerInstead(outgoing, fault);
    if (typeof fault === "object") await hold(incoming, fault.before);
    const far = handler;
    const deliver = async () => far(requestFrom(incoming, address, body), { incoming });
    const [response] = await Promise.all([deliver(), fault === "duplicate" ? deliver() : undefined]);
    const reply = Buffer.from(await response.arrayBuffer());
    if (typeof fault === "object") await hold(incoming, fault.after);
    if (fault === "lose-reply") return void incoming.socket.destroy();
    const cookies = response.headers.getSetCookie();
    outgoing.writeHead(response.status, {
      ...Object.fromEntries(response.headers),
      ...(cookies.length > 0 && { "set-cookie": cookies }),
      ...(method !== "GET" && !keepsConnections && { connection: "close" }),
    });
    outgoing.end(reply);
  }

  const server = createServer((incoming, outgoing) => {
    moving.add(incoming);
    carry(incoming, outgoing)
      .catch((error) => {
        // A page that is closed or loaded anew takes its requests back.
        if (!incoming.socket.destroyed) console.error(error);
        incoming.socket.destroy();
      })
      .finally(() => stopMoving(incoming));
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    /** From now on requests go there; to nobody, as while a server restarts, when it is undefined. */
    connect(next: Handler | undefined): void {
      handler = next;
    },
    /** From now on this says what becomes of each request; nothing happens to them when it is left out. */
    faults(next: (passing: Passing) => Fault | undefined = () => undefined): void {
      faultOf = next;
    },
    /** Resolves when no request is on its way, but for those that the test holds. */
    idle: () => (moving.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => moved.push(resolve))),
    /** From now on connections stay open after a POST too, and Chromium sends again by itself. */
    keepConnections(): void {
      keepsConnections = true;
    },
    /** How many requests of this method and path came so far, the lost ones too. */
    count: (method: string, place: string) => counts.get(`${method} ${place}`) ?? 0,
    async close(): Promise<void> {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function requestFrom(incoming: IncomingMessage, address: URL, body: string): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (name !== "connection") headers.set(name, String(value));
  }
  const { method = "GET" } = incoming;
  return new Request(address, { method, headers, ...(method !== "GET" && method !== "HEAD" && { body }) });
}

function answerInstead(
  outgoing: ServerResponse,
  { status, retryAfterSeconds }: { status: number; retryAfterSeconds?: number },
): void {
  outgoing.writeHead(status, {
    "content-type": "text/html",
    connection: "close",
    ...(retryAfterSeconds !== undefined && { "retry-after": String(retryAfterSeconds) }),
  });
  // As a proxy does: not in the words of the API.
  outgoing.end(`<h1>${status}</h1>`);
}
