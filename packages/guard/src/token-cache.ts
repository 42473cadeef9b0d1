import type { Identity } from "./identity.ts";
import type { VerificationKey } from "./verification-key.ts";

/** A token whose signature and claims were found good, and what must be asked again at every use. */
export type VerifiedToken = {
  readonly token: string;
  readonly verification: { readonly ok: true; readonly identity: Identity };
  readonly key: VerificationKey;
  /** The client's key that it is bound to; whose proof is asked for at every use. */
  readonly keyThumbprint: string | undefined;
  readonly validFromMs: number;
  readonly validUntilMs: number;
  /** The version of the revocations that it was last found free of; see `revocations.version`. */
  revocationsVersion: number;
};

export type TokenCache = {
  get(token: string): VerifiedToken | undefined;
  set(verified: VerifiedToken): void;
  delete(token: string): void;
};

// Twelve characters of a signature are 72 bits that nobody without the key can choose, and V8 copies so short a
// slice instead of keeping a view, which makes the look-up half again as fast. The key only finds the entry; that
// it is the same token is decided by comparing the whole of it.
const keyCharacters = 12;

function cacheKey(token: string): string {
  const signatureStart = token.lastIndexOf(".") + 1;
  return token.slice(signatureStart, signatureStart + keyCharacters);
}

/**
 * Remembers verified tokens, at most `tokensMax`; 0 remembers none.
 *
 * Two generations: what is used again moves to the young one, and when that is full the old one is dropped whole.
 * That keeps what is in use without touching a list at every hit.
 */
export function createTokenCache(tokensMax: number): TokenCache {
  const generationMax = Math.max(1, Math.floor(tokensMax / 2));
  let young = new Map<string, VerifiedToken>();
  let old = new Map<string, VerifiedToken>();

  function insert(key: string, verified: VerifiedToken): void {
    if (young.size >= generationMax) {
      old = young;
      young = new Map();
    }
    young.set(key, verified);
  }

  return {
    get(token) {
      const key = cacheKey(token);
      let verified = young.get(key);
      if (verified === undefined) {
        verified = old.get(key);
        if (verified === undefined || verified.token !== token) return undefined;
        old.delete(key);
        insert(key, verified);
        return verified;
      }
      return verified.token === token ? verified : undefined;
    },
    set(verified) {
      if (tokensMax > 0) insert(cacheKey(verified.token), verified);
    },
    delete(token) {
      const key = cacheKey(token);
      if (young.get(key)?.token === token) young.delete(key);
      if (old.get(key)?.token === token) old.delete(key);
    },
  };
}
