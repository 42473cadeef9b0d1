import type { Handle, JsonKey, Subtle } from "./keys.ts";

/** A key that a storage keeps as JSON, to sign with. Loaded on demand: browsers keep keys that are no JSON. */
export function importKey(subtle: Subtle, key: JsonKey): Promise<Handle> {
  const algorithm =
    key.kty === "EC" ? { name: "ECDSA", namedCurve: "P-256" } : { name: "HMAC", hash: "SHA-256" };
  return subtle.importKey("jwk", key, algorithm, false, ["sign"]);
}
