import { type Clock, toSeconds } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { Client } from "./client.ts";
import type { AssertionCheck } from "./client-authentication.ts";
import { type Claims, type ClientJwts, unverifiedClaims } from "./client-jwt.ts";
import type { SpentAssertions } from "./spent-assertions.ts";

/** RFC 10070 §4: `client-authentication+jwt` says what it is; "it is NOT RECOMMENDED for servers to reject JWTs that do not have explicit types". Any other type is another kind of token. */
const TYPES = ["client-authentication+jwt", "jwt", undefined];
/** FAPI 2.0 Security Profile §5.3.2.1: clocks may differ by 10 seconds; another's clock that is further ahead is wrong. */
const TOLERANCE_SECONDS = 10;
/** OpenID Connect Core §9 bounds nothing; a hundred characters are a UUID and more. */
const JTI_CHARACTERS_MAX = 500;

interface Dependencies {
  readonly settings: { readonly issuer: string };
  readonly clock: Clock;
  readonly findClient: (id: string) => Promise<Client | undefined>;
  readonly jwts: ClientJwts;
  readonly spent: SpentAssertions;
}

/** private_key_jwt: RFC 7523 §3, RFC 7521 §4.2 and §5.2, as RFC 10070 has changed them; OpenID Connect Core §9. */
export function createAssertionCheck(dependencies: Dependencies): AssertionCheck {
  const { settings, clock, findClient, jwts, spent } = dependencies;
  const { issuer } = settings;
  // RFC 7523 §3, item 3, and RFC 9126 §2, before RFC 10070: what older clients send.
  const older: ReadonlySet<unknown> = new Set([issuer, `${issuer}/oauth/token`, `${issuer}/oauth/par`]);

  /**
   * RFC 10070 §4: "The authorization server MUST reject any JWT that does not contain its issuer identifier as its sole
   * audience value": one that was meant for another server, or for several, is worth nothing here.
   */
  function isForUs(aud: unknown, { metadata }: Client): boolean {
    if (metadata.keyturn_assertion_audience === "endpoint_too")
      return [aud].flat().some((one) => older.has(one));
    // FAPI 2.0 Security Profile §5.3.2.1: "as a string".
    if (metadata.keyturn_profile === "fapi2") return aud === issuer;
    return aud === issuer || (Array.isArray(aud) && aud.length === 1 && aud[0] === issuer);
  }

  /** RFC 7523 §3, items 4 to 6. */
  function isInTime({ exp, nbf, iat }: Claims): boolean {
    const now = toSeconds(clock.now());
    const isTime = (value: unknown) =>
      value === undefined || (typeof value === "number" && Number.isFinite(value));
    if (typeof exp !== "number" || !isTime(exp) || !isTime(nbf) || !isTime(iat)) return false;
    // "The authorization server may reject JWTs with an "exp" claim value that is unreasonably far in the future."
    if (exp <= now || exp > now + limits.assertionSecondsMax + TOLERANCE_SECONDS) return false;
    return [nbf, iat].every((time) => time === undefined || (time as number) <= now + TOLERANCE_SECONDS);
  }

  return async function checkAssertion({ assertion, clientId }) {
    if (assertion.length > limits.parameterCharactersMax) return undefined;
    const { sub } = unverifiedClaims(assertion) ?? {};
    if (typeof sub !== "string") return undefined;
    // RFC 7521 §4.2: "if present, the value of the client_id parameter MUST identify the same client".
    if (clientId !== undefined && clientId !== sub) return undefined;
    const client = await findClient(sub);
    if (client?.metadata.token_endpoint_auth_method !== "private_key_jwt") return undefined;
    const claims = await jwts.verify(assertion, client, {
      types: TYPES,
      algorithm: client.metadata.token_endpoint_auth_signing_alg,
    });
    if (claims === undefined) return undefined;
    // RFC 7523 §3, items 1 and 2.B: both are the client.
    if (claims.iss !== client.id || claims.sub !== client.id) return undefined;
    if (!isForUs(claims.aud, client) || !isInTime(claims)) return undefined;
    const name = nameOf(claims, assertion);
    if (name === undefined) return undefined;
    const expiresAt = ((claims.exp as number) + TOLERANCE_SECONDS) * 1000;
    // The last: nothing but a good assertion is spent.
    const isFirst = await spent.spend({ kind: "assertion", clientId: client.id, name, expiresAt });
    return isFirst ? client : undefined;
  };
}

/** Its `jti`; RFC 7523 §3 does not require one, so without it what was signed tells it from others. Not the signature: ECDSA has two for one. */
function nameOf({ jti }: Claims, assertion: string): string | undefined {
  if (jti === undefined) return assertion.slice(0, assertion.lastIndexOf("."));
  return typeof jti === "string" && jti !== "" && jti.length <= JTI_CHARACTERS_MAX ? `jti:${jti}` : undefined;
}
