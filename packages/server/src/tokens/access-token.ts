import type { Settings } from "../config-schema.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import { type Clock, toSeconds } from "../primitives/clock.ts";
import type { Id } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import { signJwt } from "./jwt.ts";

/** Headers of 8 KB are refused by many proxies; a token is only one of those it travels with. */
const LARGE_TOKEN_BYTES = 2048;
const WARNING_INTERVAL_MS = 60 * 60 * 1000;
const JTI_BYTES = 16;

export interface AccessTokenInput {
  /** The user's id, or what the client calls them. */
  readonly subject: string;
  readonly sessionId: Id;
  readonly clientId: string;
  readonly audience: string | readonly string[];
  /** Separated by spaces (RFC 6749 §3.3); empty: no scope. */
  readonly scope: string;
  /** When the user proved who they are; milliseconds since 1970. Undefined where there is no user. */
  readonly authenticatedAt?: number | undefined;
  /** How (RFC 8176). */
  readonly amr?: readonly string[] | undefined;
  readonly acr?: string | undefined;
  readonly rights?: TokenRights | undefined;
  /** RFC 8693 §4.1: who acts for the subject. */
  readonly actor?: object | undefined;
  /** RFC 7638: the key whose proof must come with the token. */
  readonly keyThumbprint?: string | undefined;
  /** The absolute end of the session, which no token outlives; milliseconds since 1970. */
  readonly sessionExpiresAt: number;
}

/** What the token says that its user may do. */
export interface TokenRights {
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  /** The token counts as issued when these were read: milliseconds since 1970, never later than now. */
  readonly readAt: number;
  /** Tokens issued earlier are refused by those who follow the feed: seconds since 1970. */
  readonly notBefore: number;
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
        roles: input.rights?.roles.length ?? 0,
        permissions: input.rights?.permissions.length ?? 0,
      },
      "An access token is larger than 2 KB; some proxies and servers will refuse it. Give fewer roles, permissions or scopes.",
    );
  }

  /** All of them or none: a part would be a set of rights that nobody has given. */
  function permissionClaims({ rights, subject, sessionId }: AccessTokenInput) {
    const permissions = rights?.permissions ?? [];
    const characters = permissions.reduce((sum, permission) => sum + permission.length + 3, 0);
    if (characters <= limits.tokenPermissionsCharactersMax) {
      return { permissions: permissions.length > 0 ? permissions : undefined };
    }
    // At every such token: fewer rights than were given must never go unsaid.
    log?.warn(
      { userId: subject, sessionId, permissions: permissions.length, characters },
      "A user has more permissions than an access token can carry; theirs has none of them. Give fewer, or for fewer resources.",
    );
    return { permissions_omitted: true };
  }

  return {
    mint(input) {
      const { rights } = input;
      const now = rights?.readAt ?? clock.now();
      const mintedAt = toSeconds(now);
      // ADR 0014: a token with the new rights must not look older than the change, whose `before` is in whole seconds.
      const issuedAt = Math.max(mintedAt, rights?.notBefore ?? 0);
      // DESIGN §3: nothing outlives the absolute end that was fixed at sign-in.
      const expiresAt = Math.min(mintedAt + settings.accessTokenSeconds, toSeconds(input.sessionExpiresAt));
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
        auth_time: input.authenticatedAt === undefined ? undefined : toSeconds(input.authenticatedAt),
        acr: input.acr,
        amr: input.amr,
        roles: rights?.roles.length ? rights.roles : undefined,
        ...permissionClaims(input),
        act: input.actor,
        // RFC 9449 §6.1: "jkt" is "the base64url encoding of the JWK SHA-256 Thumbprint of the DPoP public key".
        cnf: input.keyThumbprint === undefined ? undefined : { jkt: input.keyThumbprint },
      };
      const key = signingKeys.current(settings.accessTokenAlgorithm);
      const token = signJwt({ key, type: "at+jwt", claims });
      warnWhenLarge(token, input, now);
      return { token, expiresIn: Math.max(0, expiresAt - mintedAt), expiresAt };
    },
  };
}
