import type { Algorithm } from "./algorithms.ts";
import type { Cryptography, Verifier } from "./cryptography.ts";
import { fingerprintOf, fits, type PublicJsonWebKey, unfitness } from "./json-web-key.ts";

/** One published key, ready to verify. */
export type VerificationKey = {
  readonly id: string | undefined;
  /** All that makes the key what it is: two keys with the same are the same. */
  readonly fingerprint: string;
  /** Whether the key may be used with the algorithm. */
  fits(algorithm: Algorithm): boolean;
  /** Undefined when the runtime refuses the key. */
  verifierFor(algorithm: Algorithm): Verifier | undefined | Promise<Verifier | undefined>;
  /** Set once the issuer no longer publishes the key: nothing it verified is good any more. */
  withdrawn: boolean;
};

export type KeyParts = {
  readonly cryptography: Cryptography;
  /** Told when a published key cannot be used. */
  readonly ignored: (keyId: string | undefined, why: string) => void;
};

/** Makes a key of what was published; undefined, and `ignored` told, when it is of no use. */
export function createVerificationKey(key: PublicJsonWebKey, parts: KeyParts): VerificationKey | undefined {
  const { cryptography, ignored } = parts;
  const why = unfitness(key);
  if (why !== undefined) {
    ignored(typeof key.kid === "string" ? key.kid : undefined, why);
    return undefined;
  }
  // At most one for each algorithm.
  const verifiers = new Map<Algorithm, Verifier | undefined | Promise<Verifier | undefined>>();
  const unusable = (cause: unknown): undefined => {
    ignored(key.kid, `the runtime refuses it: ${cause instanceof Error ? cause.message : String(cause)}`);
  };

  function make(algorithm: Algorithm): Verifier | undefined | Promise<Verifier | undefined> {
    try {
      const made = cryptography.makeVerifier(key, algorithm);
      return made instanceof Promise ? made.catch(unusable) : made;
    } catch (cause) {
      return unusable(cause);
    }
  }

  return {
    id: key.kid,
    fingerprint: fingerprintOf(key),
    fits: (algorithm) => fits(key, algorithm),
    verifierFor(algorithm) {
      if (!verifiers.has(algorithm)) verifiers.set(algorithm, make(algorithm));
      return verifiers.get(algorithm);
    },
    withdrawn: false,
  };
}
