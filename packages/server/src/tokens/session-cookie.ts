import type { KeyObject } from "node:crypto";
import { equalBytes } from "../primitives/compare.ts";
import { hmacSha256 } from "../primitives/digest.ts";

/*
 * The value of a browser's session cookie: `kss_` and the base64url of
 *
 *     version 1 | key id 1 | session id 16 | secret 32 | tag 16
 *
 * The tag is an HMAC over all that precedes it, so that a value which we never made is refused without asking the
 * database. The row holds the SHA-256 of the secret: nothing that a browser could send is stored.
 */
const PREFIX = "kss_";
const VERSION = 1;
const SECRET_AT = 18;
const TAG_AT = 50;
const TOTAL_BYTES = 66;
const COOKIE_LENGTH = PREFIX.length + (TOTAL_BYTES * 4) / 3;

export interface SessionCookieParts {
  /** 16 bytes. */
  readonly sessionId: Buffer;
  /** 32 bytes. */
  readonly secret: Buffer;
}

export type SessionCookies = ReturnType<typeof createSessionCookies>;

interface Dependencies {
  readonly currentKeyId: number;
  /** The tag key of each master secret, by the one-byte id of the secret. */
  readonly keys: ReadonlyMap<number, KeyObject>;
}

export function createSessionCookies({ currentKeyId, keys }: Dependencies) {
  return {
    encode({ sessionId, secret }: SessionCookieParts): string {
      const key = keys.get(currentKeyId);
      if (key === undefined) throw new Error(`Bug in Keyturn: no cookie key ${currentKeyId}`);
      const bytes = Buffer.allocUnsafe(TOTAL_BYTES);
      bytes[0] = VERSION;
      bytes[1] = currentKeyId;
      sessionId.copy(bytes, 2);
      secret.copy(bytes, SECRET_AT);
      hmacSha256(key, bytes.subarray(0, TAG_AT)).copy(bytes, TAG_AT, 0, TOTAL_BYTES - TAG_AT);
      return PREFIX + bytes.toString("base64url");
    },

    /** The parts of a value whose tag verifies; undefined for anything else. */
    decode(value: string): SessionCookieParts | undefined {
      if (value.length !== COOKIE_LENGTH || !value.startsWith(PREFIX)) return undefined;
      const text = value.slice(PREFIX.length);
      const bytes = Buffer.from(text, "base64url");
      // Node skips what is not base64url: only the one spelling that we write is a value.
      if (bytes.length !== TOTAL_BYTES || bytes.toString("base64url") !== text) return undefined;
      const key = keys.get(bytes[1] ?? 0);
      if (bytes[0] !== VERSION || key === undefined) return undefined;
      const tag = hmacSha256(key, bytes.subarray(0, TAG_AT)).subarray(0, TOTAL_BYTES - TAG_AT);
      if (!equalBytes(tag, bytes.subarray(TAG_AT))) return undefined;
      return { sessionId: bytes.subarray(2, SECRET_AT), secret: bytes.subarray(SECRET_AT, TAG_AT) };
    },
  };
}
