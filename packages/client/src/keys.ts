/** The keys of a session: one for attempt keys, one that the session is bound to (RFC 9449). */

export type Subtle = typeof globalThis.crypto.subtle;
type Handle = Parameters<Subtle["sign"]>[1];

/** A JSON Web Key, as far as the client has to do with it (RFC 7517, RFC 7518 §6). */
export interface JsonKey {
  readonly kty?: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly d?: string;
  readonly k?: string;
}

/**
 * A key as it is kept: a CryptoKey that cannot be taken out of the browser, where the storage can keep one
 * (`keepsKeys`); else a JSON Web Key, which can.
 */
export type KeptKey = Handle | JsonKey;

/** What a session is bound to. */
export interface BindingKey {
  readonly privateKey: KeptKey;
  /** `kty`, `crv`, `x`, `y` and nothing else: it is shown to everybody. */
  readonly publicKey: JsonKey;
}

/** Of the device key, HMAC-SHA-256. */
export const hmac = { name: "HMAC", hash: "SHA-256", length: 256 };
/** Of the key that a session is bound to: ES256, as RFC 7518 §3.4 has it. */
export const es256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export const utf8 = (text: string) => new TextEncoder().encode(text);

/** RFC 7515 §2: base64url without padding. */
export function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/**
 * The signature of a text, as base64url. By the device key over a refresh token it is the attempt key: the same for
 * every try with this token, in every tab, and nobody else can make it; the server knows by it a retry after a lost
 * reply from a thief.
 */
export async function sign(subtle: Subtle, key: KeptKey, text: string): Promise<string> {
  let handle = key as Handle;
  if ("kty" in key) {
    handle = await subtle.importKey("jwk", key, key.kty === "EC" ? es256 : hmac, false, ["sign"]);
  }
  const algorithm = handle.algorithm.name === hmac.name ? hmac : es256;
  return base64url(new Uint8Array(await subtle.sign(algorithm, handle, utf8(text))));
}
