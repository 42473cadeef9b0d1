import { createAccessKeeper } from "./access.ts";
import { createApiFetch } from "./api-fetch.ts";
import { type ClientEvents, createEvents } from "./events.ts";
import { createIssuer } from "./issuer.ts";
import { KeyturnError } from "./keyturn-error.ts";
import type { Credentials, Mode, SignOutOptions } from "./mode.ts";
import { onDemand } from "./on-demand.ts";
import { type ClientOptions, readOptions } from "./options.ts";
import { createPresence } from "./presence.ts";
import { createProofs } from "./proofs.ts";
import { type Fetch, findRuntime, type Runtime } from "./runtime.ts";
import type { Session } from "./session.ts";
import { createTokenMode } from "./token-mode.ts";
import { tools } from "./tools.ts";

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
  signOut(options?: SignOutOptions): Promise<{ readonly told: boolean }>;
  /**
   * `fetch` with the access token, for the issuer, the page's own origin and `apis`; other addresses get the
   * request as it is, and so does everything while nobody is signed in. Refreshes before the token ends, and once
   * after a 401.
   *
   * @throws KeyturnError `unavailable` when a token is needed and cannot be had within a minute; and what `fetch` throws.
   */
  readonly fetch: Fetch;
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

/** {@link createClient} in a world that tests replace. */
export function createClientWith(options: ClientOptions, internals: Partial<Runtime>): Client {
  const runtime: Runtime = { ...findRuntime(), ...internals };
  const settings = readOptions(options, runtime.pageOrigin);
  const closing = new AbortController();
  const closed = closing.signal;
  const events = createEvents();
  const world = { settings, runtime, proofs: createProofs(runtime), closed };
  const access = createAccessKeeper(world, async () => (await findMode()).renew());
  const presence = createPresence(events, access.set);
  const parts = { ...world, issuer: createIssuer(world), access, presence, tools };
  const findMode = onDemand<Mode>(async () =>
    settings.mode === "token"
      ? createTokenMode(parts)
      : (await import("./cookie-mode.ts")).createCookieMode(parts),
  );
  // At once; when it cannot be loaded now, again at the next use.
  findMode().catch(() => {});
  const apiFetch = createApiFetch(parts);

  function assertOpen(): void {
    if (closed.aborted) throw new KeyturnError("closed", "This client was closed");
  }

  async function openMode(): Promise<Mode> {
    assertOpen();
    return findMode();
  }

  return {
    signIn: async (credentials) => (await openMode()).signIn(credentials),
    signOut: async (signOutOptions = {}) => (await openMode()).signOut(signOutOptions),
    session: async () => (await openMode()).session(),
    async accessToken() {
      assertOpen();
      return (await access.get()).token;
    },
    async fetch(input, init) {
      assertOpen();
      return apiFetch(input, init);
    },
    on: events.on,
    close: () => closing.abort(),
  };
}

/**
 * Makes a client. Make one for each issuer when the page or the process starts, and keep it.
 *
 * @throws TypeError that names the wrong option.
 */
export function createClient(options: ClientOptions): Client {
  return createClientWith(options, {});
}
