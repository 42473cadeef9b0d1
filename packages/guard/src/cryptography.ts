import type * as NodeCrypto from "node:crypto";
import { type Algorithm, type AlgorithmRule, ruleOf } from "./algorithms.ts";
import { encodeBase64url } from "./base64url.ts";
import { derBytesMax, ecdsaSignatureToDer, isEcdsaSignature } from "./ecdsa-signature.ts";
import type { PublicJsonWebKey } from "./json-web-key.ts";
import { tokenCharactersMax } from "./token.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Whether the signature is one of the input (ASCII) by the key that the verifier was made for. */
export type Verifier = (input: string, signature: Bytes) => boolean | Promise<boolean>;

/** What the guard needs of a runtime. `makeVerifier` throws or rejects when the runtime refuses the key. */
export type Cryptography = {
  readonly name: "node" | "web";
  makeVerifier(key: PublicJsonWebKey, algorithm: Algorithm): Verifier | Promise<Verifier>;
  /** SHA-256 of the text's UTF-8, in base64url. */
  sha256(text: string): string | Promise<string>;
};

/** Node's own module, without an import that would break bundlers and other runtimes. */
export function findNodeCrypto(): typeof NodeCrypto | undefined {
  const found = globalThis.process?.getBuiltinModule?.("node:crypto");
  return typeof found?.createPublicKey === "function" && typeof found.verify === "function"
    ? found
    : undefined;
}

function isSignatureShape(rule: AlgorithmRule, signature: Bytes): boolean {
  if (rule.signatureBytes !== undefined && signature.length !== rule.signatureBytes) return false;
  return rule.family !== "ecdsa" || isEcdsaSignature(signature);
}

/** Only the public members: whatever else a key set holds never reaches the runtime. */
function publicPart({ kty, crv, x, y, n, e, pub, alg }: PublicJsonWebKey): Record<string, string> {
  const members = { kty, crv, x, y, n, e, pub, alg: kty === "AKP" ? alg : undefined };
  return Object.fromEntries(Object.entries(members).filter((entry): entry is [string, string] => !!entry[1]));
}

const saltBytes = { sha256: 32, sha384: 48, sha512: 64 } as const;

const encoder = new TextEncoder();

/** Verifies synchronously with node:crypto. */
export function nodeCryptography(crypto: typeof NodeCrypto): Cryptography {
  // Read by the verification before anything else can write to it.
  const scratch = new Uint8Array(tokenCharactersMax);
  const derScratch = new Uint8Array(derBytesMax);
  const bytesOf = (input: string) => scratch.subarray(0, encoder.encodeInto(input, scratch).written);

  return {
    name: "node",
    sha256: (text) => crypto.createHash("sha256").update(text).digest("base64url"),
    makeVerifier(key, algorithm) {
      const rule = ruleOf(algorithm);
      const publicKey = crypto.createPublicKey({ key: publicPart(key) as never, format: "jwk" });
      const { hash = null } = rule;
      switch (rule.family) {
        case "ecdsa":
          return (input, signature) =>
            isSignatureShape(rule, signature) &&
            crypto.verify(hash, bytesOf(input), publicKey, ecdsaSignatureToDer(signature, derScratch));
        case "rsa-pss": {
          // RFC 7518 §3.5: "The size of the salt value is the same size as the hash function output."
          const saltLength = saltBytes[rule.hash ?? "sha256"];
          const options = { key: publicKey, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength };
          return (input, signature) => crypto.verify(hash, bytesOf(input), options, signature);
        }
        default:
          return (input, signature) =>
            isSignatureShape(rule, signature) && crypto.verify(hash, bytesOf(input), publicKey, signature);
      }
    },
  };
}

const webHashes = { sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" } as const;

function webParameters(algorithm: Algorithm) {
  const rule = ruleOf(algorithm);
  const hash = webHashes[rule.hash ?? "sha256"];
  switch (rule.family) {
    case "ecdsa":
      return { importing: { name: "ECDSA", namedCurve: rule.crv ?? "" }, verifying: { name: "ECDSA", hash } };
    case "rsa":
      return { importing: { name: "RSASSA-PKCS1-v1_5", hash }, verifying: { name: "RSASSA-PKCS1-v1_5" } };
    case "rsa-pss": {
      const saltLength = saltBytes[rule.hash ?? "sha256"];
      return { importing: { name: "RSA-PSS", hash }, verifying: { name: "RSA-PSS", saltLength } };
    }
    case "ed25519":
      return { importing: { name: "Ed25519" }, verifying: { name: "Ed25519" } };
    case "ml-dsa":
      return { importing: { name: algorithm }, verifying: { name: algorithm } };
  }
}

/** Verifies with WebCrypto, where there is no node:crypto. */
export function webCryptography(): Cryptography {
  const { subtle } = globalThis.crypto;
  return {
    name: "web",
    sha256: async (text) =>
      encodeBase64url(new Uint8Array(await subtle.digest("SHA-256", encoder.encode(text)))),
    async makeVerifier(key, algorithm) {
      const rule = ruleOf(algorithm);
      const { importing, verifying } = webParameters(algorithm);
      const publicKey = await subtle.importKey("jwk", publicPart(key), importing, false, ["verify"]);
      return (input, signature) =>
        isSignatureShape(rule, signature) &&
        subtle.verify(verifying, publicKey, signature, encoder.encode(input));
    },
  };
}

/** node:crypto where it exists, because it answers at once; WebCrypto elsewhere. */
export function findCryptography(): Cryptography {
  const node = findNodeCrypto();
  return node === undefined ? webCryptography() : nodeCryptography(node);
}
