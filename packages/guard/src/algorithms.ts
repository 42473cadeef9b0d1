/** Signature algorithms (RFC 7518 §3.1, RFC 8037, RFC 9864, ML-DSA for JOSE) and the key each one needs. */

export type Algorithm =
  | "ES256"
  | "ES384"
  | "ES512"
  | "RS256"
  | "RS384"
  | "RS512"
  | "PS256"
  | "PS384"
  | "PS512"
  | "EdDSA"
  | "Ed25519"
  | "ML-DSA-44"
  | "ML-DSA-65"
  | "ML-DSA-87";

export type SignatureFamily = "ecdsa" | "rsa" | "rsa-pss" | "ed25519" | "ml-dsa";

export type AlgorithmRule = {
  readonly family: SignatureFamily;
  readonly kty: "EC" | "RSA" | "OKP" | "AKP";
  /** The curve, for EC and OKP keys. */
  readonly crv?: string;
  readonly hash?: "sha256" | "sha384" | "sha512";
  /** Exact length of a signature in bytes; absent for RSA, where it is the length of the modulus. */
  readonly signatureBytes?: number;
};

// HS256 and its family are absent on purpose: a verifier that knows no symmetric algorithm cannot be talked into
// taking a public key for a shared secret (RFC 8725 §2.1). So is "none".
const rules: Readonly<Record<Algorithm, AlgorithmRule>> = {
  ES256: { family: "ecdsa", kty: "EC", crv: "P-256", hash: "sha256", signatureBytes: 64 },
  ES384: { family: "ecdsa", kty: "EC", crv: "P-384", hash: "sha384", signatureBytes: 96 },
  ES512: { family: "ecdsa", kty: "EC", crv: "P-521", hash: "sha512", signatureBytes: 132 },
  RS256: { family: "rsa", kty: "RSA", hash: "sha256" },
  RS384: { family: "rsa", kty: "RSA", hash: "sha384" },
  RS512: { family: "rsa", kty: "RSA", hash: "sha512" },
  PS256: { family: "rsa-pss", kty: "RSA", hash: "sha256" },
  PS384: { family: "rsa-pss", kty: "RSA", hash: "sha384" },
  PS512: { family: "rsa-pss", kty: "RSA", hash: "sha512" },
  EdDSA: { family: "ed25519", kty: "OKP", crv: "Ed25519", signatureBytes: 64 },
  Ed25519: { family: "ed25519", kty: "OKP", crv: "Ed25519", signatureBytes: 64 },
  "ML-DSA-44": { family: "ml-dsa", kty: "AKP", signatureBytes: 2420 },
  "ML-DSA-65": { family: "ml-dsa", kty: "AKP", signatureBytes: 3309 },
  "ML-DSA-87": { family: "ml-dsa", kty: "AKP", signatureBytes: 4627 },
};

/** Every algorithm the guard knows, all of them asymmetric. */
export const allAlgorithms = Object.freeze(Object.keys(rules)) as readonly Algorithm[];

/** Whether the name is one of {@link allAlgorithms}; an own-property test, so "constructor" is not. */
export function isAlgorithm(name: unknown): name is Algorithm {
  return typeof name === "string" && Object.hasOwn(rules, name);
}

/** What the algorithm asks of key and signature. */
export function ruleOf(algorithm: Algorithm): AlgorithmRule {
  return rules[algorithm];
}
