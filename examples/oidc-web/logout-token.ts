/** OpenID Connect Back-Channel Logout 1.0: the provider posts a signed token when somebody's session there is over. */
import { errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";

/** Whose sessions are over: that one, or all of somebody's. */
export interface Ended {
  readonly sid: string | undefined;
  readonly subject: string | undefined;
}

interface Expected {
  readonly issuer: string;
  readonly clientId: string;
  readonly keys: JWTVerifyGetKey;
}

const event = "http://schemas.openid.net/event/backchannel-logout";
const seenMax = 10_000;

export type LogoutTokens = ReturnType<typeof createLogoutTokens>;

export function createLogoutTokens({ issuer, clientId, keys }: Expected) {
  const seen = new Set<string>();

  return {
    /** @returns undefined for a token that counts for nothing. @throws when the keys cannot be had. */
    async read(token: string): Promise<Ended | undefined> {
      let claims: JWTPayload;
      try {
        const verified = await jwtVerify(token, keys, {
          issuer,
          audience: clientId,
          // So that no ID token is taken for this.
          typ: "logout+jwt",
          algorithms: ["RS256", "ES256", "EdDSA"],
          requiredClaims: ["iat", "exp", "jti"],
          maxTokenAge: "5 minutes",
          clockTolerance: "30 seconds",
        });
        claims = verified.payload;
      } catch (error) {
        const isRefusal = error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout);
        if (isRefusal) return undefined;
        throw error;
      }
      // §2.6: the event is there, a nonce is not, and it speaks of somebody or of a session.
      const { events, nonce, sub: subject, sid, jti = "" } = claims;
      const isLogout = isRecord(events) && isRecord(events[event]) && nonce === undefined;
      const isSid = sid === undefined || typeof sid === "string";
      if (!isLogout || !isSid || (subject === undefined && sid === undefined)) return undefined;
      // §2.6: "Verify that another Logout Token with the same jti value has not been recently received."
      if (seen.has(jti)) return undefined;
      if (seen.size === seenMax) seen.clear();
      seen.add(jti);
      return { sid, subject };
    },
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
