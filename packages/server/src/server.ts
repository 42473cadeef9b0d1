import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import type { App } from "./app.ts";
import { WrongSetting } from "./config.ts";
import { Refusal } from "./errors.ts";
import { type FetchHandler, fetchHandler } from "./fetch-handler.ts";
import { commonHeaders, refusalAnswer } from "./http/answers.ts";
import { limits } from "./primitives/limits.ts";

type Listener = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>;

/**
 * Keyturn for node:http and for Express.
 * @param fetch takes what the straight door leaves
 * @param ownsProcess whether the globals Request and Response may be replaced by the lighter ones of
 *   @hono/node-server, which are some tens of microseconds a request faster: not in somebody else's process
 */
export function nodeHandler(
  { nodeDoor, settings }: Pick<App, "nodeDoor" | "settings">,
  fetch: FetchHandler,
  ownsProcess = false,
): Listener {
  // Only the address is handed on: the rest of the environment is of no use to the endpoints.
  const callback = (request: Request, env: unknown) => fetch(request, env as { incoming: IncomingMessage });
  const common = commonHeaders(settings.issuer);
  // The endpoints answer for themselves: what comes here has a Host or a path that makes no address.
  const errorHandler = () => {
    const description = "The address of the request or its Host header is malformed.";
    const refusal = new Refusal("invalid_request", { description });
    const { text, ...init } = refusalAnswer(refusal, common);
    return new Response(text, init);
  };
  const listener = getRequestListener(callback, { overrideGlobalObjects: ownsProcess, errorHandler });
  return (incoming, outgoing) => {
    const served = nodeDoor(incoming, outgoing);
    if (served !== undefined) return served;
    restoreBody(incoming);
    return listener(incoming, outgoing);
  };
}

/** Behind a body parser, as express.json(), the bytes are gone; what they said is made into bytes again. */
function restoreBody(incoming: IncomingMessage & { body?: unknown; rawBody?: unknown }): void {
  const { body, rawBody, readableEnded } = incoming;
  if (body === undefined || rawBody !== undefined || !readableEnded) return;
  incoming.rawBody = Buffer.isBuffer(body) ? body : Buffer.from(bodyText(incoming, body));
}

function bodyText({ headers }: IncomingMessage, body: unknown): string {
  if (typeof body === "string") return body;
  if (!/^application\/x-www-form-urlencoded\b/i.test(headers["content-type"] ?? ""))
    return JSON.stringify(body);
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(body as Record<string, unknown>)) {
    // A repeated field was made a list; it is sent on as it came, to be refused.
    for (const one of [value].flat()) form.append(name, String(one));
  }
  return form.toString();
}

export interface RunningServer {
  readonly port: number;
  readonly host: string;
  /**
   * Takes no more connections, lets requests under way end (for at most `drainSeconds`), then closes the app.
   * Idempotent.
   */
  stop(drainSeconds?: number): Promise<void>;
}

/** An address that this process listens on, before there is an app: requests are told to come back (503). */
export interface BoundServer {
  readonly server: Server;
  readonly port: number;
  readonly host: string;
}

/**
 * Takes the host and port: whether they are free, and which port the system chose, is known before anything is made.
 * @throws WrongSetting when the address cannot be listened on, with one line that names the setting
 */
export async function bind(address: { port: number; host: string }): Promise<BoundServer> {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      // Refused by the handler instead, in the words of the catalogue.
      requireHostHeader: false,
      requestTimeout: 30_000,
      headersTimeout: 15_000,
      keepAliveTimeout: 65_000,
    },
    answerStarting,
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenProblem(error, address)));
    server.listen(address.port, address.host, resolve);
  });
  return { server, port: (server.address() as AddressInfo).port, host: address.host };
}

/**
 * Serves the app on the host and port of the settings, or on what was bound before.
 * @throws WrongSetting when the address cannot be listened on, with one line that names the setting
 */
