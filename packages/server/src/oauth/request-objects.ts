import type { Client } from "../clients/client.ts";
import type { Pairs } from "../http/parameters.ts";
import { toSeconds } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import { type Read, type RequestRefusal, refuse } from "./authorization-parameters.ts";

type Claims = Readonly<Record<string, unknown>>;

/** The claims of a JWT, if a key of the client has signed it. Nothing but the signature has been looked at. */
export type VerifyClientJwt = (
  jwt: string,
  client: Client,
  expected: {
    /** Values of `typ` that it may have, in lower case, without `application/`; `undefined`: it may have none. */
    readonly types: readonly (string | undefined)[];
    readonly algorithm: string | undefined;
  },
) => Promise<Claims | undefined>;

interface Dependencies {
  /** Undefined: request objects are not taken. */
  readonly verify: VerifyClientJwt | undefined;
  readonly clock: { now(): number };
  readonly settings: { readonly issuer: string };
}

export type RequestObjects = ReturnType<typeof createRequestObjects>;

/** Claims about the JWT itself: RFC 7519 §4.1. */
const ABOUT_ITSELF: ReadonlySet<string> = new Set(["iss", "aud", "exp", "nbf", "iat", "jti"]);
const TYPES = ["oauth-authz-req+jwt", "jwt", undefined] as const;

/**
 * Requests that their client has signed: RFC 9101. They are opened when they come, so that one that waits for its person
 * does not expire meanwhile, and what is kept is what it said.
 */
export function createRequestObjects({ verify, clock, settings }: Dependencies) {
  const bad = (what: string) => refuse("invalid_request_object", `The request object ${what}`);

  function problemOf(claims: Claims, client: Client): RequestRefusal | undefined {
    const { iss, aud, exp, nbf, sub } = claims;
    const now = toSeconds(clock.now());
    // RFC 9101 §5: "If the request object is signed, it SHOULD contain the Authorization Request parameters iss and aud".
    if (iss !== undefined && iss !== client.id) return bad("is another client's");
    const audiences = Array.isArray(aud) ? aud : [aud];
    if (aud !== undefined && !audiences.includes(settings.issuer)) return bad("is for another server");
    // §10.8: a JWT by which a client authenticates must not pass for a request.
    if (sub === client.id) return bad("is an assertion");
    if (exp !== undefined && !(typeof exp === "number" && exp > now)) return bad("has expired");
    const latest = now + limits.clockToleranceSecondsMax;
    if (nbf !== undefined && !(typeof nbf === "number" && nbf <= latest)) return bad("is not valid yet");
    // §6.3: "The client ID values in the client_id request parameter and in the Request Object client_id claim MUST be
    // identical."
    if (claims.client_id !== client.id) return bad("names another client");
    // §4: "request and request_uri parameters MUST NOT be included in Request Objects."
    if ("request" in claims || "request_uri" in claims) return bad("holds another request");
    return undefined;
  }

  return {
    isSupported: verify !== undefined,

    /** What a request says, whether it is signed or plain. */
    async open(client: Client, pairs: Pairs): Promise<Read<Pairs>> {
      const { jwks, jwks_uri, require_signed_request_object, request_object_signing_alg } = client.metadata;
      const jwt = pairs.find(([name, value]) => name === "request" && value !== "")?.[1];
      if (jwt === undefined) {
        // §10.5: "require_signed_request_object": then one that is not signed is refused.
        return require_signed_request_object
          ? refuse("invalid_request", "This client must sign its requests")
          : { outcome: "good", value: pairs };
      }
      // OpenID Connect Core §6.1: "If the request parameter is used and not supported, […] request_not_supported".
      if (verify === undefined || (jwks === undefined && jwks_uri === undefined))
        return refuse("request_not_supported");
      const claims = await verify(jwt, client, { types: TYPES, algorithm: request_object_signing_alg });
      if (claims === undefined) return bad("is not signed by a key of this client");
      const problem = problemOf(claims, client);
      if (problem !== undefined) return problem;
      // §6.3: "MUST only use the parameters in the Request Object, even if the same parameter is provided in the query".
      const said = Object.entries(claims).filter(([name]) => !ABOUT_ITSELF.has(name));
      return { outcome: "good", value: said.flatMap(([name, value]) => pairsOf(name, value)) };
    },
  };
}

/** RFC 9101 §4: strings; numbers and objects as JSON has them; what may be repeated as an array. */
function pairsOf(name: string, value: unknown): [string, string][] {
  if (value === undefined || value === null) return [];
  if (typeof value === "string") return [[name, value]];
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) {
    return value.map((one) => [name, one]);
  }
  return [[name, JSON.stringify(value)]];
}
