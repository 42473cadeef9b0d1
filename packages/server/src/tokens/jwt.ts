import { sign } from "node:crypto";
import type { SigningAlgorithm } from "../config-schema.ts";
import type { SigningKey } from "../keys/signing-key.ts";
import { assert } from "../primitives/assert.ts";

/**
 * The `typ` of each kind of token, which keeps one from passing as another (RFC 8725 §3.11).
 * RFC 9068 §2.1: "at+jwt"; RFC 7519 §5.1: "JWT", for ID tokens; OpenID Connect Back-Channel Logout §2.4: "logout+jwt".
 */
export type JwtType = "at+jwt" | "JWT" | "logout+jwt";

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
  const sAt = placeInteger(der, 2, fixed.subarray(0, P256_BYTES));
  const end = placeInteger(der, sAt, fixed.subarray(P256_BYTES));
  assert(end === der.length, "an ECDSA signature has bytes left over");
  return fixed;
}

/** Writes the integer at `at` right-aligned into `target`, and says where the next element begins. */
function placeInteger(der: Uint8Array, at: number, target: Buffer): number {
  const length = der[at + 1] ?? 0;
  const end = at + 2 + length;
  assert(der[at] === 0x02 && length > 0 && end <= der.length, "an ECDSA signature lacks an integer");
  const start = der[at + 2] === 0 ? at + 3 : at + 2;
  assert(end - start <= target.length, "an ECDSA signature has an integer of more than 32 bytes");
  target.set(der.subarray(start, end), target.length - (end - start));
  return end;
}
