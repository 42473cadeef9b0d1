import type { Settings } from "../config-schema.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import { type Clock, toSeconds } from "../primitives/clock.ts";
import type { Id } from "../primitives/id.ts";
import { randomBytes } from "../primitives/random.ts";
import { signJwt } from "./jwt.ts";

/** Headers of 8 KB are refused by many proxies; a token is only one of those it travels with. */
const LARGE_TOKEN_BYTES = 2048;
const WARNING_INTERVAL_MS = 60 * 60 * 1000;
const JTI_BYTES = 16;

export interface AccessTokenInput {
  readonly subject: Id;
  readonly sessionId: Id;
  readonly clientId: string;
  readonly audience: string | readonly string[];
  /** Separated by spaces (RFC 6749 §3.3); empty: no scope. */
  readonly scope: string;
  /** When the user proved who they are; milliseconds since 1970. */
  readonly authenticatedAt: number;
  /** How (RFC 8176). */
  readonly amr: readonly string[];
  readonly acr?: string | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly permissions?: readonly string[] | undefined;
  /** RFC 7638: the key whose proof must come with the token. */
  readonly keyThumbprint?: string | undefined;
  /** The absolute end of the session, which no token outlives; milliseconds since 1970. */
  readonly sessionExpiresAt: number;
}

export interface AccessToken {
  readonly token: string;
  /** Seconds from now. */
  readonly expiresIn: number;
  /** Seconds since 1970: the `exp` of the token. */
  readonly expiresAt: number;
}

export interface AccessTokens {
  /** Signs an access token, RFC 9068. Synchronous, and touches nothing but memory. */
  mint(input: AccessTokenInput): AccessToken;
}

export interface AccessTokensParts {
  readonly signingKeys: Pick<SigningKeys, "current">;
  readonly issuer: string;
  readonly settings: Pick<Settings, "accessTokenSeconds" | "accessTokenAlgorithm">;
  readonly clock: Clock;
  readonly log?: { warn(facts: Record<string, unknown>, text: string): void } | undefined;
}

export function createAccessTokens(parts: AccessTokensParts): AccessTokens {
  const { signingKeys, issuer, settings, clock, log } = parts;
  let warnedAt = Number.NEGATIVE_INFINITY;

  function warnWhenLarge(token: string, input: AccessTokenInput, now: number): void {
    if (token.length <= LARGE_TOKEN_BYTES || now - warnedAt < WARNING_INTERVAL_MS) return;
    warnedAt = now;
    log?.warn(
      {
        bytes: token.length,
        clientId: input.clientId,
        roles: input.roles?.length ?? 0,
        permissions: input.permissions?.length ?? 0,
      },
      "An access token is larger than 2 KB; some proxies and servers will refuse it. Give fewer roles, permissions or scopes.",
    );
  }

  return {
    mint(input) {
      const now = clock.now();
      const issuedAt = toSeconds(now);
      // DESIGN §3: nothing outlives the absolute end that was fixed at sign-in.
      const expiresAt = Math.min(issuedAt + settings.accessTokenSeconds, toSeconds(input.sessionExpiresAt));
      const claims = {
        iss: issuer,
        sub: input.subject,
        aud: input.audience,
        client_id: input.clientId,
        iat: issuedAt,
        exp: expiresAt,
        jti: randomBytes(JTI_BYTES).toString("base64url"),
        sid: input.sessionId,
        scope: input.scope || undefined,
        auth_time: toSeconds(input.authenticatedAt),
        acr: input.acr,
        amr: input.amr,
        roles: input.roles?.length ? input.roles : undefined,
        permissions: input.permissions?.length ? input.permissions : undefined,
        // RFC 9449 §6.1: "jkt" is "the base64url encoding of the JWK SHA-256 Thumbprint of the DPoP public key".
        cnf: input.keyThumbprint === undefined ? undefined : { jkt: input.keyThumbprint },
      };
      const key = signingKeys.current(settings.accessTokenAlgorithm);
      const token = signJwt({ key, type: "at+jwt", claims });
      warnWhenLarge(token, input, now);
      return { token, expiresIn: Math.max(0, expiresAt - issuedAt), expiresAt };
    },
  };
}
