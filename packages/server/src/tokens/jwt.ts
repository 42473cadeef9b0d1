import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { SigningAlgorithm } from "../config-schema.ts";
import type { PublicJwk } from "../keys/jwks.ts";
import type { SigningKey } from "../keys/signing-key.ts";
import { assert } from "../primitives/assert.ts";

/**
 * The `typ` of each kind of token, which keeps one from passing as another (RFC 8725 §3.11).
 * RFC 9068 §2.1: "at+jwt"; RFC 7519 §5.1: "JWT", for ID tokens; OpenID Connect Back-Channel Logout §2.4: "logout+jwt";
 * RFC 9701 §5: "token-introspection+jwt".
 */
export type JwtType = "at+jwt" | "JWT" | "logout+jwt" | "token-introspection+jwt";

/** The digest that each algorithm is given; null: it hashes by itself (RFC 8032, FIPS 204). */
const digests = {
  ES256: "sha256",
  RS256: "sha256",
  EdDSA: null,
  "ML-DSA-44": null,
  "ML-DSA-65": null,
  "ML-DSA-87": null,
} as const satisfies Record<SigningAlgorithm, string | null>;

/** Bytes of r and of s on P-256 (RFC 7518 §3.4). */
const P256_BYTES = 32;

// The first segment is the same for all tokens of one key and type. A key that is dropped takes its own with it.
const headers = new WeakMap<SigningKey, Partial<Record<JwtType, string>>>();

/**
 * A signed token in compact serialization (RFC 7515 §7.1). Signed on the calling thread: the thread pool, where
 * passwords are hashed, would make it wait for longer than the signature takes.
 * @param input.claims what JSON.stringify takes; members that are undefined are left out
 */
export function signJwt(input: { key: SigningKey; type: JwtType; claims: object }): string {
  const { key, type, claims } = input;
  const signed = `${headerSegment(key, type)}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
  return `${signed}.${signature(key, signed).toString("base64url")}`;
}

const publicKeys = new WeakMap<PublicJwk, KeyObject>();
const JWT = /^([\w-]{1,1000})\.([\w-]{1,12000})\.([\w-]{1,8000})$/;

/**
 * The claims of a token of our own, whatever it is for and whoever sends it: for answering questions about it (is it
 * good?). An API that is to be opened by it asks the guard. Looks at the signature and the type, and at nothing else.
 * @returns undefined when it is not one of ours, or not of that type
 */
export function readOwnJwt(
  token: string,
  expected: { type: JwtType; keys: readonly PublicJwk[] },
): Readonly<Record<string, unknown>> | undefined {
  const [, head = "", payload = "", seal = ""] = JWT.exec(token) ?? [];
  const header = parsedSegment(head);
  const jwk = expected.keys.find(({ kid }) => kid === header?.kid);
  // RFC 8725 §3.1: "Each key MUST be used with exactly one algorithm": the header may only repeat it.
  if (header === undefined || jwk === undefined || header.alg !== jwk.alg) return undefined;
  if (header.typ !== expected.type || header.crit !== undefined) return undefined;
  const key = publicKeys.get(jwk) ?? createPublicKey({ key: { ...jwk }, format: "jwk" });
  publicKeys.set(jwk, key);
  const isP256 = jwk.alg === "ES256";
  const how = isP256 ? ({ key, dsaEncoding: "ieee-p1363" } as const) : key;
  const signed = Buffer.from(`${head}.${payload}`, "latin1");
  const bytes = Buffer.from(seal, "base64url");
  return verify(digests[jwk.alg], signed, how, bytes) ? parsedSegment(payload) : undefined;
}

function parsedSegment(segment: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function headerSegment(key: SigningKey, type: JwtType): string {
  const known = headers.get(key);
  const cached = known?.[type];
  if (cached !== undefined) return cached;
  const header = JSON.stringify({ alg: key.algorithm, typ: type, kid: key.id });
  const made = Buffer.from(header).toString("base64url");
  headers.set(key, { ...known, [type]: made });
  return made;
}

function signature(key: SigningKey, signed: string): Buffer {
  const bytes = sign(digests[key.algorithm], Buffer.from(signed, "latin1"), key.privateKey);
  // With `dsaEncoding: "ieee-p1363"` Node would do this, but a signature then takes more than twice as long on
  // Node 24.21: the options are read and the key's details fetched again at every call.
  return key.algorithm === "ES256" ? fixedLengthSignature(bytes) : bytes;
}

/**
 * An ECDSA signature on P-256 from DER (RFC 3279 §2.2.3: SEQUENCE of the INTEGERs r and s) to r and s of 32
 * bytes each, one after the other (RFC 7518 §3.4). A DER integer is as short as it can be, and has a zero in
 * front when its first bit is set.
 */
export function fixedLengthSignature(der: Uint8Array): Buffer {
  // From the pool: memory of its own for 64 bytes costs more than filling them.
  const fixed = Buffer.allocUnsafe(2 * P256_BYTES).fill(0);
  assert(der[0] === 0x30 && der[1] === der.length - 2, "an ECDSA signature is not a DER sequence");
  const sAt = placeInteger(der, 2, { target: fixed, end: P256_BYTES });
  const end = placeInteger(der, sAt, { target: fixed, end: 2 * P256_BYTES });
  assert(end === der.length, "an ECDSA signature has bytes left over");
  return fixed;
}

/** Writes the integer at `at` into `target`, up to `end`, and says where the next element begins. */
function placeInteger(der: Uint8Array, at: number, to: { target: Buffer; end: number }): number {
  const length = der[at + 1] ?? 0;
  const end = at + 2 + length;
  assert(der[at] === 0x02 && length > 0 && end <= der.length, "an ECDSA signature lacks an integer");
  const start = der[at + 2] === 0 ? at + 3 : at + 2;
  assert(end - start <= P256_BYTES, "an ECDSA signature has an integer of more than 32 bytes");
  // By hand: a view for each piece takes longer than the bytes do.
  for (let from = start, into = to.end - (end - start); from < end; from++, into++)
    to.target[into] = der[from] as number;
  return end;
}
