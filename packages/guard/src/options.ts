import { type Algorithm, allAlgorithms } from "./algorithms.ts";
import type { DpopPolicy } from "./binding.ts";
import { type Fetch, parseSafeUrl } from "./bounded-fetch.ts";
import type { TokenType } from "./claims.ts";
import type { GuardEvent } from "./events.ts";
import type { ResourceCredentials } from "./feed-request.ts";
import type { PublicJsonWebKey } from "./json-web-key.ts";
import { readAlgorithms, readNumber, show } from "./option-values.ts";
import type { ProofNonces } from "./proof-nonces.ts";
import { defaultProofAlgorithms, replayMaxDefault, replayMaxMost } from "./proof-options.ts";
import type { FeedPolicy } from "./requirement.ts";
import {
  type ResourceMetadata,
  type ResourceMetadataOptions,
  readResourceMetadata,
} from "./resource-metadata.ts";
import type { Follow } from "./source-feed.ts";

export type PublicKeySet = { readonly keys: readonly PublicJsonWebKey[] };

/** Keys and revocations without a network, for a guard in the issuer's own process. */
export type GuardSource = {
  jwks(): PublicKeySet | Promise<PublicKeySet>;
  /** Calls the listener when the keys changed; returns what ends that. */
  onKeysChanged?(listener: () => void): () => void;
  /** Hands on the feed, a snapshot first; returns what ends that. */
  follow?: Follow;
};

export type GuardOptions = {
  /** The exact `iss` of the tokens. Metadata and keys are found from it. */
  readonly issuer: string;
  /** One of these must be in `aud`. Default: the `resource` of `resourceMetadata`. */
  readonly audience?: string | readonly string[] | undefined;
  /** What the API says of itself to clients that know only its address (RFC 9728); challenges then point to it. */
  readonly resourceMetadata?: ResourceMetadataOptions | undefined;
  /** Credentials of the registered resource; with them the guard follows the revocation feed. */
  readonly resource?: ResourceCredentials | undefined;
  /** What to do with good tokens while the feed is broken. Default "accept". */
  readonly whenFeedBroken?: FeedPolicy | undefined;
  /** The feed is broken when nothing was heard for this long. Default 5. */
  readonly feedStaleAfterSeconds?: number | undefined;
  /** Allowed difference between the clocks. Default 5, at most 300. */
  readonly clockToleranceSeconds?: number | undefined;
  /** Default: every asymmetric one that the guard knows. */
  readonly algorithms?: readonly Algorithm[] | undefined;
  /**
   * Default "at+jwt" (RFC 9068). "any" also takes tokens whose `typ` is JWT or absent, for other issuers; ID tokens
   * and logout tokens are then told by their claims (`nonce`, `at_hash`, `c_hash`, `s_hash`, `events`).
   */
  readonly tokenType?: TokenType | undefined;
  /** Where the keys are, when there is no metadata to ask. */
  readonly jwksUri?: string | undefined;
  /** Verified tokens remembered. Default 10,000; 0 turns it off. */
  readonly cacheTokensMax?: number | undefined;
  /** Tokens that are bound to a key (DPoP, RFC 9449). Default "accept": with their proof, and Bearer tokens as ever. */
  readonly dpop?: DpopPolicy | undefined;
  /**
   * What clients put in front of the path, as `https://api.example.com`, where a proxy changes that: proofs are made for
   * it. A path in it is one that the proxy strips. Without it the URL is what the request says, the `Host` included.
   */
  readonly origin?: string | undefined;
  /** Algorithms of proofs. Default ES256, EdDSA and Ed25519. */
  readonly dpopAlgorithms?: readonly Algorithm[] | undefined;
  /** Used proofs remembered in this process. Default 100,000; 0 turns it off. */
  readonly dpopReplayMax?: number | undefined;
  /** Nonces that several processes share. Default: the process's own, for clients whose clock is wrong. */
  readonly dpopNonces?: ProofNonces | undefined;
  readonly source?: GuardSource | undefined;
  /** For special runtimes and tests. */
  readonly fetch?: Fetch | undefined;
  /** Milliseconds since 1970; for tests. */
  readonly now?: (() => number) | undefined;
  /** Told of refusals, key fetches and the feed's ups and downs; never sees a token. */
  readonly onEvent?: ((event: GuardEvent) => void) | undefined;
};

/** Options with every default filled in. */
export type GuardSettings = Readonly<{
  issuer: string;
  audiences: ReadonlySet<string>;
  resource: ResourceCredentials | undefined;
  whenFeedBroken: FeedPolicy;
  feedStaleAfterSeconds: number;
  clockToleranceSeconds: number;
  algorithms: ReadonlySet<Algorithm>;
  tokenType: TokenType;
  jwksUri: string | undefined;
  cacheTokensMax: number;
  dpop: DpopPolicy;
  origin: string | undefined;
  dpopAlgorithms: ReadonlySet<Algorithm>;
  dpopReplayMax: number;
  resourceMetadata: ResourceMetadata | undefined;
}>;

