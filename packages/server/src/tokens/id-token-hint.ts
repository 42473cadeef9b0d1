import { createPublicKey, type KeyObject, verify } from "node:crypto";
import type { SigningKeys } from "../keys/signing-keys.ts";

/** What an ID token of this server says of whom it speaks. */
export interface IdTokenHint {
  readonly subject: string;
  /** The client that it was given to. */
  readonly clientId: string;
  readonly sessionId: string | undefined;
}

interface Dependencies {
  readonly signingKeys: Pick<SigningKeys, "jwks">;
  readonly issuer: string;
}

const TOKEN_CHARACTERS_MAX = 8192;
const algorithms = {
  ES256: { digest: "sha256", dsaEncoding: "ieee-p1363" },
  RS256: { digest: "sha256", dsaEncoding: undefined },
  EdDSA: { digest: null, dsaEncoding: undefined },
} as const;

/**
 * ID tokens that come back as `id_token_hint`. OpenID Connect RP-Initiated Logout §2: "The OP SHOULD accept ID Tokens
 * when the RP identified by the ID Token's aud claim and/or sid claim has a current session or had a recent session at
 * the OP, even when the exp time has passed." So what counts is who signed it, with a key that is still published.
 */
export function createIdTokenHints({ signingKeys, issuer }: Dependencies) {
  const keys = new WeakMap<object, KeyObject>();

  function keyOf(kid: unknown, alg: string): KeyObject | undefined {
    const jwk = signingKeys.jwks().keys.find((key) => key.kid === kid && key.alg === alg);
    if (jwk === undefined) return undefined;
    const known = keys.get(jwk) ?? createPublicKey({ key: { ...jwk }, format: "jwk" });
    keys.set(jwk, known);
    return known;
  }

  return {
    /** Undefined for what this server did not sign as an ID token. */
    async read(token: string): Promise<IdTokenHint | undefined> {
      const [head = "", body = "", signature = "", ...more] = token.split(".");
      if (token.length > TOKEN_CHARACTERS_MAX || more.length > 0) return undefined;
      const { alg, kid, typ } = objectIn(head);
      // RFC 8725 §3.11: an access token is no ID token.
      if (typ !== "JWT" || typeof alg !== "string" || !Object.hasOwn(algorithms, alg)) return undefined;
      const { digest, dsaEncoding } = algorithms[alg as keyof typeof algorithms];
      const key = keyOf(kid, alg);
      if (key === undefined) return undefined;
      const signed = Buffer.from(`${head}.${body}`, "latin1");
      const bytes = Buffer.from(signature, "base64url");
      if (!verify(digest, signed, dsaEncoding === undefined ? key : { key, dsaEncoding }, bytes))
        return undefined;
      const { iss, sub, aud, sid } = objectIn(body);
      if (iss !== issuer || typeof sub !== "string" || typeof aud !== "string") return undefined;
      return { subject: sub, clientId: aud, sessionId: typeof sid === "string" ? sid : undefined };
    },
  };
}

function objectIn(segment: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, "base64url").toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
