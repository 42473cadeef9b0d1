import { type LookupAddress, type LookupOptions, lookup as systemLookup } from "node:dns";
import { type IncomingMessage, request as requestInTheClear } from "node:http";
import { type RequestOptions, request as requestOverTls } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { limits } from "../primitives/limits.ts";
import { isLoopback } from "../primitives/loopback.ts";
import { isSpecialAddress } from "./special-addresses.ts";

/** Why a request to elsewhere did not come to an answer. */
export type OutgoingProblem = "address" | "scheme" | "too_large" | "too_slow" | "too_many" | "network";

/** A request to elsewhere that was not made, or that came to no answer that may be read. */
export class OutgoingFailed extends Error {
  override readonly name = "OutgoingFailed";
  readonly problem: OutgoingProblem;

  constructor(problem: OutgoingProblem, host: string) {
    super(`A request to ${host} failed: ${problem}`);
    this.problem = problem;
  }
}

interface Sent {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

export type Outgoing = (url: string, sent: Sent) => Promise<Response>;

interface Dependencies {
  readonly settings: { readonly privateHosts: readonly string[] };
  /** From the beginning to the last byte. */
  readonly milliseconds?: number;
  readonly bytesMax?: number;
  /** For tests: who knows the addresses of names. */
  readonly lookup?: (
    hostname: string,
    options: LookupOptions & { all: true },
    callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
  ) => void;
}

/**
 * The one way out of this server for addresses that somebody else has named: https only, no private or special
 * address, no redirect, bounded in time and bytes. What is checked is the address that is then connected to, so a name
 * that answers with another address the second time (DNS rebinding) gains nothing.
 */
export function createOutgoing(dependencies: Dependencies): Outgoing {
  const {
    settings,
    milliseconds = limits.outgoingMillisecondsMax,
    bytesMax = limits.outgoingBytesMax,
    lookup = systemLookup,
  } = dependencies;
  const trusted = new Set(settings.privateHosts);
  let underWay = 0;

  return async function outgoing(address, { method, headers, body, signal }) {
    const url = new URL(address);
    const isTrusted = trusted.has(url.host);
    if (!(url.protocol === "https:" || (isTrusted && isPlainLoopback(url))) || url.username || url.password) {
      throw new OutgoingFailed("scheme", url.host);
    }
    const hostname = url.hostname.replace(/^\[(.*)\]$/, "$1");
    // For an address in the place of a name nobody is asked.
    if (!isTrusted && isIP(hostname) !== 0 && isSpecialAddress(hostname)) {
      throw new OutgoingFailed("address", url.host);
    }
    if (underWay >= limits.outgoingAtOnceMax) throw new OutgoingFailed("too_many", url.host);
    underWay++;
    const timeout = AbortSignal.timeout(milliseconds);
    const options: RequestOptions = {
      method,
      headers: { ...headers, "accept-encoding": "identity" },
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      lookup: isTrusted ? plainLookup(lookup) : guardedLookup(lookup),
      maxHeaderSize: limits.headerBytesMax,
      // A connection of its own, whose address was checked for this request.
      agent: false,
    };
    try {
      return await exchange({ url, options, body: textOf(body), bytesMax });
    } catch (error) {
      if (error instanceof OutgoingFailed) throw error;
      throw new OutgoingFailed(timeout.aborted ? "too_slow" : "network", url.host);
    } finally {
      underWay--;
    }
  };
}

function isPlainLoopback({ protocol, hostname }: URL): boolean {
  return protocol === "http:" && isLoopback(hostname);
}

function textOf(body: unknown): string | undefined {
  return body === undefined || body === null ? undefined : String(body);
}

type Lookup = NonNullable<Dependencies["lookup"]>;

/** Hands on only addresses of public servers; a name that has none of them does not resolve. */
function guardedLookup(lookup: Lookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, "", 0);
      const open = addresses.filter(({ address }) => !isSpecialAddress(address));
      if (open.length === 0) return callback(new OutgoingFailed("address", hostname), "", 0);
      answer(open, options, callback);
    });
  };
}

function plainLookup(lookup: Lookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) =>
      error === null ? answer(addresses, options, callback) : callback(error, "", 0),
    );
  };
}

function answer(
  addresses: readonly LookupAddress[],
  options: LookupOptions,
  callback: Parameters<LookupFunction>[2],
): void {
  const [first] = addresses;
  if (options.all === true) callback(null, [...addresses]);
  else callback(null, first?.address ?? "", first?.family ?? 0);
}

function exchange(sending: {
  url: URL;
  options: RequestOptions;
  body: string | undefined;
  bytesMax: number;
}): Promise<Response> {
  const { url, options, body, bytesMax } = sending;
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const send = url.protocol === "https:" ? requestOverTls : requestInTheClear;
  const request = send(url, options);
  request.on("error", reject);
  request.on("response", (incoming) => {
    readAll(incoming, bytesMax).then(
      (bytes) => resolve(responseOf(incoming, bytes)),
      (error) => {
        reject(error === TOO_LARGE ? new OutgoingFailed("too_large", url.host) : error);
        request.destroy();
      },
    );
  });
  request.end(body);
  return promise;
}

const TOO_LARGE = Symbol("more bytes than are read");

async function readAll(incoming: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw TOO_LARGE;
    chunks.push(chunk);
  }
  if (!incoming.complete) throw new Error("The answer was cut off");
  return Buffer.concat(chunks);
}

/** A redirect is an answer like another: whoever reads it finds that it is not the one that was asked for. */
function responseOf(incoming: IncomingMessage, bytes: Buffer): Response {
  const status = incoming.statusCode ?? 0;
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value);
  }
  // Fetch §6.4: other statuses than these make no Response, and some take no body.
  if (status < 200 || status > 599) throw new Error("The answer has no status that can be read");
  return new Response(bytes.length === 0 ? null : new Uint8Array(bytes), { status, headers });
}
