import type { OidcUser } from "./oidc-how.ts";
import type { readJwt } from "./oidc-issuer.ts";
import type { OidcSettings } from "./oidc-options.ts";
import type { Json } from "./replies.ts";

export interface Expected extends Pick<OidcSettings, "issuer" | "clientId"> {
  readonly nonce: string;
  readonly maxAge?: number | undefined;
  readonly accessToken: string;
  readonly readJwt: typeof readJwt;
  readonly digest: (hash: string, text: string) => Promise<Uint8Array>;
}

/** The claims; or what is wrong, in words that say nothing of what is in the token. */
type IdTokenRead = { readonly claims: Json } | { readonly wrong: string };

const authTimeLeewaySeconds = 60;
const charactersMax = 16_384;

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

/**
 * OpenID Connect Core §3.1.3.7, for an ID token that came from the token endpoint. Item 6: "the TLS server validation
 * MAY be used to validate the issuer in place of checking the token signature": so it is done, and endpoints without
 * TLS are refused (oidc-provider.ts). The time is the issuer's own: the nonce proves that the token was made for this sign-in,
 * and clocks of devices are wrong.
 */
export async function readIdToken(token: unknown, expected: Expected): Promise<IdTokenRead> {
  const { issuer, clientId, nonce, maxAge } = expected;
  const wrong = (what: string): IdTokenRead => ({ wrong: what });
  if (typeof token !== "string") return wrong("there is none: the scope openid must be granted");
  const { header, claims } = (token.length < charactersMax && expected.readJwt(token)) || {};
  if (!header || !claims) return wrong("it is no signed JWT (encrypted ones are not supported)");
  // §2: "none" is for those who have asked for it when they registered.
  if (typeof header.alg !== "string" || header.alg === "none") return wrong("alg: it is not signed");
  const { iss, sub, aud, azp, exp, iat, auth_time: authTime } = claims;
  // Item 2: "MUST exactly match".
  if (iss !== issuer) return wrong("iss is not the issuer");
  // §2: "It MUST NOT exceed 255 ASCII characters in length."
  if (typeof sub !== "string" || sub === "" || sub.length > 255) return wrong("sub is missing");
  // Item 3: "MUST be rejected if the ID Token does not list the Client as a valid audience".
  const audiences = [aud].flat();
  if (!audiences.includes(clientId)) return wrong("aud is another client");
  // Items 3 to 5: with other audiences besides, it must have been made for this client.
  if (audiences.length > 1 && azp === undefined) return wrong("aud has several and azp is missing");
  if (azp !== undefined && azp !== clientId) return wrong("azp is another client");
  // Items 9 and 10.
  if (!isNumber(exp) || !isNumber(iat) || exp <= iat) return wrong("exp: it was over when it was made");
  // Item 11: "a nonce Claim MUST be present and its value checked to verify that it is the same value".
  if (claims.nonce !== nonce) return wrong("nonce is that of another sign-in");
  // Item 13, and §3.1.2.1: when max_age is used "the ID Token returned MUST include an auth_time Claim Value".
  if (maxAge !== undefined && (!isNumber(authTime) || iat - authTime > maxAge + authTimeLeewaySeconds)) {
    return wrong("auth_time is older than max_age, or missing");
  }
  if (claims.at_hash !== undefined && !(await isHashOf(claims.at_hash, header.alg, expected))) {
    return wrong("at_hash is that of another access token");
  }
  return { claims };
}

/**
 * §3.1.3.8, §3.1.3.6: "the left-most half of the hash of the octets of the ASCII representation of the access_token
 * value, where the hash algorithm used is the hash algorithm used in the alg Header Parameter". It is optional here;
 * of an algorithm whose hash is not known nothing is said.
 */
async function isHashOf(atHash: unknown, alg: string, { accessToken, digest }: Expected): Promise<boolean> {
  const bits =
    /^(?:[RPEH]S)(256|384|512)$/.exec(alg)?.[1] ?? (/^(?:EdDSA|Ed25519)$/.test(alg) ? "512" : undefined);
  if (bits === undefined) return true;
  const bytes = await digest(`SHA-${bits}`, accessToken);
  const half = btoa(String.fromCharCode(...bytes.slice(0, bytes.length / 2)));
  return atHash === half.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** Of the protocol, and of nobody's interest. */
const protocolClaims = new Set(["nonce", "at_hash", "c_hash", "s_hash"]);

/** Who it is. Names and addresses are what the provider says; `id` alone is theirs for good (Core §5.7). */
export function userOf(claims: Json): OidcUser {
  const { sub, preferred_username: username, email, email_verified: verified, name, roles } = claims;
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  const shown = { email: text(email), name: text(name) };
  return {
    id: sub as string,
    username: text(username) ?? shown.email ?? (sub as string),
    ...(shown.email && { email: shown.email, emailVerified: verified === true }),
    ...(shown.name && { name: shown.name }),
    roles: Array.isArray(roles) ? roles.filter((role) => typeof role === "string") : [],
    claims: Object.fromEntries(Object.entries(claims).filter(([claim]) => !protocolClaims.has(claim))),
  };
}
