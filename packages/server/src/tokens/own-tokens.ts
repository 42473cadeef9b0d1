import type { SigningKeys } from "../keys/signing-keys.ts";
import type { Clock } from "../primitives/clock.ts";
import { type Id, isId } from "../primitives/id.ts";
import { readOwnJwt } from "./jwt.ts";

/** What an access token of ours says. Times in seconds since 1970. */
export interface OwnToken {
  readonly subject: string;
  readonly clientId: string;
  readonly sessionId: Id;
  readonly audience: readonly string[];
  readonly scope: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** RFC 7638: the key that it is bound to. */
  readonly keyThumbprint: string | undefined;
  /** RFC 8693 §4.1: who acts for the subject. */
  readonly actor: Actor | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** RFC 8693 §4.1: the one who acts now, and who acted before. */
export interface Actor {
  readonly sub: string;
  readonly act?: Actor | undefined;
}

export type OwnTokens = ReturnType<typeof createOwnTokens>;

interface Dependencies {
  readonly signingKeys: Pick<SigningKeys, "jwks">;
  readonly issuer: string;
  readonly clock: Clock;
}

/**
 * Reads access tokens of our own that somebody asks about: to introspect, to revoke, to exchange them. Any audience
 * will do, and no proof of a bound one's key is asked for: none of this opens an API. docs/adr/0024.
 */
export function createOwnTokens({ signingKeys, issuer, clock }: Dependencies) {
  return {
    /** Undefined when it is none of ours, or has expired. Whether its session goes on is asked of the database. */
    read(token: string): OwnToken | undefined {
      const claims = readOwnJwt(token, { type: "at+jwt", keys: signingKeys.jwks().keys });
      if (claims === undefined || claims.iss !== issuer) return undefined;
      const { sub, client_id, sid, aud, exp, iat, scope, cnf, act } = claims;
      if (typeof sub !== "string" || typeof client_id !== "string" || !isId(sid)) return undefined;
      if (typeof exp !== "number" || typeof iat !== "number" || exp * 1000 <= clock.now()) return undefined;
      const { jkt } = (cnf ?? {}) as { jkt?: string };
      return {
        subject: sub,
        clientId: client_id,
        sessionId: sid,
        audience: Array.isArray(aud) ? aud : [String(aud)],
        scope: typeof scope === "string" ? scope : "",
        issuedAt: iat,
        expiresAt: exp,
        keyThumbprint: jkt,
        actor: act as Actor | undefined,
        claims,
      };
    },
  };
}
