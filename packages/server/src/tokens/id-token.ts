import { hash } from "node:crypto";
import type { Settings, SigningAlgorithm } from "../config-schema.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import { type Clock, toSeconds } from "../primitives/clock.ts";
import type { Id } from "../primitives/id.ts";
import { signJwt } from "./jwt.ts";

/** What is known about the user, OpenID Connect Core §5.1. Left out when undefined. */
export interface ProfileClaims {
  readonly preferred_username?: string | undefined;
  readonly name?: string | undefined;
  readonly email?: string | undefined;
  readonly email_verified?: boolean | undefined;
}

export interface IdTokenInput {
  /** The user's id, or what the client calls them. */
  readonly subject: string;
  /** The audience: an ID token is for the client, never for an API. */
  readonly clientId: string;
  readonly sessionId: Id;
  /** When the user proved who they are; milliseconds since 1970. */
  readonly authenticatedAt: number;
  /** How (RFC 8176). */
  readonly amr: readonly string[];
  readonly acr?: string | undefined;
  /** As the client sent it with its authorization request. */
  readonly nonce?: string | undefined;
  /** The access token that is handed out with it, to bind the two by `at_hash`. */
  readonly accessToken?: string | undefined;
  readonly profile?: ProfileClaims | undefined;
  /** The client's `id_token_signed_response_alg`. Default: ES256. */
  readonly algorithm?: SigningAlgorithm | undefined;
}

export interface IdTokens {
  /** Signs an ID token, OpenID Connect Core §2. Synchronous, and touches nothing but memory. */
  mint(input: IdTokenInput): string;
}

export interface IdTokensParts {
  readonly signingKeys: Pick<SigningKeys, "current">;
  readonly issuer: string;
  readonly settings: Pick<Settings, "idTokenSeconds">;
  readonly clock: Clock;
}

export function createIdTokens({ signingKeys, issuer, settings, clock }: IdTokensParts): IdTokens {
  return {
    mint(input) {
      const { algorithm = "ES256", accessToken, profile } = input;
      const issuedAt = toSeconds(clock.now());
      const claims = {
        iss: issuer,
        sub: input.subject,
        aud: input.clientId,
        exp: issuedAt + settings.idTokenSeconds,
        iat: issuedAt,
        auth_time: toSeconds(input.authenticatedAt),
        nonce: input.nonce,
        acr: input.acr,
        amr: input.amr,
        at_hash: accessToken === undefined ? undefined : accessTokenHash(accessToken, algorithm),
        sid: input.sessionId,
        preferred_username: profile?.preferred_username,
        name: profile?.name,
        email: profile?.email,
        email_verified: profile?.email_verified,
      };
      return signJwt({ key: signingKeys.current(algorithm), type: "JWT", claims });
    },
  };
}

/**
 * OpenID Connect Core §3.1.3.6: "the hash algorithm used is the hash algorithm used in the alg Header
 * Parameter". Ed25519 is built on SHA-512 (RFC 8032 §5.1). ML-DSA is built on SHAKE256 (FIPS 204 §3.7), whose
 * length is a choice: 512 bits, as the OpenID Connect libraries of its first users have it.
 */
const tokenHashes = {
  ES256: { name: "sha256", bytes: 32 },
  RS256: { name: "sha256", bytes: 32 },
  EdDSA: { name: "sha512", bytes: 64 },
  "ML-DSA-44": { name: "shake256", bytes: 64 },
  "ML-DSA-65": { name: "shake256", bytes: 64 },
  "ML-DSA-87": { name: "shake256", bytes: 64 },
} as const satisfies Record<SigningAlgorithm, { name: string; bytes: number }>;

/** `at_hash`, OpenID Connect Core §3.1.3.6: the left half of the hash of the access token, base64url. */
export function accessTokenHash(accessToken: string, algorithm: SigningAlgorithm): string {
  const { name, bytes } = tokenHashes[algorithm];
  const digest = hash(name, accessToken, { outputEncoding: "buffer", outputLength: bytes });
  return digest.toString("base64url", 0, bytes / 2);
}
