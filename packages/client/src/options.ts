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

/** Options with their defaults filled in. */
export interface Settings extends ClientOptions {
  /** Without a slash at its end. It is also the name under which credentials are kept. */
  readonly issuer: string;
  readonly mode: "token" | "cookie";
  readonly storage: CredentialStorage;
  readonly origins: ReadonlySet<string>;
  readonly fetch: Fetch;
  readonly lockSeconds: number;
}

/** Undefined when it is no address. */
export function parseUrl(text: string, base: string | undefined): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

/**
 * Fills in the defaults.
 *
 * @throws TypeError that names the option, what it got and what it takes.
 */
export function readOptions(options: ClientOptions, pageOrigin: string | undefined): Settings {
  const { mode = "token", apis = [], fetch, lockSeconds = 10 } = options;
  function check(option: keyof ClientOptions, isRight: boolean | undefined, takes: string): void {
    const got = JSON.stringify(options[option]);
    if (!isRight) throw new TypeError(`createClient: ${option} takes ${takes}; got ${got}.`);
  }
  function readUrl(text: string, option: "issuer" | "apis"): URL {
    const url = parseUrl(text, (globalThis as { location?: { href: string } }).location?.href);
    const isRight = url && /^https?:$/.test(url.protocol) && !url.search && !url.hash;
    check(option, isRight, "http(s) addresses without a query");
    return url as URL;
  }
  const issuer = readUrl(options.issuer, "issuer");
  check("mode", mode === "token" || mode === "cookie", '"token" or "cookie"');
  check("lockSeconds", lockSeconds >= 0 && lockSeconds <= 60, "0 to 60");
  const origins = new Set([issuer.origin, ...apis.map((api) => readUrl(api, "apis").origin)]);
  // A page from a file or in a sandbox has no origin of its own; it says "null".
  if (pageOrigin && pageOrigin !== "null") origins.add(pageOrigin);
  return {
    ...options,
    issuer: issuer.href.replace(/\/+$/, ""),
    mode,
    storage: options.storage ?? ("indexedDB" in globalThis ? indexedDbStorage() : memoryStorage()),
    origins,
    // Looked up at each call: what instruments `fetch` replaces it later.
    fetch: fetch ?? ((input, init) => globalThis.fetch(input, init)),
    lockSeconds,
  };
}