export async function listen(app: App, bound?: BoundServer): Promise<RunningServer> {
  const { server, port, host } = bound ?? (await bind(app.settings));
  server.off("request", answerStarting);
  server.on("request", nodeHandler(app, fetchHandler(app), true));
  server.on("clientError", refuseUnreadable(commonHeaders(app.settings.issuer)));
  const sockets = socketsOf(server);
  let stopping: Promise<void> | undefined;
  const stopOnce = (drainSeconds = 10) => (stopping ??= stop({ server, sockets, app, drainSeconds }));
  return { port, host, stop: stopOnce };
}

/** Answers what node:http cannot read as a request. The connection is of no use after that. */
function refuseUnreadable(common: Readonly<Record<string, string>>) {
  return (
    error: NodeJS.ErrnoException,
    socket: Duplex & { _httpMessage?: { headersSent?: boolean } },
  ): void => {
    // Node's own handler looks at the same two: no bytes may get into an answer that is under way.
    if (!socket.writable || socket._httpMessage?.headersSent === true) {
      socket.destroy();
      return;
    }
    const { status, headers, text } = refusalAnswer(unreadable(error.code), common);
    const fields = { ...headers, "Content-Length": Buffer.byteLength(text), Connection: "close" };
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${text}`);
    socket.once("finish", () => socket.destroy());
  };
}

function unreadable(code: string | undefined): Refusal {
  if (code === "HPE_HEADER_OVERFLOW") return new Refusal("headers_too_large");
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new Refusal("request_timeout");
  return new Refusal("invalid_request", { description: "This is not a request of HTTP/1.1." });
}

function answerStarting(_incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.writeHead(503, { "Content-Type": "application/json", "Retry-After": "1", Connection: "close" });
  outgoing.end(
    JSON.stringify({ error: "unavailable", error_description: "The server is starting. Try again." }),
  );
}

const IDLE_SWEEP_MILLISECONDS = 50;
const REQUESTS_ARRIVE_MILLISECONDS = 30;

/** The connections that are open. */
function socketsOf(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

async function stop({
  server,
  sockets,
  app,
  drainSeconds,
}: {
  server: Server;
  sockets: ReadonlySet<Socket>;
  app: App;
  drainSeconds: number;
}): Promise<void> {
  app.stopping();
  // Streams never end by themselves.
  app.revocations.stop();
  const closed = new Promise<void>((resolve) => server.once("close", resolve));
  sayClose(server, sockets);
  // No new connections; but those that are open and idle are not closed yet, as http.Server would: requests that were
  // sent on them before anybody could know are read and answered.
  NetServer.prototype.close.call(server);
  await Promise.race([closed, pause(sockets.size === 0 ? 0 : REQUESTS_ARRIVE_MILLISECONDS)]);
  server.close(() => {});
  // A connection whose last answer ends from now on is kept open by Node for the next request: it is idle then too.
  // One that was opened in advance and has not said a word counts as busy there.
  const sweep = setInterval(() => {
    server.closeIdleConnections();
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  }, IDLE_SWEEP_MILLISECONDS);
  const timer = setTimeout(() => server.closeAllConnections(), drainSeconds * 1000);
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
  await app.close();
}

/**
 * RFC 9112 §9.6: "A server that intends to close a connection" says so in its answer. Else a client that always has
 * something to ask keeps its connection busy until it is cut at the end of the drain, or sends a request into its end.
 */
function sayClose(server: Server, sockets: ReadonlySet<Socket>): void {
  server.prependListener("request", (_incoming, outgoing) => {
    outgoing.shouldKeepAlive = false;
  });
  for (const socket of sockets as ReadonlySet<Socket & { _httpMessage?: ServerResponse | null }>) {
    const answer = socket._httpMessage;
    if (answer && !answer.headersSent) answer.shouldKeepAlive = false;
  }
}

function listenProblem(error: NodeJS.ErrnoException, settings: { port: number; host: string }): Error {
  switch (error.code) {
    case "EADDRINUSE":
      return new WrongSetting(
        `PORT is ${settings.port}, which another program listens on; it takes a free port, or 0.`,
      );
    case "EACCES":
      return new WrongSetting(
        `PORT is ${settings.port}, which this user may not listen on; it takes one above 1023.`,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new WrongSetting(
        `HOST is ${settings.host}, which is no address of this machine; it takes one, or 0.0.0.0.`,
      );
    default:
      return error;
  }
}
