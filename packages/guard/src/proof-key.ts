import { type Algorithm, ruleOf } from "./algorithms.ts";
import { decodeBase64url } from "./base64url.ts";
import type { Cryptography, Verifier } from "./cryptography.ts";
import { createGenerations } from "./generations.ts";
import { fits, type PublicJsonWebKey, unfitness } from "./json-web-key.ts";
import { type MaybePromise, whenThere } from "./maybe-promise.ts";

/** The key of a proof, as far as a text can tell. */
export type ProofKeyText = {
  readonly jwk: PublicJsonWebKey;
  readonly algorithm: Algorithm;
  /** What RFC 7638 §3 hashes: the required members alone, in order, without a space. */
  readonly canonical: string;
};

export type ProofKey = { readonly thumbprint: string; readonly verify: Verifier };

/** Length of a coordinate or of a key's bytes, where the type of the key fixes it. */
const coordinateBytes: Readonly<Record<string, number>> = {
  "P-256": 32,
  "P-384": 48,
  "P-521": 66,
  Ed25519: 32,
};
const rsaExponentBytesMax = 4;

function isCoordinate(value: unknown, bytes: number | undefined): value is string {
  return typeof value === "string" && decodeBase64url(value)?.length === bytes;
}

/** RFC 7518 §2: an integer has "the minimum number of octets": no zero in front. */
function integerBytes(value: unknown): number {
  const bytes = typeof value === "string" ? decodeBase64url(value) : undefined;
  return bytes === undefined || bytes[0] === 0 ? 0 : bytes.length;
}

/**
 * The canonical text of a key (RFC 7638 §3.2; RFC 8037 §2 for OKP; AKP's own definition). Undefined when a member is
 * missing or written otherwise than its RFC says: one key has one text, hence one thumbprint.
 */
function canonicalText({ crv, x, y, n, e, pub }: PublicJsonWebKey, algorithm: Algorithm): string | undefined {
  const { kty } = ruleOf(algorithm);
  const bytes = coordinateBytes[crv ?? ""];
  // Every value is base64url or a name that was compared: nothing needs to be escaped.
  switch (kty) {
    case "EC":
      // RFC 7518 §6.2.1.2: "The length of this octet string MUST be the full size of a coordinate for the curve".
      if (!isCoordinate(x, bytes) || !isCoordinate(y, bytes)) return undefined;
      return `{"crv":"${crv}","kty":"EC","x":"${x}","y":"${y}"}`;
    case "OKP":
      return isCoordinate(x, bytes) ? `{"crv":"${crv}","kty":"OKP","x":"${x}"}` : undefined;
    case "RSA": {
      const exponentBytes = integerBytes(e);
      // The key is a stranger's choice: a long exponent would make each verification as dear as a signature.
      if (integerBytes(n) === 0 || exponentBytes === 0 || exponentBytes > rsaExponentBytesMax)
        return undefined;
      return `{"e":"${e}","kty":"RSA","n":"${n}"}`;
    }
    case "AKP":
      if (typeof pub !== "string" || decodeBase64url(pub) === undefined) return undefined;
      return `{"alg":"${algorithm}","kty":"AKP","pub":"${pub}"}`;
  }
}

/** Reads the `jwk` of a proof's header; undefined when it is no public key for the algorithm. */
export function readProofKey(value: unknown, algorithm: Algorithm): ProofKeyText | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const jwk: PublicJsonWebKey = value;
  // RFC 9449 §4.3: "The jwk JOSE Header Parameter does not contain a private key."
  if (unfitness(jwk) !== undefined || !fits(jwk, algorithm)) return undefined;
  const canonical = canonicalText(jwk, algorithm);
  return canonical === undefined ? undefined : { jwk, algorithm, canonical };
}

export type ProofKeys = {
  /** Undefined when the runtime refuses the key: a point that is not on its curve, an algorithm it has not. */
  find(text: ProofKeyText): MaybePromise<ProofKey | undefined>;
  /** To be told once the key has signed something: garbage must not push out the keys of clients. */
  remember(text: ProofKeyText, key: ProofKey): void;
};

/** The keys of at most `keysMax` clients, ready to verify: importing one costs about as much as verifying with it. */
export function createProofKeys(cryptography: Cryptography, keysMax: number): ProofKeys {
  const known = createGenerations<ProofKey>(keysMax);
  const name = ({ algorithm, canonical }: ProofKeyText) => algorithm + canonical;

  function makeVerifier({ jwk, algorithm }: ProofKeyText): MaybePromise<Verifier | undefined> {
    try {
      const made = cryptography.makeVerifier(jwk, algorithm);
      return made instanceof Promise ? made.catch(() => undefined) : made;
    } catch {
      return undefined;
    }
  }

  return {
    find(text) {
      const found = known.get(name(text));
      if (found !== undefined) return found;
      return whenThere(makeVerifier(text), (verify) => {
        if (verify === undefined) return undefined;
        return whenThere(cryptography.sha256(text.canonical), (thumbprint) => ({ thumbprint, verify }));
      });
    },
    remember(text, key) {
      if (known.get(name(text)) === undefined) known.set(name(text), key);
    },
  };
}
