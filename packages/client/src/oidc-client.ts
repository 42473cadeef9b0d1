import { createAccessKeeper } from "./access.ts";
import { createApiFetch } from "./api-fetch.ts";
import { createEvents, type SignedOutReason } from "./events.ts";
import { KeyturnError } from "./keyturn-error.ts";
import type { OidcArrival, OidcSession, OidcSignIn, OidcSignOut } from "./oidc-how.ts";
import { createOidcIssuer, readJwt, readOidcTokens } from "./oidc-issuer.ts";
import { type OidcClientOptions, readOidcOptions } from "./oidc-options.ts";
import { leaveFor, openPopup, placeToReturn, takeAnswer } from "./oidc-page.ts";
import { createProvider, encodeForm } from "./oidc-provider.ts";
import type { Answer } from "./oidc-signing.ts";
import { onDemand } from "./on-demand.ts";
import { createPresence } from "./presence.ts";
import { createProofs } from "./proofs.ts";
import { type Fetch, findRuntime, type Runtime } from "./runtime.ts";
import type { Signing } from "./signing.ts";
import { createTokenMode } from "./token-mode.ts";
import { tools } from "./tools.ts";

export interface OidcEvents {
  /** Somebody signed in, in this tab or another. */
  readonly signedIn: { readonly session: OidcSession };
  /** A fresh access token is here. */
  readonly refreshed: { readonly session: OidcSession };
  /** Nobody is signed in any more. */
  readonly signedOut: { readonly reason: SignedOutReason };
}

export interface OidcClient {
  /**
   * Leaves the page for the provider's, and comes back to `redirectUri`; with `popup` in a window of its own, and
   * resolves when somebody has signed in there.
   *
   * @throws KeyturnError `invalid_issuer`, `invalid_request` (`returnTo`), `unavailable`, `cancelled` (back by the back button); with `popup`
   *   `popup_blocked`, `popup_closed`, and as `finishSignIn`.
   */
  signIn(how?: OidcSignIn): Promise<OidcArrival>;
  /**
   * For the page at `redirectUri`: takes what the provider has led back with out of the address, and signs in by it.
   * Undefined when there is nothing. In a window of `popup` it hands that over and closes the window.
   *
   * @throws KeyturnError the provider's code (`access_denied`, `login_required` …), `invalid_state`, `invalid_answer`,
   *   `invalid_id_token`, `invalid_grant`, `unavailable`.
   */
  finishSignIn(): Promise<OidcArrival | undefined>;
  /**
   * Ends this application's session: what is kept here goes in any case, `told` is whether the provider heard of it.
   * With `atProvider` the page is left, and nothing comes after it; it resolves only where the provider has no such page.
   */
  signOut(options?: OidcSignOut): Promise<{ readonly told: boolean }>;
  /**
   * `fetch` with the access token, for the issuer, the page's own origin and `apis`; as that of `createClient`.
   *
   * @throws KeyturnError `unavailable` when a token is needed and cannot be had within a minute; and what `fetch` throws.
   */
  readonly fetch: Fetch;
  /** Who is signed in. Asks nobody. */
  session(): Promise<OidcSession | undefined>;
  /**
   * A good access token, for what is not `fetch`.
   *
   * @throws KeyturnError `signed_out` when nobody is signed in; `unavailable`.
   */
  accessToken(): Promise<string>;
  /** Calls the listener at every event of that name; the answer stops it. */
  on<E extends keyof OidcEvents>(event: E, listener: (detail: OidcEvents[E]) => void): () => void;
  /** Stops everything that runs, without signing out. */
  close(): void;
}

