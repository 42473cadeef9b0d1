import type { Session, User } from "./session.ts";

/** How somebody signs in by OpenID Connect: the words of it, without what makes them happen. */

export interface OidcUser extends User {
  /** What the ID token says of them, e.g. `auth_time`, `acr`, `amr`, and whatever the scopes ask for. */
  readonly claims: Readonly<Record<string, unknown>>;
}

export interface OidcSession extends Session {
  /** `id` is the provider's `sub`. */
  readonly user: OidcUser;
}

export interface OidcArrival extends OidcSession {
  /** As it was given to `signIn`. */
  readonly returnTo: string | undefined;
}

export interface OidcSignIn {
  /** In a window of its own. Call it from a click, or browsers block the window. */
  readonly popup?: boolean | { readonly width: number; readonly height: number };
  /** Where the page goes on afterwards, at its origin: kept here and given back, never sent. Default: this page. */
  readonly returnTo?: string;
  /** `login`, `consent`, `select_account`, `none` …, separated by spaces. */
  readonly prompt?: string;
  /** Who is likely to sign in: a name or an address. */
  readonly loginHint?: string;
  /** Languages of the provider's pages, in the order of preference: `de en`. */
  readonly uiLocales?: string;
  /** Seconds since they last proved who they are; 0: now. */
  readonly maxAge?: number;
  /** How sure it has to be, in the order of preference. */
  readonly acrValues?: string;
  /** Default: the client's. */
  readonly scope?: string;
  /** What this provider knows besides, e.g. `{ audience: "…" }`. */
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface OidcSignOut {
  /** At the provider too: the page is left for it. Else only this application's session is over. */
  readonly atProvider?: boolean;
  /** Comes back with who returns to `postLogoutRedirectUri`. */
  readonly state?: string;
}
