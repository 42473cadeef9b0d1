import { type Fetch, fetchJson, parseSafeUrl } from "./bounded-fetch.ts";
import type { LoadedKeys } from "./key-set.ts";

type Metadata = {
  readonly jwksUri: string | undefined;
  readonly feedUrl: string | undefined;
  readonly introspectionUrl: string | undefined;
};

/** What the guard learns from an issuer over the network. */
export type Issuer = {
  /** @throws Error (rejects) with a sentence for the log. */
  loadKeys(): Promise<LoadedKeys>;
  /** Where the revocation feed is. @throws Error (rejects) with a sentence for the log. */
  feedUrl(): Promise<string>;
  /** Where it says what a token is worth (RFC 7662). @throws Error (rejects) with a sentence for the log. */
  introspectionUrl(): Promise<string>;
};

export type IssuerParts = {
  readonly issuer: string;
  readonly jwksUri: string | undefined;
  readonly fetch: Fetch;
  readonly elapsedMs: () => number;
};

const metadataLifeMs = 3_600_000;
const keyLifeSeconds = { min: 60, max: 86_400, whenUnsaid: 600 };

/** Where metadata may stand: OIDC Discovery §4 appends, RFC 8414 §3.1 inserts before the path. Both exist for both. */
function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  const forms = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/oauth-authorization-server`,
    `${origin}/.well-known/openid-configuration${path}`,
  ];
  return [...new Set(forms)];
}

function lifeSeconds(headers: Headers): number {
  const cacheControl = headers.get("cache-control") ?? "";
  const maxAge = /(?:^|[\s,])max-age=(\d{1,10})/i.exec(cacheControl)?.[1];
  if (maxAge === undefined) return keyLifeSeconds.whenUnsaid;
  const age = Number(headers.get("age") ?? 0) || 0;
  return Math.min(Math.max(Number(maxAge) - age, keyLifeSeconds.min), keyLifeSeconds.max);
}

function readMetadata(body: unknown, issuer: string, url: string): Metadata {
  const fields = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  // RFC 8414 §3.3: "The 'issuer' value returned MUST be identical to the authorization server's issuer identifier
  // value ... If these values are not identical, the data contained in the response MUST NOT be used."
  if (fields.issuer !== issuer) {
    throw new Error(
      `${url} says that its issuer is ${JSON.stringify(fields.issuer)}; set the guard's issuer to exactly that`,
    );
  }
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  return {
    jwksUri: text(fields.jwks_uri),
    feedUrl: text(fields.keyturn_revocation_feed),
    introspectionUrl: text(fields.introspection_endpoint),
  };
}

async function discover(issuer: string, fetch: Fetch): Promise<Metadata> {
  const refusals: string[] = [];
  for (const url of metadataUrls(issuer)) {
    const answer = await fetchJson(fetch, url);
    if (answer.status === 200) return readMetadata(answer.body, issuer, url);
    refusals.push(`${url} answered ${answer.status}`);
    // Only "not here" sends us on; an outage at the right address is no reason to ask at another.
    if (answer.status < 400 || answer.status >= 500 || answer.status === 429) break;
  }
  throw new Error(`no metadata of the issuer ${issuer}: ${refusals.join(", ")}`);
}

/** An issuer that publishes its metadata and keys by HTTP. */
export function createIssuer({ issuer, jwksUri, fetch, elapsedMs }: IssuerParts): Issuer {
  let known: { readonly metadata: Metadata; readonly untilMs: number } | undefined;

  async function metadata(): Promise<Metadata> {
    if (known !== undefined && elapsedMs() < known.untilMs) return known.metadata;
    const found = await discover(issuer, fetch);
    known = { metadata: found, untilMs: elapsedMs() + metadataLifeMs };
    return found;
  }

  /** As the metadata says, or where Keyturn has it. Credentials go there. */
  async function endpoint(
    member: "feedUrl" | "introspectionUrl",
    { name, path }: { readonly name: string; readonly path: string },
  ): Promise<string> {
    const told = jwksUri === undefined ? (await metadata())[member] : undefined;
    const url = told ?? `${issuer.replace(/\/$/, "")}${path}`;
    parseSafeUrl(url, name);
    return url;
  }

  return {
    async loadKeys() {
      const url = jwksUri ?? (await metadata()).jwksUri;
      if (url === undefined)
        throw new Error(`the metadata of ${issuer} names no jwks_uri; set the guard's jwksUri`);
      parseSafeUrl(url, "jwks_uri");
      try {
        const answer = await fetchJson(fetch, url);
        if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
        const { keys } = (answer.body ?? {}) as { keys?: unknown };
        if (!Array.isArray(keys)) throw new Error(`${url} answered without a list of keys`);
        return { keys, lifeSeconds: lifeSeconds(answer.headers) };
      } catch (cause) {
        // The keys may have moved: ask for their address again next time.
        known = undefined;
        throw cause;
      }
    },
    feedUrl: () => endpoint("feedUrl", { name: "keyturn_revocation_feed", path: "/revocations" }),
    introspectionUrl: () =>
      endpoint("introspectionUrl", { name: "introspection_endpoint", path: "/oauth/introspect" }),
  };
}
