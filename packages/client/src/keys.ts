/** The keys of a session: one for attempt keys, one that the session is bound to (RFC 9449). */

export type Subtle = typeof globalThis.crypto.subtle;
export type Handle = Parameters<Subtle["sign"]>[1];

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
