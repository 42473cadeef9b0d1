import type { Algorithm } from "./algorithms.ts";
import { type ClaimPolicy, isTypeAllowed, readClaims } from "./claims.ts";
import type { KeySet } from "./key-set.ts";
import type { RefusalReason } from "./refusal-reason.ts";
import { type DecodedToken, decodeJsonObject, decodeToken } from "./token.ts";
import type { VerifiedToken } from "./token-cache.ts";
import type { VerificationKey } from "./verification-key.ts";

/** Either the token is what it says, signed by the issuer for this API and in time, or why not. */
export type Authentication = VerifiedToken | RefusalReason;

export type AuthenticationParts = {
  readonly keySet: KeySet;
  readonly algorithms: ReadonlySet<Algorithm>;
  readonly claims: ClaimPolicy;
  readonly nowMs: () => number;
};

type KeyFound = VerificationKey | RefusalReason;

/**
 * Verifies tokens from scratch: form, key, signature, claims, in this order; nothing is read from the payload before
 * the signature is good. Answers at once when the keys are at hand and the runtime verifies synchronously.
 */
export function createAuthentication({ keySet, algorithms, claims, nowMs }: AuthenticationParts) {
  /** Tries the keys one after the other: several when the token names none, or when two keys share a name. */
  function verifyFrom(
    token: DecodedToken,
    keys: readonly VerificationKey[],
    position: number,
  ): KeyFound | Promise<KeyFound> {
    for (let at = position; at < keys.length; at++) {
      const key = keys[at] as VerificationKey;
      const good = isSignedBy(token, key);
      if (good === true) return key;
      if (good !== false) return good.then((isGood) => (isGood ? key : verifyFrom(token, keys, at + 1)));
    }
    return "bad_signature";
  }

  function isSignedBy({ header, signingInput, signature }: DecodedToken, key: VerificationKey) {
    const verifier = key.verifierFor(header.algorithm);
    if (verifier === undefined) return false;
    if (!(verifier instanceof Promise)) return verifier(signingInput, signature);
    return verifier.then((made) => (made === undefined ? false : made(signingInput, signature)));
  }

  function findKey(token: DecodedToken, mayAskAgain: boolean): KeyFound | Promise<KeyFound> {
    if (!keySet.isLoaded()) return "keys_unavailable";
    const { keyId, algorithm } = token.header;
    const keys = keySet.candidates(keyId, algorithm);
    if (keys.length > 0) {
      const found = verifyFrom(token, keys, 0);
      // A token that names no key may be signed by one that we have not seen: look in the background.
      if (found === "bad_signature" && keyId === undefined && mayAskAgain) void keySet.askAgain();
      return found;
    }
    if (!mayAskAgain) return "unknown_key";
    const asking = keySet.askAgain();
    // In this process the answer came at once; else wait for it, or it was asked too lately.
    return asking === undefined ? findKeyOnce(token) : asking.then(() => findKey(token, false));
  }

  const findKeyOnce = (token: DecodedToken) => findKey(token, false);

  function finish(token: string, decoded: DecodedToken, key: KeyFound): Authentication {
    if (typeof key === "string") return key;
    const payload = decodeJsonObject(decoded.payload);
    // RFC 7519 §7.2: the claims set must be "a UTF-8-encoded representation of a completely valid JSON object".
    if (payload === undefined) return "malformed";
    const read = readClaims(payload, claims, nowMs());
    if (!read.ok) return read.reason;
    return {
      token,
      verification: Object.freeze({ ok: true, identity: read.identity }),
      key,
      keyThumbprint: read.identity.keyThumbprint,
      validFromMs: read.validFromMs,
      validUntilMs: read.validUntilMs,
      revocationsVersion: -1,
    };
  }

  function withKeys(token: string, decoded: DecodedToken, mayAskAgain: boolean) {
    const key = findKey(decoded, mayAskAgain);
    if (!(key instanceof Promise)) return finish(token, decoded, key);
    return key.then((found) => finish(token, decoded, found));
  }

  return function authenticate(token: string): Authentication | Promise<Authentication> {
    const decoded = decodeToken(token, algorithms);
    if (!decoded.ok) return decoded.reason;
    if (!isTypeAllowed(decoded.header.type, claims.tokenType)) return "wrong_type";
    const waiting = keySet.wait();
    if (waiting === undefined) return withKeys(token, decoded, true);
    // Fresh from the issuer: asking again for a key that is not among them would be of no use.
    return waiting.then(() => withKeys(token, decoded, false));
  };
}
