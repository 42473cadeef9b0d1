/**
 * A request as it came in, whichever door it came in by. What costs something to make (a query taken apart, a signal)
 * is a function: most endpoints never ask.
 */
export interface Arrival extends ArrivingBody {
  readonly method: string;
  /** As it was sent, without the query. */
  readonly path: string;
  pathParameters(): Readonly<Record<string, string>>;
  queries(): Record<string, string[]>;
  /** The other end of the connection; a proxy, where there is one. */
  readonly socketAddress: string | undefined;
  /** Aborted when the caller is gone. */
  signal(): AbortSignal;
}

/** What reading a body needs. */
export interface ArrivingBody {
  /** By its name in small letters. One that was sent twice comes as one, joined by a comma (RFC 9110 §5.3). */
  header(name: string): string | undefined;
  /**
   * All bytes of the body; undefined when there are more than `bytesMax`.
   * Rejects when they cannot be read to their end.
   */
  readBody(bytesMax: number): Promise<Uint8Array | undefined>;
}

/** That of a request as the Fetch Standard has them. */
export function fetchBody(request: Request): ArrivingBody {
  return {
    header: (name) => request.headers.get(name) ?? undefined,
    // node:http holds a body to its Content-Length. Elsewhere, and without one, the bytes are counted.
    async readBody(bytesMax) {
      if (!request.headers.has("content-length")) return readCounted(request, bytesMax);
      const bytes = new Uint8Array(await request.arrayBuffer());
      return bytes.byteLength > bytesMax ? undefined : bytes;
    },
  };
}

async function readCounted({ body }: Request, bytesMax: number): Promise<Uint8Array | undefined> {
  if (body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
