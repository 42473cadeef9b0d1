import type { KeyObject } from "node:crypto";
import { parse, serialize } from "hono/utils/cookie";
import { equalBytes } from "../primitives/compare.ts";
import { hmacSha256 } from "../primitives/digest.ts";
import type { Id } from "../primitives/id.ts";
import { randomBytes } from "../primitives/random.ts";

/** What a token belongs to: a session, or a browser in which nobody need be signed in. */
export type FormOwner = { readonly session: Id } | { readonly browser: string };

/** `__Host-`: no other host, and nobody on plain http, can plant a nonce whose token they have. */
const cookieName = (isSecure: boolean) => (isSecure ? "__Host-keyturn-form" : "keyturn-form");

/** What this browser was given before, if it has kept it. */
export function browserNonce(cookies: string | undefined, isSecure: boolean): string | undefined {
  const cookie = cookieName(isSecure);
  const nonce = cookies === undefined ? undefined : parse(cookies, cookie)[cookie];
  return nonce !== undefined && NONCE.test(nonce) ? nonce : undefined;
}

export type FormTokens = ReturnType<typeof createFormTokens>;

const SALT_BYTES = 16;
const TAG_BYTES = 32;
const BOUND_BYTES = SALT_BYTES + TAG_BYTES;
const NONCE = /^[A-Za-z0-9_-]{22}$/;

/**
 * Tokens against forms that another site fills in (OWASP ASVS 5.0 §3.5.1). Nothing is stored: a token is a salt and
 * HMAC-SHA-256 over the salt and its owner. The salt makes each page's token a new one, so that a compressing proxy
 * gives none away (BREACH) while all of them stay good for as long as their owner.
 *
 * A browser's token carries a second tag, which says that this server made it for some browser. Ten tabs that are
 * opened at once all come without a cookie, get a nonce each, and keep the last one: the tokens of the other nine
 * are known by that tag.
 */
export function createFormTokens({ key, isSecure }: { key: KeyObject; isSecure: boolean }) {
  const cookie = cookieName(isSecure);

  const tagOf = (salt: Buffer, owner: FormOwner) => {
    const text = "session" in owner ? `session ${owner.session}` : `browser ${owner.browser}`;
    return hmacSha256(key, Buffer.concat([salt, Buffer.from(text)]));
  };

  const ownTag = (bound: Buffer) => hmacSha256(key, Buffer.concat([Buffer.from("some browser "), bound]));

  /** Whether it was made here, for whichever browser. Enough only where the request is known to be of this origin. */
  function isOfSomeBrowser(token: string): boolean {
    const bytes = bytesOf(token);
    if (bytes.length !== BOUND_BYTES + TAG_BYTES) return false;
    return equalBytes(bytes.subarray(BOUND_BYTES), ownTag(bytes.subarray(0, BOUND_BYTES)));
  }

  return {
    isOfSomeBrowser,

    issue(owner: FormOwner): string {
      const salt = randomBytes(SALT_BYTES);
      const bound = Buffer.concat([salt, tagOf(salt, owner)]);
      const token = "session" in owner ? bound : Buffer.concat([bound, ownTag(bound)]);
      return token.toString("base64url");
    },

    isGood(token: string, owner: FormOwner): boolean {
      const bytes = bytesOf(token);
      if ("session" in owner ? bytes.length !== BOUND_BYTES : !isOfSomeBrowser(token)) return false;
      return equalBytes(bytes.subarray(SALT_BYTES, BOUND_BYTES), tagOf(bytes.subarray(0, SALT_BYTES), owner));
    },

    nonceOf: (cookies: string | undefined) => browserNonce(cookies, isSecure),

    newNonce: () => randomBytes(16).toString("base64url"),

    setCookie: (nonce: string): string =>
      serialize(cookie, nonce, { path: "/", httpOnly: true, sameSite: "Lax", secure: isSecure }),
  };
}

/** Empty for what is no base64url: Buffer.from skips what it cannot read, and one token has one text. */
function bytesOf(token: string): Buffer {
  const bytes = Buffer.from(token, "base64url");
  return bytes.toString("base64url") === token ? bytes : Buffer.alloc(0);
}