function readIssuer({ issuer, source }: GuardOptions): string {
  if (typeof issuer !== "string" || issuer === "") {
    throw new TypeError(`createGuard: issuer takes the exact iss of your tokens; got ${show(issuer)}.`);
  }
  if (source !== undefined) return issuer;
  const { search, hash } = parseSafeUrl(issuer, "createGuard: issuer");
  // RFC 8414 §2: the issuer identifier "has no query or fragment components".
  if (search !== "" || hash !== "")
    throw new TypeError("createGuard: issuer takes no query and no fragment.");
  return issuer;
}

function readAudiences(options: GuardOptions): ReadonlySet<string> {
  const audience = options.audience ?? options.resourceMetadata?.resource;
  const audiences = new Set(typeof audience === "string" ? [audience] : audience);
  if (audiences.size === 0 || [...audiences].some((one) => typeof one !== "string" || one === "")) {
    throw new TypeError("createGuard: audience takes the name of this API, or a list of names; got none.");
  }
  return audiences;
}

function readChoice<T extends string>(name: string, value: T | undefined, choices: readonly [T, ...T[]]): T {
  if (value === undefined) return choices[0];
  if (choices.includes(value)) return value;
  throw new TypeError(`createGuard: ${name} takes ${choices.map(show).join(" or ")}; got ${show(value)}.`);
}

function readResource({ resource }: GuardOptions): ResourceCredentials | undefined {
  if (resource === undefined) return undefined;
  const { id, secret } = resource;
  if (typeof id === "string" && id !== "" && typeof secret === "string" && secret !== "")
    return { id, secret };
  // The values stay out of the message: one of them is a secret.
  throw new TypeError("createGuard: resource takes the id and the secret that `keyturn client add` printed.");
}

function readOrigin({ origin }: GuardOptions): string | undefined {
  if (origin === undefined) return undefined;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  const isBare = url !== undefined && `${url.search}${url.hash}${url.username}${url.password}` === "";
  if (isBare && /^https?:$/.test(url.protocol)) return `${url.origin}${url.pathname}`.replace(/\/$/, "");
  throw new TypeError(
    `createGuard: origin takes what clients put in front of the path, as "https://api.example.com"; got ${show(origin)}.`,
  );
}

/**
 * Fills in the defaults.
 *
 * @throws TypeError that names the option, what it got and what it takes.
 */
export function readOptions(options: GuardOptions): GuardSettings {
  const whenFeedBroken = readChoice<FeedPolicy>("whenFeedBroken", options.whenFeedBroken, [
    "accept",
    "introspect",
    "refuse",
  ]);
  const resource = readResource(options);
  if (whenFeedBroken === "refuse" && resource === undefined && options.source?.follow === undefined) {
    throw new TypeError('createGuard: whenFeedBroken "refuse" needs a feed to follow; give `resource` too.');
  }
  if (whenFeedBroken === "introspect" && (resource === undefined || options.source !== undefined)) {
    throw new TypeError(
      'createGuard: whenFeedBroken "introspect" asks the issuer by HTTP; give `resource`, and no `source`.',
    );
  }
  const { jwksUri, feedStaleAfterSeconds: stale } = options;
  const issuer = readIssuer(options);
  const dpop = readChoice<DpopPolicy>("dpop", options.dpop, ["accept", "require", "off"]);
  const dpopAlgorithms = readAlgorithms(
    "createGuard: dpopAlgorithms",
    options.dpopAlgorithms ?? defaultProofAlgorithms,
  );
  const resourceMetadata = readResourceMetadata(options.resourceMetadata, { issuer, dpop, dpopAlgorithms });
  if (jwksUri !== undefined) parseSafeUrl(jwksUri, "createGuard: jwksUri");
  if (stale === 0) throw new TypeError("createGuard: feedStaleAfterSeconds takes more than 0.");
  return {
    issuer,
    audiences: readAudiences(options),
    resource,
    whenFeedBroken,
    feedStaleAfterSeconds: readNumber("createGuard: feedStaleAfterSeconds", {
      value: stale,
      fallback: 5,
      max: 3600,
    }),
    clockToleranceSeconds: readNumber("createGuard: clockToleranceSeconds", {
      value: options.clockToleranceSeconds,
      fallback: 5,
      max: 300,
    }),
    algorithms: readAlgorithms("createGuard: algorithms", options.algorithms ?? allAlgorithms),
    tokenType: readChoice<TokenType>("tokenType", options.tokenType, ["at+jwt", "any"]),
    jwksUri,
    cacheTokensMax: readNumber("createGuard: cacheTokensMax", {
      value: options.cacheTokensMax,
      fallback: 10_000,
      max: 1_000_000,
    }),
    dpop,
    origin: readOrigin(options),
    dpopAlgorithms,
    dpopReplayMax: readNumber("createGuard: dpopReplayMax", {
      value: options.dpopReplayMax,
      fallback: replayMaxDefault,
      max: replayMaxMost,
    }),
    resourceMetadata,
  };
}
