import type { Algorithm } from "./algorithms.ts";
import { decodeBase64url } from "./base64url.ts";
import { type ProofKeyText, readProofKey } from "./proof-key.ts";
import type { ProofRefusalReason } from "./proof-refusal-reason.ts";
import { decodeJsonObject, type JsonObject, readHeader, splitToken } from "./token.ts";

/** The value or values of the `DPoP` header, as a framework has them. */
export type ProofHeader = string | readonly string[] | undefined;

/** A proof taken apart; nothing of it is believed yet. */
export type DecodedProof = {
  readonly key: ProofKeyText;
  readonly signingInput: string;
  readonly signature: Uint8Array<ArrayBuffer>;
  /** Still encoded: nothing of it is parsed before the signature has been verified. */
  readonly payload: string;
};

export type ProofClaims = {
  readonly jti: string;
  readonly method: string;
  readonly url: string;
  readonly issuedAt: number;
  readonly nonce: string | undefined;
  readonly tokenHash: string | undefined;
};

/** Longest proof that is looked at, in characters: room for a key and a signature of ML-DSA-87. */
const proofCharactersMax = 12_288;
const jtiCharactersMax = 256;
const nonceCharactersMax = 512;

/** The one value of the header, or why there is none. */
function readOnly(header: ProofHeader): { readonly proof: string } | ProofRefusalReason {
  const proof = typeof header === "object" ? header[0] : header;
  // RFC 9449 §4.3: "There is not more than one DPoP HTTP request header field." A comma is what joins several.
  if (typeof header === "object" && header.length > 1) return "proof_repeated";
  if (proof === undefined || proof === "") return "proof_missing";
  if (typeof proof !== "string") return "proof_malformed";
  if (proof.length > proofCharactersMax) return "proof_too_long";
  return proof.includes(",") ? "proof_repeated" : { proof };
}

function readProofHeader(
  header: JsonObject | undefined,
  allowed: ReadonlySet<Algorithm>,
): ProofKeyText | ProofRefusalReason {
  // RFC 9449 §4.3: "The alg JOSE Header Parameter indicates a registered asymmetric digital signature algorithm, is
  // not none, is supported by the application, and is acceptable per local policy."
  const read = readHeader(header, allowed);
  if ("ok" in read) {
    return read.reason === "algorithm_not_allowed" ? "proof_algorithm_not_allowed" : "proof_malformed";
  }
  // RFC 9449 §4.3: "The typ JOSE Header Parameter has the value dpop+jwt." So no other kind of JWT that the client's
  // key signs is taken for a proof.
  if (read.type !== "dpop+jwt") return "proof_wrong_type";
  return readProofKey(header?.jwk, read.algorithm) ?? "proof_bad_key";
}

/** Takes the value of a `DPoP` header apart (RFC 9449 §4.2), without believing any of it. */
export function decodeProof(
  header: ProofHeader,
  allowed: ReadonlySet<Algorithm>,
): DecodedProof | ProofRefusalReason {
  const only = readOnly(header);
  if (typeof only === "string") return only;
  // RFC 9449 §4.3: "The DPoP HTTP request header field value is a single and well-formed JWT."
  const parts = splitToken(only.proof);
  if (typeof parts === "string") return "proof_malformed";
  // Every client has a header of its own: not through the memory of headers, which is for those of the issuer.
  const key = readProofHeader(decodeJsonObject(parts.header), allowed);
  if (typeof key === "string") return key;
  const signature = decodeBase64url(parts.signature);
  if (signature === undefined || signature.length === 0) return "proof_malformed";
  return { key, signingInput: parts.signingInput, signature, payload: parts.payload };
}

const isText = (value: unknown, max: number): value is string =>
  typeof value === "string" && value !== "" && value.length <= max;
const isTextOrAbsent = (value: unknown, max: number): value is string | undefined =>
  value === undefined || isText(value, max);

/** The claims of a proof (RFC 9449 §4.2), of the right types and sizes; undefined otherwise. */
export function readProofClaims(payload: string): ProofClaims | undefined {
  const claims = decodeJsonObject(payload);
  if (claims === undefined) return undefined;
  const { jti, htm, htu, iat, nonce, ath } = claims;
  // RFC 9449 §4.3: "All required claims per Section 4.2 are contained in the JWT."
  if (!isText(jti, jtiCharactersMax)) return undefined;
  if (!isText(htm, proofCharactersMax) || !isText(htu, proofCharactersMax)) return undefined;
  if (typeof iat !== "number" || !Number.isFinite(iat)) return undefined;
  if (!isTextOrAbsent(nonce, nonceCharactersMax) || !isTextOrAbsent(ath, proofCharactersMax))
    return undefined;
  return { jti, method: htm, url: htu, issuedAt: iat, nonce, tokenHash: ath };
}
