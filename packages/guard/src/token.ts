import { type Algorithm, isAlgorithm } from "./algorithms.ts";
import { decodeBase64url, decodeBase64urlText } from "./base64url.ts";
import type { RefusalReason } from "./refusal-reason.ts";

/** Longest access token that is looked at, in characters. */
export const tokenCharactersMax = 16_384;

export type JsonObject = Readonly<Record<string, unknown>>;

export type TokenHeader = {
  readonly algorithm: Algorithm;
  readonly keyId: string | undefined;
  readonly type: string | undefined;
};

export type DecodedToken = {
  readonly ok: true;
  readonly header: TokenHeader;
  /** ASCII: what the signature is over. */
  readonly signingInput: string;
  readonly signature: Uint8Array<ArrayBuffer>;
  /** Still encoded: nothing of it is parsed before the signature has been verified. */
  readonly payload: string;
};

export type Undecodable = { readonly ok: false; readonly reason: RefusalReason };

const failure = (reason: RefusalReason): Undecodable => ({ ok: false, reason });
const malformed = failure("malformed");

/** Base64url to a JSON object; undefined when it is anything else. */
export function decodeJsonObject(encoded: string): JsonObject | undefined {
  const text = decodeBase64urlText(encoded);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined;
  } catch {
    return undefined;
  }
}

// The tokens of one issuer share a handful of headers: what was read once need not be parsed again. When strangers
// fill it up it starts anew. It remembers no verdict, only what a text says.
const headersMax = 64;
const headersByText = new Map<string, JsonObject>();

function parseHeader(encoded: string): JsonObject | undefined {
  const known = headersByText.get(encoded);
  if (known !== undefined) return known;
  const header = decodeJsonObject(encoded);
  if (header === undefined || encoded.length > 512) return header;
  if (headersByText.size >= headersMax) headersByText.clear();
  headersByText.set(encoded, header);
  return header;
}

/** What every JWS header is asked, whoever signed it. */
export function readHeader(
  header: JsonObject | undefined,
  allowed: ReadonlySet<Algorithm>,
): TokenHeader | Undecodable {
  if (header === undefined) return malformed;
  // RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not understood and supported by the
  // recipient, then the JWS is invalid." None is understood here, and an empty or odd list is invalid anyway.
  // `b64` (RFC 7797) must be listed in `crit`; it is refused alone too.
  if (header.crit !== undefined || header.b64 !== undefined) return failure("critical_header");
  const { alg, kid, typ } = header;
  // RFC 8725 §3.1: "Libraries MUST enable the caller to specify a supported set of algorithms and MUST NOT use
  // any other algorithms."
  if (!isAlgorithm(alg) || !allowed.has(alg)) return failure("algorithm_not_allowed");
  if (kid !== undefined && typeof kid !== "string") return malformed;
  if (typ !== undefined && typeof typ !== "string") return malformed;
  // `jwk`, `jku`, `x5u` and `x5c` are not read here: an access token's keys come from the issuer alone (RFC 8725
  // §3.10). Only a DPoP proof brings its key along; see proof-form.ts.
  return { algorithm: alg, keyId: kid, type: typ };
}

/** The three parts of a compact JWS, still encoded. */
export type TokenParts = {
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
  /** ASCII: what the signature is over. */
  readonly signingInput: string;
};

/** Finds the parts of a compact JWS (RFC 7515 §3.1); why there are none otherwise. */
export function splitToken(token: string): TokenParts | "malformed" | "encrypted" {
  const firstDot = token.indexOf(".");
  const lastDot = token.lastIndexOf(".");
  const secondDot = token.indexOf(".", firstDot + 1);
  if (firstDot === -1 || secondDot === -1) return "malformed";
  // Five parts are a JWE (RFC 7516 §3.1): an access token that the API cannot be meant to read.
  if (secondDot !== lastDot) return token.split(".").length === 5 ? "encrypted" : "malformed";
  return {
    header: token.slice(0, firstDot),
    payload: token.slice(firstDot + 1, lastDot),
    signature: token.slice(lastDot + 1),
    signingInput: token.slice(0, lastDot),
  };
}

/** Takes a compact JWS apart (RFC 7515 §3.1) without believing any of it. */
export function decodeToken(token: string, allowed: ReadonlySet<Algorithm>): DecodedToken | Undecodable {
  if (typeof token !== "string") return malformed;
  if (token.length > tokenCharactersMax) return failure("too_long");
  const parts = splitToken(token);
  if (typeof parts === "string") return failure(parts);
  const header = readHeader(parseHeader(parts.header), allowed);
  if ("ok" in header) return header;
  const signature = decodeBase64url(parts.signature);
  if (signature === undefined || signature.length === 0) return malformed;
  const { signingInput, payload } = parts;
  return { ok: true, header, signingInput, signature, payload };
}
