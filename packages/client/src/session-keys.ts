import type { StoredCredentials } from "./credential-storage.ts";
import type { JsonKey, KeptKey, Subtle } from "./keys.ts";

/** What is made at sign-in and stays on this device. */
export type SessionKeys = Pick<StoredCredentials, "deviceKey" | "dpop">;

export interface KeyMaker {
  readonly subtle: Subtle;
  /** False: whatever script runs in the page can use the keys, and cannot read them. */
  readonly extractable: boolean;
}

/** Of the device key, HMAC-SHA-256. */
const hmac = { name: "HMAC", hash: "SHA-256", length: 256 };
/** Of the key that a session is bound to: ES256, as RFC 7518 §3.4 has it. */
const es256 = { name: "ECDSA", namedCurve: "P-256" };

export async function makeKeys({ subtle, extractable }: KeyMaker, isBound: boolean): Promise<SessionKeys> {
  const kept = async (key: Parameters<Subtle["exportKey"]>[1]): Promise<KeptKey> =>
    extractable ? ((await subtle.exportKey("jwk", key)) as JsonKey) : key;
  const deviceKey = await kept(await subtle.generateKey(hmac, extractable, ["sign"]));
  if (!isBound) return { deviceKey };
  const pair = await subtle.generateKey(es256, extractable, ["sign", "verify"]);
  const { kty, crv, x, y } = (await subtle.exportKey("jwk", pair.publicKey)) as Required<JsonKey>;
  return { deviceKey, dpop: { privateKey: await kept(pair.privateKey), publicKey: { kty, crv, x, y } } };
}
