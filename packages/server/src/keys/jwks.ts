import { createPublicKey, type KeyObject } from "node:crypto";
import type { SigningAlgorithm } from "../config-schema.ts";
import { assert } from "../primitives/assert.ts";
import { sha256 } from "../primitives/digest.ts";

/** A public key as it is published (RFC 7517 §4): never a private member. */
export interface PublicJwk {
  /** The thumbprint of the key, RFC 7638. */
  readonly kid: string;
  readonly alg: SigningAlgorithm;
  readonly use: "sig";
  readonly kty: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly n?: string;
  readonly e?: string;
  readonly pub?: string;
}

/** The key set as it is served. */
export interface Jwks {
  /** JSON: `{"keys":[…]}`, RFC 7517 §5. */
  readonly body: string;
  /** A strong validator (RFC 9110 §8.8.3), the same on every node that publishes the same keys. */
  readonly etag: string;
  readonly keys: readonly PublicJwk[];
}

/**
 * The members that make a public key, in the lexicographic order that a thumbprint needs (RFC 7638 §3.3);
 * EC and RSA: §3.2, OKP: RFC 8037 §2, AKP (ML-DSA): RFC 9964, where `alg` is one of them.
 */
const members = {
  AKP: ["alg", "kty", "pub"],
  EC: ["crv", "kty", "x", "y"],
  OKP: ["crv", "kty", "x"],
  RSA: ["e", "kty", "n"],
} as const satisfies Record<string, readonly string[]>;

type KeyType = keyof typeof members;

const isKeyType = (kty: unknown): kty is KeyType => typeof kty === "string" && Object.hasOwn(members, kty);

/** The public half of a key pair as it is published. Only named members are taken, so no private one can slip in. */
export function publicJwk(key: KeyObject, algorithm: SigningAlgorithm): PublicJwk {
  const exported = (key.type === "private" ? createPublicKey(key) : key).export({ format: "jwk" });
  const picked = pick(exported);
  const kid = picked && thumbprint(picked);
  assert(picked && kid, `${algorithm} gave a key that is not a public JWK`);
  return { ...picked, kid, alg: algorithm, use: "sig", kty: picked.kty ?? "" };
}

/** A published key read back from its stored text. Undefined: the text is damaged, or is another key's. */
export function parsePublicJwk(
  text: string,
  row: { id: string; algorithm: SigningAlgorithm },
): PublicJwk | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const picked = pick(parsed);
  if (!picked || thumbprint(picked) !== row.id) return undefined;
  return { ...picked, kid: row.id, alg: row.algorithm, use: "sig", kty: picked.kty ?? "" };
}

/** The key set of these keys, in the order given. */
export function makeJwks(keys: readonly PublicJwk[]): Jwks {
  const body = JSON.stringify({ keys });
  return { body, etag: `"${sha256(body).toString("base64url", 0, 16)}"`, keys };
}

function pick(jwk: unknown): Record<string, string> | undefined {
  if (typeof jwk !== "object" || jwk === null || !("kty" in jwk) || !isKeyType(jwk.kty)) return undefined;
  const all: Record<string, unknown> = { ...jwk };
  const picked: Record<string, string> = {};
  for (const member of members[jwk.kty]) {
    const value = all[member];
    if (typeof value !== "string") return undefined;
    picked[member] = value;
  }
  return picked;
}

/** RFC 7638 §3: SHA-256 of the required members only, in order, without white space. */
function thumbprint(picked: Record<string, string>): string {
  return sha256(JSON.stringify(picked)).toString("base64url");
}
