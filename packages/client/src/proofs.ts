import { type BindingKey, base64url, sign, utf8 } from "./keys.ts";
import type { Runtime } from "./runtime.ts";

/** Proofs of possession: that a request comes from the device that has the key (RFC 9449 §4). */
export interface Proofs {
  bind(key: BindingKey): Binding;
  /** Takes the server's time from an access token that has just come. */
  learnTime(accessToken: string): void;
  /** Keeps the newest nonce of an origin; whether it is another one than before. */
  learnNonce(origin: string, headers: Headers): boolean;
}

export interface Binding extends Pick<Proofs, "learnNonce"> {
  prove(request: ProvedRequest): Promise<string>;
}

export interface ProvedRequest {
  readonly method: string;
  readonly url: URL;
  /** The token that the request carries besides. */
  readonly accessToken?: string;
}

const encode = (value: unknown) => base64url(utf8(JSON.stringify(value)));

/** Undefined where there is no WebCrypto: on pages that came over plain http. */
export function createProofs({ subtle, now, originMs }: Runtime): Proofs | undefined {
  if (subtle === undefined) return undefined;
  // One for each origin that gets tokens: the issuer, the page and the APIs.
  const nonces = new Map<string, string>();
  // Added to the monotonic clock it gives the server's time. The device's own clock is a first guess; where that is
  // wrong, the server asks for its nonce, which it has dated itself.
  let serverOriginMs = originMs;

  function learnNonce(origin: string, headers: Headers): boolean {
    const nonce = headers.get("dpop-nonce");
    if (nonce === null || nonces.get(origin) === nonce) return false;
    nonces.set(origin, nonce);
    return true;
  }

  return {
    learnNonce,
    bind: ({ privateKey, publicKey }) => ({
      learnNonce,
      async prove({ method, url, accessToken }) {
        const digest = accessToken && (await subtle.digest("SHA-256", utf8(accessToken)));
        const header = { typ: "dpop+jwt", alg: "ES256", jwk: publicKey };
        // §4.2.
        const claims = {
          jti: base64url(crypto.getRandomValues(new Uint8Array(16))),
          htm: method,
          // "without query and fragment parts".
          htu: url.origin + url.pathname,
          iat: Math.floor((serverOriginMs + now()) / 1000),
          nonce: nonces.get(url.origin),
          // "SHA-256 hash of the ASCII encoding of the associated access token's value".
          ath: digest && base64url(new Uint8Array(digest)),
        };
        const input = `${encode(header)}.${encode(claims)}`;
        return `${input}.${await sign(subtle, privateKey, input)}`;
      },
    }),
    learnTime(accessToken) {
      try {
        const payload = accessToken.split(".")[1] ?? "";
        const { iat } = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/")));
        if (iat > 0) serverOriginMs = iat * 1000 - now();
      } catch {
        // An access token of another form: the first guess stays.
      }
    },
  };
}
