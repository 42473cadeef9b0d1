import type { Identity } from "./identity.ts";
import type { RefusalReason } from "./refusal-reason.ts";
import type { JsonObject } from "./token.ts";

/** `at+jwt` is RFC 9068; `any` also takes access tokens whose `typ` is JWT or absent, as other issuers send. */
export type TokenType = "at+jwt" | "any";

export type ClaimPolicy = {
  readonly issuer: string;
  readonly audiences: ReadonlySet<string>;
  readonly tokenType: TokenType;
  readonly clockToleranceSeconds: number;
};

export type ReadClaims =
  | {
      readonly ok: true;
      readonly identity: Identity;
      /** The token is good from here (inclusive) until there (exclusive), in milliseconds, tolerance included. */
      readonly validFromMs: number;
      readonly validUntilMs: number;
    }
  | { readonly ok: false; readonly reason: RefusalReason };

const refused = (reason: RefusalReason): ReadClaims => ({ ok: false, reason });

/** Whether the `typ` header names an access token (RFC 7515 §4.1.9: media type, case-insensitive, prefix optional). */
export function isTypeAllowed(type: string | undefined, tokenType: TokenType): boolean {
  if (type === undefined) return tokenType === "any";
  const name = type.toLowerCase().replace(/^application\//, "");
  // RFC 9068 §4: "The resource server MUST verify that the 'typ' header value is 'at+jwt' or
  // 'application/at+jwt' and reject tokens carrying any other value."
  return name === "at+jwt" || (tokenType === "any" && name === "jwt");
}

// An ID token or a logout token is signed by the same key for a reader that may share a name with the API. Only
// they carry these claims (OIDC Core §2, §3.3.2.11; Back-Channel Logout §2.4).
const notAnAccessToken = ["nonce", "at_hash", "c_hash", "s_hash", "events"];

const nothing: readonly string[] = Object.freeze([]);

/** The strings of a list, frozen; nothing for anything else. */
function stringList(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) return nothing;
  for (const one of value) {
    if (typeof one !== "string") return Object.freeze(value.filter((each) => typeof each === "string"));
  }
  return Object.freeze(value);
}

function scopesOf(payload: JsonObject): readonly string[] {
  // `scope` is RFC 9068 §2.2.3; `scp` is what Okta and Entra send instead.
  const value = payload.scope ?? payload.scp;
  if (typeof value !== "string") return stringList(value);
  const scopes = value.split(" ");
  return Object.freeze(scopes.includes("") ? scopes.filter((one) => one !== "") : scopes);
}

function freezeDeep(value: JsonObject): JsonObject {
  const pending: object[] = [value];
  // Bounded by the length of a token.
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    Object.freeze(next);
    for (const name in next) {
      const member: unknown = next[name as never];
      if (typeof member === "object" && member !== null) pending.push(member);
    }
  }
  return value;
}

const isTime = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isOptional = (value: unknown, type: string) => value === undefined || typeof value === type;

function readTimes(payload: JsonObject, policy: ClaimPolicy) {
  const { exp, nbf, iat } = payload;
  if (!isTime(exp)) return undefined;
  if (nbf !== undefined && !isTime(nbf)) return undefined;
  // RFC 9068 §2.2 requires `iat`; without it no revocation by time could be decided. Where another issuer leaves
  // it out it counts as 0: older than any revocation.
  if (iat === undefined ? policy.tokenType !== "any" : !isTime(iat)) return undefined;
  const issuedAt = (iat as number | undefined) ?? 0;
  const notBefore = Math.max(nbf ?? issuedAt, issuedAt);
  return {
    issuedAt,
    expiresAt: exp,
    validFromMs: (notBefore - policy.clockToleranceSeconds) * 1000,
    validUntilMs: (exp + policy.clockToleranceSeconds) * 1000,
  };
}

const thumbprint = /^[\w-]{43}$/;

/**
 * Whether the token says well what it is bound to, or nothing. RFC 7800 §3.1: "The value of the 'cnf' claim is a JSON
 * object"; RFC 9449 §6.1: `jkt` is "the base64url encoding of the JWK SHA-256 Thumbprint". Other confirmations, as
 * `x5t#S256`, are for whoever ended TLS: RFC 7800 §3.1 has them ignored where they are not understood.
 */
function isConfirmation(cnf: unknown): cnf is { readonly jkt?: string } | undefined {
  if (cnf === undefined) return true;
  if (typeof cnf !== "object" || cnf === null || Array.isArray(cnf)) return false;
  const { jkt } = cnf as { readonly jkt?: unknown };
  return jkt === undefined || (typeof jkt === "string" && thumbprint.test(jkt));
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function buildIdentity(payload: JsonObject, subject: string, audience: readonly string[]): Identity {
  const { client_id, sid, auth_time, acr, amr, iat } = payload;
  const { jkt } = (payload.cnf ?? {}) as { readonly jkt?: string };
  const identity: Mutable<Identity> = {
    subject,
    scopes: scopesOf(payload),
    roles: stringList(payload.roles),
    permissions: stringList(payload.permissions),
    issuedAt: (iat as number | undefined) ?? 0,
    expiresAt: payload.exp as number,
    issuer: payload.iss as string,
    audience,
    claims: freezeDeep(payload),
  };
  if (typeof client_id === "string") identity.clientId = client_id;
  if (typeof sid === "string") identity.sessionId = sid;
  if (isTime(auth_time)) identity.authTime = auth_time;
  if (typeof acr === "string") identity.acr = acr;
  if (Array.isArray(amr)) identity.amr = stringList(amr);
  if (jkt !== undefined) identity.keyThumbprint = jkt;
  return Object.freeze(identity);
}

/** Checks the claims of a token whose signature is good (RFC 9068 §4, RFC 7519 §4.1). */
export function readClaims(payload: JsonObject, policy: ClaimPolicy, nowMs: number): ReadClaims {
  if (policy.tokenType === "any" && notAnAccessToken.some((name) => payload[name] !== undefined)) {
    return refused("wrong_type");
  }
  // RFC 9068 §4: the issuer identifier "MUST exactly match the value of the 'iss' claim".
  if (payload.iss !== policy.issuer) return refused("wrong_issuer");
  const audience = typeof payload.aud === "string" ? Object.freeze([payload.aud]) : stringList(payload.aud);
  // RFC 7519 §4.1.3: "If the principal processing the claim does not identify itself with a value in the 'aud'
  // claim when this claim is present, then the JWT MUST be rejected." RFC 9068 §4 requires it to be present.
  if (!audience.some((one) => policy.audiences.has(one))) return refused("wrong_audience");
  const { sub } = payload;
  const times = readTimes(payload, policy);
  if (times === undefined || typeof sub !== "string" || sub === "") return refused("bad_claims");
  // A session or client of another type would slip past every revocation of it.
  if (!isOptional(payload.sid, "string") || !isOptional(payload.client_id, "string"))
    return refused("bad_claims");
  // A binding that cannot be read must not make a token that is bound to nothing.
  if (!isConfirmation(payload.cnf)) return refused("bad_claims");
  if (nowMs < times.validFromMs) return refused("not_yet_valid");
  // RFC 7519 §4.1.4: "the current date/time MUST be before the expiration date/time".
  if (!(nowMs < times.validUntilMs)) return refused("expired");
  const { validFromMs, validUntilMs } = times;
  return { ok: true, identity: buildIdentity(payload, sub, audience), validFromMs, validUntilMs };
}
