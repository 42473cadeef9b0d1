import type { ClientOptions } from "./options.ts";
import type { Session } from "./session.ts";

export interface Credentials {
  /** The username or the e-mail address. */
  readonly username: string;
  readonly password: string;
  /** What the device list calls this device; default: the option of that name. */
  readonly device?: string;
}

/**
 * Why nobody is signed in any more: `signed_out` here or in another tab; `expired`, `revoked` or `reused` says the
 * server; `missing`: the stored credentials or the cookie are gone, and no tab said why.
 */
export type SignedOutReason = "signed_out" | "expired" | "revoked" | "reused" | "missing";

export interface ClientEvents {
  /** Somebody signed in, in this tab or another. */
  readonly signedIn: { readonly session: Session };
  /** A fresh access token is here. */
  readonly refreshed: { readonly session: Session };
  /** Nobody is signed in any more. */
  readonly signedOut: { readonly reason: SignedOutReason };
}

export interface Client {
  /**
   * Signs in with a password. Replaces whoever was signed in, in every tab.
   *
   * @throws KeyturnError `invalid_credentials`, `too_many_attempts` (with `retryAfterSeconds`), `busy`, `unavailable`.
   */
  signIn(credentials: Credentials): Promise<Session>;
  /**
   * Ends the session, or with `everywhere` all of the user's. What is kept here goes in any case; `told` is whether
   * the server heard of it.
   */
  signOut(options?: { readonly everywhere?: boolean }): Promise<{ readonly told: boolean }>;
  /**
   * `fetch` with the access token, for the issuer, the page's own origin and `apis`; other addresses get the
   * request as it is, and so does everything while nobody is signed in. Refreshes before the token ends, and once
   * after a 401.
   *
   * @throws KeyturnError `unavailable` when a token is needed and cannot be had within a minute; and what `fetch` throws.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Who is signed in. Asks the server only in cookie mode, at the first time. */
  session(): Promise<Session | undefined>;
  /**
   * A good access token, for what is not `fetch` (a WebSocket …).
   *
   * @throws KeyturnError `signed_out` when nobody is signed in; `unavailable`.
   */
  accessToken(): Promise<string>;
  /** Calls the listener at every event of that name; the answer stops it. */
  on<E extends keyof ClientEvents>(event: E, listener: (detail: ClientEvents[E]) => void): () => void;
  /** Stops everything that runs, without signing out. */
  close(): void;
}

/**
 * Makes a client. Make one for each issuer when the page or the process starts, and keep it.
 *
 * @throws TypeError that names the wrong option.
 */
export function createClient(options: ClientOptions): Client {
  void options;
  throw new Error("not here yet");
}
