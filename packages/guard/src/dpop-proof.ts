/** DPoP proofs (RFC 9449): the client shows that it holds the key that its token is bound to. */
import { type Cryptography, findCryptography } from "./cryptography.ts";
import { type MaybePromise, whenThere } from "./maybe-promise.ts";
import {
  type DecodedProof,
  decodeProof,
  type ProofClaims,
  type ProofHeader,
  readProofClaims,
} from "./proof-form.ts";
import { createProofKeys, type ProofKey } from "./proof-key.ts";
import { type ProofOptions, type ProofSettings, readProofOptions } from "./proof-options.ts";
import type { ProofRefusalReason } from "./proof-refusal-reason.ts";
import { createProofReplays } from "./proof-replays.ts";
import { isSameUrl } from "./proof-url.ts";

/** A proof, and the request that it came with. */
export type ProofRequest = {
  /** The `DPoP` header: its value, or all its values where a framework keeps them apart. */
  readonly proof: ProofHeader;
  readonly method: string;
  /** The absolute URL as the client used it; query and fragment do not matter. */
  readonly url: string;
  /** The access token that the proof accompanies: then `ath` must be its hash. */
  readonly accessToken?: string | undefined;
  /** The key that the token is bound to, where one is known already: a proof by any other is refused. */
  readonly keyThumbprint?: string | undefined;
};

export type ProofCheck =
  | {
      readonly ok: true;
      /** SHA-256 thumbprint of the key (RFC 7638), base64url: the `jkt` of RFC 9449 §6.1. */
      readonly thumbprint: string;
      readonly jti: string;
      /** `iat`, in seconds: what the client's clock said. */
      readonly issuedAt: number;
    }
  | { readonly ok: false; readonly reason: ProofRefusalReason };

/** Answers at once where the runtime has node:crypto, else by a promise. Never throws, unless `checkNonce` does. */
export type ProofVerifier = (request: ProofRequest) => ProofCheck | Promise<ProofCheck>;

const refused = (reason: ProofRefusalReason): ProofCheck => ({ ok: false, reason });

/** RFC 9449 §4.3: the time, by the nonce or by `iat`. */
function timeObjection(
  { nonce, issuedAt }: ProofClaims,
  { checkNonce, windowSeconds }: ProofSettings,
  nowMs: number,
): ProofRefusalReason | undefined {
  const verdict = checkNonce === undefined ? "by_clock" : checkNonce(nonce, issuedAt);
  // RFC 9449 §4.3: "The creation time of the JWT, as determined by either the iat claim or a server managed timestamp
  // via the nonce claim, is within an acceptable window".
  switch (verdict) {
    case "good":
      return undefined;
    case "by_clock":
      if (Math.abs(nowMs / 1000 - issuedAt) <= windowSeconds) return undefined;
      return checkNonce === undefined ? "proof_out_of_time" : "proof_nonce_needed";
    case "use_nonce":
      return "proof_nonce_needed";
    default:
      // RFC 9449 §4.3: "If the server provided a nonce value to the client, the nonce claim matches".
      return "proof_bad_nonce";
  }
}

/** {@link createProofVerifier} with a runtime that tests replace. */
export function createProofVerifierWith(options: ProofOptions, cryptography: Cryptography): ProofVerifier {
  const settings = readProofOptions(options);
  const { algorithms, nowMs } = settings;
  const keys = createProofKeys(cryptography, settings.keysMax);
  const replays = createProofReplays(settings.replayMax, settings.keepMs);

  function conclude(key: ProofKey, claims: ProofClaims): ProofCheck {
    const now = nowMs();
    const late = timeObjection(claims, settings, now);
    if (late !== undefined) return refused(late);
    const { thumbprint } = key;
    const { jti, issuedAt } = claims;
    // RFC 9449 §11.1: "servers can store, in the context of the target URI, the jti value of each DPoP proof for the
    // time window in which the respective DPoP proof JWT would be accepted". Last of all, so that only proofs that
    // would have passed take room.
    if (!replays.isFirstUse(thumbprint, jti, now)) return refused("proof_replayed");
    return { ok: true, thumbprint, jti, issuedAt };
  }

  function checkClaims(key: ProofKey, payload: string, request: ProofRequest): MaybePromise<ProofCheck> {
    const claims = readProofClaims(payload);
    if (claims === undefined) return refused("proof_bad_claims");
    // RFC 9449 §4.3: "The htm claim matches the HTTP method of the current request." RFC 9110 §9.1: methods are
    // case-sensitive.
    if (claims.method !== request.method) return refused("proof_wrong_method");
    // RFC 9449 §4.3: "The htu claim matches the HTTP URI value for the HTTP request in which the JWT was received,
    // ignoring any query and fragment parts."
    if (!isSameUrl(claims.url, request.url)) return refused("proof_wrong_url");
    if (request.accessToken === undefined) return conclude(key, claims);
    return whenThere(cryptography.sha256(request.accessToken), (hash) =>
      // RFC 9449 §4.3: "ensure that the value of the ath claim equals the hash of that access token".
      claims.tokenHash === hash ? conclude(key, claims) : refused("proof_wrong_token"),
    );
  }

  function checkSignature(
    decoded: DecodedProof,
    key: ProofKey,
    request: ProofRequest,
  ): MaybePromise<ProofCheck> {
    // RFC 9449 §4.3: "confirm that the public key to which the access token is bound matches the public key from the
    // DPoP proof." Before the signature, which costs more.
    const bound = request.keyThumbprint;
    if (bound !== undefined && bound !== key.thumbprint) return refused("proof_wrong_key");
    // RFC 9449 §4.3: "The JWT signature verifies with the public key contained in the jwk JOSE Header Parameter."
    return whenThere(key.verify(decoded.signingInput, decoded.signature), (isGood) => {
      if (!isGood) return refused("proof_bad_signature");
      keys.remember(decoded.key, key);
      return checkClaims(key, decoded.payload, request);
    });
  }

  return function verifyProof(request) {
    const decoded = decodeProof(request.proof, algorithms);
    if (typeof decoded === "string") return refused(decoded);
    return whenThere(keys.find(decoded.key), (key) =>
      key === undefined ? refused("proof_bad_key") : checkSignature(decoded, key, request),
    );
  };
}

/**
 * Makes a function that verifies DPoP proofs (RFC 9449 §4.3). Make one when the process starts and keep it: it
 * remembers keys and used proofs.
 *
 * @throws TypeError that names the wrong option.
 */
export function createProofVerifier(options: ProofOptions = {}): ProofVerifier {
  return createProofVerifierWith(options, findCryptography());
}
