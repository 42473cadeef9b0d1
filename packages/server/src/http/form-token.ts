import type { KeyObject } from "node:crypto";
import { parse, serialize } from "hono/utils/cookie";
import { equalBytes } from "../primitives/compare.ts";
import { hmacSha256 } from "../primitives/digest.ts";
import type { Id } from "../primitives/id.ts";
import { randomBytes } from "../primitives/random.ts";

/** What a token belongs to: a session, or a browser in which nobody need be signed in. */
export type FormOwner = { readonly session: Id } | { readonly browser: string };

export type FormTokens = ReturnType<typeof createFormTokens>;

const SALT_BYTES = 16;
const TAG_BYTES = 32;
const NONCE = /^[A-Za-z0-9_-]{22}$/;

/**
 * Tokens against forms that another site fills in (OWASP ASVS 5.0 §3.5.1). Nothing is stored: a token is a salt and
 * HMAC-SHA-256 over the salt and its owner. The salt makes each page's token a new one, so that a compressing proxy
 * gives none away (BREACH) while all of them stay good for as long as their owner.
 */
export function createFormTokens({ key, isSecure }: { key: KeyObject; isSecure: boolean }) {
  // `__Host-`: no other host, and nobody on plain http, can plant a nonce whose token they have.
  const cookie = isSecure ? "__Host-keyturn-form" : "keyturn-form";

  const tagOf = (salt: Buffer, owner: FormOwner) => {
    const text = "session" in owner ? `session ${owner.session}` : `browser ${owner.browser}`;
    return hmacSha256(key, Buffer.concat([salt, Buffer.from(text)]));
  };

  return {
    issue(owner: FormOwner): string {
      const salt = randomBytes(SALT_BYTES);
      return Buffer.concat([salt, tagOf(salt, owner)]).toString("base64url");
    },

    isGood(token: string, owner: FormOwner): boolean {
      const bytes = Buffer.from(token, "base64url");
      // Buffer.from skips what it cannot read: one text for one token.
      if (bytes.length !== SALT_BYTES + TAG_BYTES || bytes.toString("base64url") !== token) return false;
      const salt = bytes.subarray(0, SALT_BYTES);
      return equalBytes(bytes.subarray(SALT_BYTES), tagOf(salt, owner));
    },

    /** What this browser was given before, if it has kept it. */
    nonceOf(cookies: string | undefined): string | undefined {
      const nonce = cookies === undefined ? undefined : parse(cookies, cookie)[cookie];
      return nonce !== undefined && NONCE.test(nonce) ? nonce : undefined;
    },

    newNonce: () => randomBytes(16).toString("base64url"),

    setCookie: (nonce: string): string =>
      serialize(cookie, nonce, { path: "/", httpOnly: true, sameSite: "Lax", secure: isSecure }),
  };
}
