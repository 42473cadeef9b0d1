import { createPrivateKey, generateKeyPair, type KeyObject } from "node:crypto";
import type { SigningAlgorithm } from "../config-schema.ts";

type Done = (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void;

/** How each algorithm makes its key pair. */
const generators = {
  ES256: (done) => generateKeyPair("ec", { namedCurve: "P-256" }, done),
  // RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
  RS256: (done) => generateKeyPair("rsa", { modulusLength: 2048 }, done),
  EdDSA: (done) => generateKeyPair("ed25519", {}, done),
  "ML-DSA-44": (done) => generateKeyPair("ml-dsa-44", {}, done),
  "ML-DSA-65": (done) => generateKeyPair("ml-dsa-65", {}, done),
  "ML-DSA-87": (done) => generateKeyPair("ml-dsa-87", {}, done),
} satisfies Record<SigningAlgorithm, (done: Done) => void>;

/** A new private key. Made on the thread pool: an RSA key takes up to a second, in which requests go on. */
export function generatePrivateKey(algorithm: SigningAlgorithm): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    generators[algorithm]((error, _publicKey, privateKey) => (error ? reject(error) : resolve(privateKey)));
  });
}

/** PKCS #8 (RFC 5208): what is sealed and stored. */
export function encodePrivateKey(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "pkcs8" });
}

/** Undefined: the bytes are not a private key. */
export function decodePrivateKey(bytes: Buffer): KeyObject | undefined {
  try {
    return createPrivateKey({ key: bytes, format: "der", type: "pkcs8" });
  } catch {
    return undefined;
  }
}
