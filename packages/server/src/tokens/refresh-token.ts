import { type KeyObject, timingSafeEqual } from "node:crypto";
import { hmacSha256 } from "../primitives/digest.ts";

/*
 * The wire format of a refresh token: `krt_` and the base64url of
 *
 *     version 1 | key id 1 | session id 16 | generation 4 | secret 32 | tag 16
 *
 * The tag is an HMAC over all that precedes it: a token that we never made is refused without asking the
 * database. The secret of the next generation is derived from this one, so that any node answers two requests
 * with the same token with the same successor, and nothing that could be presented has to be stored.
 */
const PREFIX = "krt_";
const VERSION = 1;
const SECRET_AT = 22;
const TAG_AT = 54;
const TOTAL_BYTES = 70;
const TOKEN_LENGTH = PREFIX.length + Math.ceil((TOTAL_BYTES * 4) / 3);
const GENERATION_MAX = 0xffff_ffff;

/** The two keys that one master secret gives for refresh tokens. */
export interface RefreshKey {
  readonly chain: KeyObject;
  readonly tag: KeyObject;
}

export interface RefreshKeys {
  readonly currentId: number;
  readonly byId: ReadonlyMap<number, RefreshKey>;
}

/** What a refresh token says once its tag has proven that we made it. */
export interface RefreshTokenParts {
  readonly keyId: number;
  /** 16 bytes. */
  readonly sessionId: Buffer;
  readonly generation: number;
  /** 32 bytes. */
  readonly secret: Buffer;
}

export type RefreshTokens = ReturnType<typeof createRefreshTokens>;

export function createRefreshTokens(keys: RefreshKeys) {
  return {
    currentKeyId: keys.currentId,

    encode(parts: RefreshTokenParts): string {
      const key = keys.byId.get(parts.keyId);
      if (key === undefined) throw new Error(`Bug in Keyturn: no refresh key ${parts.keyId}`);
      const bytes = Buffer.allocUnsafe(TOTAL_BYTES);
      bytes[0] = VERSION;
      bytes[1] = parts.keyId;
      parts.sessionId.copy(bytes, 2);
      bytes.writeUInt32BE(parts.generation, 18);
      parts.secret.copy(bytes, SECRET_AT);
      hmacSha256(key.tag, bytes.subarray(0, TAG_AT)).copy(bytes, TAG_AT, 0, 16);
      return PREFIX + bytes.toString("base64url");
    },

    /** The parts of a token whose tag verifies; undefined for anything else. Takes no secret from a forger. */
    decode(token: string): RefreshTokenParts | undefined {
      if (token.length !== TOKEN_LENGTH || !token.startsWith(PREFIX)) return undefined;
      const text = token.slice(PREFIX.length);
      const bytes = Buffer.from(text, "base64url");
      // Node skips what is not base64url and ignores stray bits: only the one spelling that we write is a token.
      if (bytes.length !== TOTAL_BYTES || bytes.toString("base64url") !== text) return undefined;
      const keyId = bytes[1] ?? 0;
      const key = keys.byId.get(keyId);
      if (bytes[0] !== VERSION || key === undefined) return undefined;
      const tag = hmacSha256(key.tag, bytes.subarray(0, TAG_AT)).subarray(0, 16);
      if (!timingSafeEqual(tag, bytes.subarray(TAG_AT))) return undefined;
      return {
        keyId,
        sessionId: bytes.subarray(2, 18),
        generation: bytes.readUInt32BE(18),
        secret: bytes.subarray(SECRET_AT, TAG_AT),
      };
    },

    /**
     * secret[g+1] = HMAC(K[key id], session id | g+1 | secret[g]).
     * Undefined when the key is no longer among the master secrets, or the generations are used up.
     */
    nextSecret(parts: {
      keyId: number;
      sessionId: Buffer;
      generation: number;
      secret: Buffer;
    }): Buffer | undefined {
      const key = keys.byId.get(parts.keyId);
      if (key === undefined || parts.generation >= GENERATION_MAX) return undefined;
      const input = Buffer.allocUnsafe(52);
      parts.sessionId.copy(input, 0);
      input.writeUInt32BE(parts.generation + 1, 16);
      parts.secret.copy(input, 20);
      return hmacSha256(key.chain, input);
    },
  };
}