/** {@link createOidcClient} in a world that tests replace. */
export function createOidcClientWith(options: OidcClientOptions, internals: Partial<Runtime>): OidcClient {
  const runtime: Runtime = { ...findRuntime(), ...internals };
  const { settings, oidc } = readOidcOptions(options, runtime);
  const closing = new AbortController();
  const closed = closing.signal;
  const events = createEvents();
  const world = { settings, runtime, proofs: createProofs(runtime), closed };
  const access = createAccessKeeper(world, () => mode.renew());
  const presence = createPresence(events, access.set);
  const provider = createProvider(world, oidc);
  const issuer = createOidcIssuer({ ...world, access }, oidc, provider);
  const parts = { ...world, issuer, access, presence, tools };
  // One session, kept as those of Keyturn's own API are: docs/adr/0034.
  const mode = createTokenMode(parts);
  const findSigning = async () => (await mode.ways()) as Signing;
  const oidcTools = [readJwt, readOidcTokens, encodeForm] as const;
  const findOidcSigning = onDemand(async () =>
    (await import("./oidc-signing.ts")).createOidcSigning({
      ...parts,
      oidc,
      provider,
      findSigning,
      oidcTools,
    }),
  );
  const findPopups = onDemand(() => import("./oidc-popup.ts"));
  const apiFetch = createApiFetch(parts);
  let pending: Answer | undefined;
  let finishing: Promise<OidcArrival | undefined> | undefined;

  function assertOpen(): void {
    if (closed.aborted) throw new KeyturnError("closed", "This client was closed");
  }

  const session = () => mode.session() as Promise<OidcSession | undefined>;

  async function signInByPopup(how: OidcSignIn): Promise<OidcArrival> {
    const returnTo = placeToReturn(how.returnTo);
    // Before anything is waited for: browsers open a window for a click, not for what comes of it later.
    const popup = openPopup(how.popup);
    try {
      const [signing, { waitForAnswer }] = await Promise.all([findOidcSigning(), findPopups()]);
      const leaving = await signing.begin(how, returnTo);
      const isUnderWay = async () => (await signing.isPopup(leaving.state)) !== undefined;
      const answer = await waitForAnswer(parts, { popup, leaving, isUnderWay });
      if (answer) return await signing.complete(answer);
      // The window has done it itself: who it is, the store says.
      const here = await session();
      if (!here) throw new KeyturnError("popup_closed", "Nobody was signed in in the window");
      return { ...here, returnTo };
    } finally {
      popup.close();
    }
  }

  async function finish(): Promise<OidcArrival | undefined> {
    const answer = takeAnswer(oidc.redirectUri) ?? pending;
    if (answer === undefined) return undefined;
    // It is in the address no more: while nothing of it was used it can be tried again.
    pending = answer;
    const signing = await findOidcSigning();
    await provider.metadata();
    pending = undefined;
    // Where nothing is stored that windows share, only the one that opened this one knows of it.
    const isForOther = (await signing.isPopup(answer.state)) ?? true;
    if (!isForOther || !(await (await findPopups()).handOver(parts, answer))) return signing.complete(answer);
    // Handed over: the page that waits goes on. A window that cannot be closed shows who is signed in.
    (globalThis as { close?: () => void }).close?.();
    await runtime.sleep(handedOverMs, closed);
    const here = await session();
    return here && { ...here, returnTo: undefined };
  }

  return {
    async signIn(how = {}) {
      assertOpen();
      if (how.popup) return signInByPopup(how);
      const { url } = await (await findOidcSigning()).begin(how, placeToReturn(how.returnTo));
      return leaveFor(url);
    },
    async finishSignIn() {
      assertOpen();
      // Frameworks call twice: the second call gets what the first one finds.
      finishing ??= finish().finally(() => {
        finishing = undefined;
      });
      return finishing;
    },
    async signOut({ atProvider = false, state } = {}) {
      assertOpen();
      const { storage, issuer: name } = settings;
      const record = atProvider ? await storage.read(name).catch(() => undefined) : undefined;
      // What is kept here goes first, whether the provider can be reached or not.
      const done = await mode.signOut();
      const metadata = atProvider ? await provider.metadata().catch(() => undefined) : undefined;
      const endpoint = metadata?.end_session_endpoint;
      if (endpoint === undefined) return done;
      // RP-Initiated Logout 1.0 §2.
      const url = new URL(endpoint);
      const form = {
        id_token_hint: record?.idToken,
        client_id: oidc.clientId,
        post_logout_redirect_uri: oidc.postLogoutRedirectUri,
        state,
      };
      for (const [field, value] of encodeForm(form)) url.searchParams.append(field, value);
      return leaveFor(url.href);
    },
    async fetch(input, init) {
      assertOpen();
      return apiFetch(input, init);
    },
    async session() {
      assertOpen();
      return session();
    },
    async accessToken() {
      assertOpen();
      return (await access.get()).token;
    },
    on: events.on as OidcClient["on"],
    close: () => closing.abort(),
  };
}

/** How long a window that has handed over what came may take to go away. */
const handedOverMs = 3000;

/**
 * Makes a client that signs in by OpenID Connect: through Keyturn, or any other provider. Make one when the page
 * starts, and keep it.
 *
 * @throws TypeError that names the wrong option.
 */
export function createOidcClient(options: OidcClientOptions): OidcClient {
  return createOidcClientWith(options, {});
}
