import { type ClientOptions, parseUrl, readOptions, type Settings } from "./options.ts";

export interface OidcClientOptions
  extends Pick<ClientOptions, "apis" | "storage" | "dpop" | "fetch" | "lockSeconds"> {
  /** The provider's issuer identifier, letter for letter as its discovery document says it. */
  readonly issuer: string;
  /** The id of this application there: a public client, which has no secret. */
  readonly clientId: string;
  /** A page of this origin that calls `finishSignIn()`; registered there. May be relative to the page. */
  readonly redirectUri: string;
  /** Default `openid profile offline_access`. */
  readonly scope?: string | undefined;
  /** APIs that the access token is to be for (RFC 8707). */
  readonly resource?: string | readonly string[] | undefined;
  /** Where the provider leads to after `signOut({ atProvider: true })`; registered there. May be relative. */
  readonly postLogoutRedirectUri?: string | undefined;
}

/** Options with their defaults filled in. */
export interface OidcSettings {
  readonly issuer: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scope: string;
  readonly resources: readonly string[];
  readonly postLogoutRedirectUri: string | undefined;
}

/** A refresh is given up after 15 seconds. A provider that forgives no second use must not see one from another tab before. */
const lockSecondsDefault = 20;
const scopeDefault = "openid profile offline_access";

interface Place {
  readonly pageOrigin: string | undefined;
  readonly pageUrl: string | undefined;
}

/**
 * Fills in the defaults: what every client has, and what OpenID Connect asks besides.
 *
 * @throws TypeError that names the option, what it got and what it takes.
 */
export function readOidcOptions(
  options: OidcClientOptions,
  { pageOrigin, pageUrl }: Place,
): { settings: Settings; oidc: OidcSettings } {
  const { clientId, scope = scopeDefault, resource = [] } = options;
  function check(option: keyof OidcClientOptions, isRight: boolean, takes: string): void {
    const got = JSON.stringify(options[option]);
    if (!isRight) throw new TypeError(`createOidcClient: ${option} takes ${takes}; got ${got}.`);
  }
  function readPage(option: "redirectUri" | "postLogoutRedirectUri"): string {
    const url = parseUrl(options[option] as string, pageUrl);
    // RFC 6749 §3.1.2: "The endpoint URI MUST NOT include a fragment component."
    check(
      option,
      url !== undefined && !url.hash && options[option] !== undefined,
      "an address without a fragment",
    );
    return (url as URL).href;
  }
  check(
    "clientId",
    typeof clientId === "string" && clientId !== "",
    "the id of this application at the issuer",
  );
  // OpenID Connect Core §3.1.2.1: "OpenID Connect requests MUST contain the openid scope value."
  check("scope", scope.split(" ").includes("openid"), "scopes with openid among them");
  const redirectUri = readPage("redirectUri");
  const { issuer, apis, storage, dpop, fetch, lockSeconds = lockSecondsDefault } = options;
  let settings: Settings;
  try {
    settings = readOptions({ issuer, apis, storage, dpop, fetch, lockSeconds }, pageOrigin);
  } catch (error) {
    throw new TypeError((error as Error).message.replace("createClient", "createOidcClient"));
  }
  // Discovery §4.3 compares letter for letter; only what is no address by itself is made one.
  const exact = parseUrl(issuer, undefined) ? issuer : settings.issuer;
  return {
    // Sessions of several applications at one issuer, and those of its first-party API, are each their own.
    settings: { ...settings, issuer: `${exact}#${clientId}` },
    oidc: {
      ...{ issuer: exact, clientId, redirectUri, scope },
      resources: typeof resource === "string" ? [resource] : resource,
      postLogoutRedirectUri:
        options.postLogoutRedirectUri === undefined ? undefined : readPage("postLogoutRedirectUri"),
    },
  };
}
