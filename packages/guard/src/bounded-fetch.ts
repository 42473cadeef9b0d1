/** Fetching a small JSON document from a server that may be slow, broken or hostile. */

export type Fetch = typeof fetch;

export type FetchedJson = { readonly status: number; readonly headers: Headers; readonly body: unknown };

const bytesMax = 262_144;
const timeoutMsDefault = 5000;

const isLoopback = (host: string) =>
  host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);

/**
 * Parses an address that keys or credentials travel to or from.
 *
 * @throws TypeError unless it is https, or http to this machine itself.
 */
export function parseSafeUrl(text: string, name: string): URL {
  if (!URL.canParse(text))
    throw new TypeError(`${name} must be an absolute URL; got ${JSON.stringify(text)}.`);
  const url = new URL(text);
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname))) return url;
  throw new TypeError(`${name} must be https (http only on localhost); got ${JSON.stringify(text)}.`);
}

async function readBounded(response: Response, url: string): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    bytes += part.value.byteLength;
    if (bytes > bytesMax) {
      await reader.cancel().catch(() => {});
      throw new Error(`${url} answered with more than ${bytesMax} bytes`);
    }
    text += decoder.decode(part.value, { stream: true });
  }
  return text + decoder.decode();
}

export type JsonRequest = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Default 5000. */
  readonly timeoutMs?: number;
};

/**
 * Fetches JSON: at most 256 KB, within 5 seconds unless the request says otherwise, no redirect followed. `body` is undefined unless the status is 200.
 *
 * @throws Error with a sentence that names the address and what went wrong.
 */
export async function fetchJson(
  fetch: Fetch,
  url: string,
  { timeoutMs = timeoutMsDefault, headers, ...request }: JsonRequest = {},
): Promise<FetchedJson> {
  let text: string;
  let response: Response;
  try {
    // "manual" and not "error": some runtimes do not know the latter. A redirect is then simply not a 200.
    const signal = AbortSignal.timeout(timeoutMs);
    response = await fetch(url, {
      ...request,
      redirect: "manual",
      signal,
      headers: { accept: "application/json", ...headers },
    });
    if (response.status !== 200) {
      await response.body?.cancel().catch(() => {});
      return { status: response.status, headers: response.headers, body: undefined };
    }
    text = await readBounded(response, url);
  } catch (cause) {
    if (cause instanceof Error && cause.message.startsWith(url)) throw cause;
    throw new Error(`${url} could not be fetched: ${describe(cause, timeoutMs)}`, { cause });
  }
  try {
    return { status: 200, headers: response.headers, body: JSON.parse(text) };
  } catch (cause) {
    throw new Error(`${url} did not answer with JSON`, { cause });
  }
}

/** The innermost words of an error: a failed fetch hides "connection refused" in its cause. */
function describe(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} seconds`;
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" ? cause.message : error.message;
}
