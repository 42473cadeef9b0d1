import type { IncomingMessage, ServerResponse } from "node:http";
import type { Arrival } from "./http/arrival.ts";
import type { Log } from "./observability/log.ts";
import type { Departure, Pipeline, Row } from "./pipeline.ts";
import { limits } from "./primitives/limits.ts";

/** Serves a request, or answers undefined: then it is for the other door. */
export type NodeDoor = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void> | undefined;

/**
 * The straight way from node:http to the rows of the URL map: for plain requests to a fixed address, which are nearly
 * all. What makes a Request, a Headers and a Response of them, and finds their way, is a quarter of the processor time
 * of a refresh (ADR 0045). Everything else (pages, parameters in the path, a query, preflights, streams, bodies of
 * unknown length, refusals of addresses and methods) goes through routes.ts. The pipeline behind both is the same.
 */
export function createNodeDoor(parts: {
  readonly pipeline: Pipeline;
  readonly settings: { readonly issuer: string; readonly allowedOrigins: readonly string[] };
  readonly log: Log;
}): NodeDoor {
  const { pipeline, settings, log } = parts;
  const base = new URL(settings.issuer).pathname.replace(/\/$/, "");
  const rows = new Map<string, Pick<Serving, "row" | "rowLines">>();
  for (const row of pipeline.rows) {
    const { method, path, streams } = row.endpoint;
    if (path.includes(":") || streams === true) continue;
    const found = { row, rowLines: linesOf(row.headers) };
    rows.set(`${method} ${path}`, found);
    rows.set(`${method} ${base}${path}`, found);
  }
  // What is allowed to whom is said by the CORS of routes.ts.
  const isForOthers = (origin: string | undefined) =>
    origin !== undefined && settings.allowedOrigins.length > 0;

  return (incoming, outgoing) => {
    const found = rows.get(`${incoming.method} ${incoming.url}`);
    if (found === undefined) return undefined;
    const header = headersOf(incoming);
    if (!isPlain(incoming, header) || isForOthers(header("origin"))) return undefined;
    return serve({ ...found, incoming, outgoing, header, log });
  };
}

/** Of names and of addresses in numbers. What else stands in a Host header is looked at by the other door. */
const PLAIN_HOST = /^[\w.-]+(:\d{1,5})?$|^\[[\da-f:.]+\](:\d{1,5})?$/i;
/** A page may live at the address of an endpoint, for who asks for one. */
const WANTS_HTML = /\btext\/html\b/i;

function isPlain(incoming: IncomingMessage & { body?: unknown }, header: Header): boolean {
  const length = header("content-length");
  return (
    PLAIN_HOST.test(header("host") ?? "") &&
    !WANTS_HTML.test(header("accept") ?? "") &&
    header("transfer-encoding") === undefined &&
    (length === undefined || Number(length) <= limits.bodyBytesMax) &&
    // Behind a body parser the bytes are gone: server.ts makes them again.
    incoming.body === undefined &&
    !incoming.readableEnded
  );
}

type Header = Arrival["header"];

/**
 * Headers as the Fetch Standard reads them: one that is sent twice is one, joined. `incoming.headers` drops the second of
 * some instead (Authorization, User-Agent), and so would not refuse what must be refused.
 */
function headersOf({ rawHeaders }: IncomingMessage): Header {
  return (name) => {
    let value: string | undefined;
    for (let at = 0; at < rawHeaders.length; at += 2) {
      const given = rawHeaders[at] as string;
      if (given.length !== name.length || given.toLowerCase() !== name) continue;
      const more = rawHeaders[at + 1] as string;
      value = value === undefined ? more : `${value}${name === "cookie" ? "; " : ", "}${more}`;
    }
    return value;
  };
}

const ONLY_STREAMS = "Bug in Keyturn: an endpoint without `streams` streams, or waits for its caller to go";

interface Serving {
  readonly row: Row;
  /** The headers that nearly all of its answers have. */
  readonly rowLines: readonly string[];
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly header: Header;
  readonly log: Log;
}

async function serve({ row, rowLines, incoming, outgoing, header, log }: Serving): Promise<void> {
  const departure = await row.serve({
    method: row.endpoint.method,
    path: row.endpoint.path,
    pathParameters: () => ({}),
    queries: () => ({}),
    header,
    readBody: () => bodyOf(incoming),
    socketAddress: incoming.socket.remoteAddress,
    signal: () => {
      throw new TypeError(ONLY_STREAMS);
    },
  });
  try {
    send(departure, { row, rowLines, outgoing });
  } catch (error) {
    // A header that cannot be sent: nothing has left yet.
    log.error({ err: error, endpoint: row.endpoint.path }, "An answer could not be sent");
    outgoing.destroy();
  }
}

/** It is as long as was announced, and that was looked at. */
function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let isWhole = false;
    // An error is dear to make, and every request closes.
    const isOver = () => isWhole || reject(new Error("The caller is gone"));
    if (incoming.destroyed) isOver();
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      isWhole = true;
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    });
    incoming.on("error", isOver);
    incoming.on("close", isOver);
  });
}

/** As node:http takes them the fastest way: name, value, name, value. */
const linesOf = (headers: Departure["headers"]): readonly string[] => Object.entries(headers).flat();

function send(
  { status, headers, body }: Departure,
  { row, rowLines, outgoing }: Pick<Serving, "row" | "rowLines" | "outgoing">,
): void {
  if (body instanceof ReadableStream) throw new TypeError(ONLY_STREAMS);
  // RFC 9110 §8.6: no Content-Length with 204 and 304.
  const isEmpty = body === undefined && (status === 204 || status === 304);
  const text = body ?? "";
  const bytes = Buffer.byteLength(text);
  const lines = headers === row.headers ? rowLines : linesOf(headers);
  outgoing.writeHead(status, isEmpty ? [...lines] : [...lines, "Content-Length", String(bytes)]);
  // As many bytes as characters: ASCII, which is written the faster way.
  outgoing.end(text, bytes === text.length ? "latin1" : "utf8");
}
