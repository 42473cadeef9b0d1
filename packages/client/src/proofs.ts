import type { BindingKey, Handle, KeptKey, Subtle } from "./keys.ts";
import { onDemand } from "./on-demand.ts";
import type { Runtime } from "./runtime.ts";

/** What the keys of a session are for. Keys are there only where there is WebCrypto. */
export interface Proofs {
  /**
   * The signature of a text, as base64url. By the device key over a refresh token it is the attempt key: the same for
   * every try with this token, in every tab, and nobody else can make it; the server knows by it a retry after a lost
   * reply from a thief.
   */
  sign(key: KeptKey, text: string): Promise<string>;
  /** That a request comes from the device that has the key (RFC 9449 §4). */
  prove(request: ProvedRequest): Promise<string>;
  /** Takes the server's time from an access token that has just come. */
  learnTime(accessToken: string): void;
  /** Keeps the newest nonce of an origin; whether it is another one than before. */
  learnNonce(origin: string, headers: Headers): boolean;
}

export interface ProvedRequest {
  readonly key: BindingKey;
  readonly method: string;
  readonly url: URL;
  /** The token that the request carries besides. */
  readonly accessToken?: string;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

/** RFC 7515 §2: base64url without padding. */
function base64url(bytes: ArrayBuffer | Uint8Array): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

const encode = (value: unknown) => base64url(utf8(JSON.stringify(value)));

const hash = "SHA-256";
const findJsonKeys = onDemand(() => import("./json-keys.ts"));

export function createProofs(runtime: Runtime): Proofs {
  const { now } = runtime;
  const subtle = runtime.subtle as Subtle;
  // One for each origin that gets tokens: the issuer, the page and the APIs.
  const nonces = new Map<string, string>();
  // Added to the monotonic clock it gives the server's time. The device's own clock is a first guess; where that is
  // wrong, the server asks for its nonce, which it has dated itself.
  let serverOriginMs = runtime.originMs;

  async function sign(key: KeptKey, text: string): Promise<string> {
    const handle = "kty" in key ? await (await findJsonKeys()).importKey(subtle, key) : (key as Handle);
    // HMAC, or ES256 as RFC 7518 §3.4 has it.
    const { name } = handle.algorithm;
    return base64url(await subtle.sign({ name, hash }, handle, utf8(text)));
  }

  return {
    sign,
    async prove({ key, method, url, accessToken }) {
      const digest = accessToken && (await subtle.digest(hash, utf8(accessToken)));
      const header = { typ: "dpop+jwt", alg: "ES256", jwk: key.publicKey };
      // §4.2.
      const claims = {
        jti: crypto.randomUUID(),
        htm: method,
        // "without query and fragment parts".
        htu: url.origin + url.pathname,
        iat: Math.floor((serverOriginMs + now()) / 1000),
        nonce: nonces.get(url.origin),
        // "SHA-256 hash of the ASCII encoding of the associated access token's value".
        ath: digest && base64url(digest),
      };
      const input = `${encode(header)}.${encode(claims)}`;
      return `${input}.${await sign(key.privateKey, input)}`;
    },
    learnNonce(origin, headers) {
      const nonce = headers.get("dpop-nonce");
      if (!nonce || nonces.get(origin) === nonce) return false;
      nonces.set(origin, nonce);
      return true;
    },
    learnTime(accessToken) {
      try {
        const payload = accessToken.split(".")[1] as string;
        const { iat } = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/")));
        if (iat > 0) serverOriginMs = iat * 1000 - now();
      } catch {
        // An access token of another form: the first guess stays.
      }
    },
  };
}
