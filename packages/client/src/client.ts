import { createAccessKeeper } from "./access.ts";
import { createApiFetch } from "./api-fetch.ts";
import { type ClientEvents, createEvents } from "./events.ts";
import type { AddedPasskey, NewConnection, NewPasskey, Proof, Provider, SignInOptions, Ways } from "./how.ts";
import { createIssuer } from "./issuer.ts";
import { KeyturnError } from "./keyturn-error.ts";
import type { Mode, SignOutOptions } from "./mode.ts";
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
   * Signs in, and replaces whoever was signed in, in every tab: with a password, a passkey, a provider (then the page
   * is left, and nothing comes after it), or a recovery code where a passkey that is lost was the only way in.
   *
   * @throws KeyturnError `invalid_credentials`, `too_many_attempts` (with `retryAfterSeconds`), `busy`, `unavailable`;
   *   `second_factor_required` and `second_factor_enrolment_required`, whose `secondStep` leads on; `no_passkey`.
   */
  signIn(how: SignInOptions): Promise<Session>;
  /**
   * For the page that a provider leads back to: signs in by what its address brings, which it takes out of there.
   * Undefined when it brings nothing.
   *
   * @param address Default: the page's.
   * @throws KeyturnError `invalid_handover` when it was not begun in this browser, took too long or was used; and as
   *   `signIn`.
   */
  finishSignIn(address?: string): Promise<Session | undefined>;
  /**
   * Proves again who is signed in, for APIs that want a recent or a stronger proof: the next token says so.
   *
   * @throws KeyturnError `wrong_proof`, `too_many_attempts`, `signed_out`, `no_passkey`, `unavailable`.
   */
  proveAgain(proof: Proof): Promise<void>;
  /** Whom people can sign in with besides a password. */
  providers(): Promise<readonly Provider[]>;
  /**
   * Another way to sign in for who is signed in: a passkey, or in cookie mode a provider (then the page is left).
   *
   * @throws KeyturnError `step_up_required` when it was proven too long ago, or by one factor of two: `proveAgain`.
   */
  addSignIn(what: NewPasskey | NewConnection): Promise<AddedPasskey>;
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

  /** What is rarely needed, from the part of the client that has it. */
  const way = (name: keyof Ways) => async (given?: unknown) =>
    (await (await openMode()).ways())[name](given as never, apiFetch) as never;

  return {
    signIn: way("signIn"),
    finishSignIn: way("finishSignIn"),
    proveAgain: way("proveAgain"),
    providers: way("providers"),
    addSignIn: way("addSignIn"),
    signOut: async (signOutOptions) => (await openMode()).signOut(signOutOptions),
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
