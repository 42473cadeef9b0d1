import { type Algorithm, ruleOf } from "./algorithms.ts";
import { decodeBase64url } from "./base64url.ts";

/** A key as a key set publishes it (RFC 7517 §4); only what the guard reads. */
export type PublicJsonWebKey = {
  readonly kty?: string | undefined;
  readonly kid?: string | undefined;
  readonly alg?: string | undefined;
  readonly use?: string | undefined;
  readonly key_ops?: readonly string[] | undefined;
  readonly crv?: string | undefined;
  readonly x?: string | undefined;
  readonly y?: string | undefined;
  readonly n?: string | undefined;
  readonly e?: string | undefined;
  readonly pub?: string | undefined;
};

const modulusBitsMin = 2048;
// A modulus of 16,384 bits costs some hundred times the work; nobody signs tokens with one.
const modulusBitsMax = 8192;

function bitLength(bytes: Uint8Array): number {
  const first = bytes.findIndex((byte) => byte !== 0);
  return first === -1 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] as number) + 24;
}

function rsaWeakness(key: PublicJsonWebKey): string | undefined {
  const modulus = typeof key.n === "string" ? decodeBase64url(key.n) : undefined;
  const exponent = typeof key.e === "string" ? decodeBase64url(key.e) : undefined;
  if (modulus === undefined || exponent === undefined) return "its n or e is not base64url";
  const bits = bitLength(modulus);
  // RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used with these algorithms."
  if (bits < modulusBitsMin) return `its RSA modulus has ${bits} bits, ${modulusBitsMin} are needed`;
  if (bits > modulusBitsMax) return `its RSA modulus has ${bits} bits, at most ${modulusBitsMax} are taken`;
  // With an exponent of 1 every message is its own signature; an even one is no RSA key.
  const isOdd = ((exponent.at(-1) ?? 0) & 1) === 1;
  if (!isOdd || bitLength(exponent) < 2) return "its RSA exponent is unsafe";
  return undefined;
}

/** RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2 and AKP: each of these gives the private key away. */
const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"];

/** Why a published key is of no use for verifying signatures; undefined when it is of use. */
export function unfitness(key: PublicJsonWebKey): string | undefined {
  // A private member in a public document means that the key is in everybody's hands.
  if (secretMembers.some((name) => name in key)) return "it holds private or symmetric key material";
  // RFC 7517 §4.2: use "sig" is for signatures; §4.3: key_ops "verify".
  if (key.use !== undefined && key.use !== "sig") return "its use is not sig";
  if (key.key_ops !== undefined && !(Array.isArray(key.key_ops) && key.key_ops.includes("verify"))) {
    return "its key_ops lack verify";
  }
  if (key.kid !== undefined && typeof key.kid !== "string") return "its kid is not a string";
  return key.kty === "RSA" ? rsaWeakness(key) : undefined;
}

/** Whether the key may be used with the algorithm. */
export function fits(key: PublicJsonWebKey, algorithm: Algorithm): boolean {
  const rule = ruleOf(algorithm);
  if (key.kty !== rule.kty) return false;
  if (rule.crv !== undefined && key.crv !== rule.crv) return false;
  // RFC 8725 §3.1: "each key MUST be used with exactly one algorithm". Where the issuer names it, it binds; an AKP
  // key always names it.
  return key.alg === undefined ? rule.kty !== "AKP" : key.alg === algorithm;
}

/** All that makes the key what it is: two keys with the same are the same. */
export function fingerprintOf({ kty, kid, alg, crv, x, y, n, e, pub }: PublicJsonWebKey): string {
  return JSON.stringify([kty, kid, alg, crv, x, y, n, e, pub]);
}
