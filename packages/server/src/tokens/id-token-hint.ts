import type { SigningKeys } from "../keys/signing-keys.ts";
import { type Id, isId } from "../primitives/id.ts";

/** What an ID token of ours says, whenever it was issued. */
export interface IdTokenHint {
  readonly subject: string;
  readonly clientId: string;
  readonly sessionId: Id | undefined;
}

export type IdTokenHints = ReturnType<typeof createIdTokenHints>;

interface Dependencies {
  readonly signingKeys: Pick<SigningKeys, "publicJwk">;
  readonly issuer: string;
}

const CHARACTERS_MAX = 8192;

/**
 * Reads an `id_token_hint`. OpenID Connect RP-Initiated Logout 1.0 §2: "The OP SHOULD accept ID Tokens when the RP
 * identified by the ID Token's aud claim and/or sid claim has a current session or had a recent session at the OP, even
 * when the exp time has passed." So neither its time nor the age of its key is asked, but the signature is: a key that
 * has long retired is looked up among the old ones.
 */
export function createIdTokenHints({ signingKeys, issuer }: Dependencies) {
  return {
    /** @returns undefined when it is no ID token of this server */
    async read(hint: string): Promise<IdTokenHint | undefined> {
      if (hint.length > CHARACTERS_MAX) return undefined;
      const { compactVerify, importJWK } = await import("jose");
      try {
        const { payload } = await compactVerify(hint, async ({ kid, alg, typ }) => {
          // RFC 8725 §3.11: an access or a logout token is no ID token.
          if (kid === undefined || typ !== "JWT") throw new Error("not an ID token");
          const key = await signingKeys.publicJwk(kid);
          if (key === undefined || key.alg !== alg) throw new Error("not our key");
          return importJWK({ ...key }, alg);
        });
        return claimsOf(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)), issuer);
      } catch {
        // Whatever is wrong with it: it says nothing.
        return undefined;
      }
    },
  };
}

function claimsOf(claims: Record<string, unknown>, issuer: string): IdTokenHint | undefined {
  const { iss, sub, aud, sid } = claims;
  if (iss !== issuer || typeof sub !== "string" || typeof aud !== "string") return undefined;
  return { subject: sub, clientId: aud, sessionId: typeof sid === "string" && isId(sid) ? sid : undefined };
}
