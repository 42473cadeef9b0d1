import type { CredentialStorage } from "./credential-storage.ts";

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
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** How long a tab waits for another's refresh before it goes ahead. Default 10, at most 60. */
  readonly lockSeconds?: number | undefined;
}
