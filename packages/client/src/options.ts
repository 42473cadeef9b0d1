import type { CredentialStorage } from "./credential-storage.ts";
import { indexedDbStorage } from "./indexeddb-storage.ts";
import { memoryStorage } from "./memory-storage.ts";
import type { Fetch } from "./runtime.ts";

export interface ClientOptions {
  /** Keyturn's address, e.g. https://auth.example.com, or with a path https://example.com/auth. */
  readonly issuer: string;
  /**
   * `token` (the default): the client holds a refresh token and turns it. `cookie`: the browser holds a session
   * cookie that scripts cannot read; for pages of the same site as the issuer.
   */
  readonly mode?: "token" | "cookie" | undefined;
  /** Token mode. Default: `indexedDbStorage()` where there is IndexedDB, else `memoryStorage()`. */
  readonly storage?: CredentialStorage | undefined;
  /** Origins to which `fetch` adds the access token, besides the issuer's and the page's own. */
  readonly apis?: readonly string[] | undefined;
  /** What the device list calls this device. */
  readonly device?: string | undefined;
  /** Token mode: bind the session to a key of this device (RFC 9449). Default true where WebCrypto is there. */
  readonly dpop?: boolean | undefined;
  /** For special runtimes and tests. */
  readonly fetch?: Fetch | undefined;
  /** How long a tab waits for another's refresh before it goes ahead. Default 10, at most 60. */
  readonly lockSeconds?: number | undefined;
}

/** Options with every default filled in. */
export interface Settings {
  /** Without a slash at its end. It is also the name under which credentials are kept. */
  readonly issuer: string;
  readonly mode: "token" | "cookie";
  readonly storage: CredentialStorage;
  readonly origins: ReadonlySet<string>;
  readonly device: string | undefined;
  readonly dpop: boolean;
  readonly fetch: Fetch;
  readonly lockSeconds: number;
}

const lockSecondsMax = 60;

/** @throws TypeError that names the option, what it got and what it takes. */
function parseUrl(value: unknown, option: string): URL {
  const base = (globalThis as { location?: { href: string } }).location?.href;
  try {
    const url = new URL(value as string, base);
    if (/^https?:$/.test(url.protocol) && url.search === "" && url.hash === "") return url;
  } catch {
    // Told below.
  }
  throw wrong(option, value, "an http(s) address without a query");
}

const wrong = (option: string, value: unknown, takes: string) =>
  new TypeError(`createClient: ${option} takes ${takes}; got ${JSON.stringify(value) ?? String(value)}.`);

/**
 * Fills in the defaults.
 *
 * @throws TypeError that names the option, what it got and what it takes.
 */
export function readOptions(options: ClientOptions, pageOrigin: string | undefined): Settings {
  const { mode = "token", apis = [], device, dpop = true, fetch, lockSeconds = 10 } = options;
  const issuer = parseUrl(options.issuer, "issuer");
  if (mode !== "token" && mode !== "cookie") throw wrong("mode", mode, '"token" or "cookie"');
  if (!(lockSeconds >= 0 && lockSeconds <= lockSecondsMax)) {
    throw wrong("lockSeconds", lockSeconds, `a number from 0 to ${lockSecondsMax}`);
  }
  const origins = new Set([issuer.origin, ...apis.map((api) => parseUrl(api, "apis").origin)]);
  // A page from a file or in a sandbox has no origin of its own; it says "null".
  if (pageOrigin !== undefined && pageOrigin !== "null") origins.add(pageOrigin);
  return {
    issuer: issuer.href.replace(/\/+$/, ""),
    mode,
    storage: options.storage ?? ("indexedDB" in globalThis ? indexedDbStorage() : memoryStorage()),
    origins,
    device,
    dpop,
    // Looked up at each call: what instruments `fetch` replaces it later.
    fetch: fetch ?? ((input, init) => globalThis.fetch(input, init)),
    lockSeconds,
  };
}
