import type { Client } from "../clients/client.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import type { Clock } from "../primitives/clock.ts";
import { acrOf } from "../sessions/acr.ts";
import type { TurnedSession } from "../sessions/turn-group.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import type { IdTokens, ProfileClaims } from "../tokens/id-token.ts";
import type { Actor } from "../tokens/own-tokens.ts";
import type { User } from "../users/user.ts";
import { hasScope } from "./scopes.ts";
import type { Subjects } from "./subjects.ts";

/** RFC 6749 §5.1, OpenID Connect Core §3.1.3.3, RFC 8693 §2.2.1. */
export interface TokenReply {
  readonly access_token: string;
  readonly token_type: "Bearer" | "DPoP";
  /** Seconds. */
  readonly expires_in: number;
  readonly scope: string;
  readonly refresh_token?: string | undefined;
  readonly id_token?: string | undefined;
  readonly issued_token_type?: string | undefined;
}

/** What is known of the session that tokens are issued for. */
export interface Issue {
  readonly client: Client;
  readonly session: Pick<TurnedSession, "sessionId" | "userId" | "amr" | "authenticatedAt" | "expiresAt"> & {
    /** None for a client that acts for itself: roles are people's. */
    readonly rights?: TurnedSession["rights"] | undefined;
  };
  /** Default: what the client calls the session's user. */
  readonly subject?: string | undefined;
  /** RFC 8693 §4.1. */
  readonly actor?: Actor | undefined;
  /** What the access token is for: one of the resources of the session, or several; empty: the audience of the settings. */
  readonly resources: readonly string[];
  readonly scope: string;
  /** RFC 9449 §6: the key that the access token is bound to. */
  readonly keyThumbprint: string | undefined;
  readonly refreshToken?: string | undefined;
  /** For the ID token, which is issued when the scope has `openid`. */
  readonly user?: User | undefined;
  readonly nonce?: string | undefined;
  /** RFC 8693 §2.2.1. */
  readonly issuedTokenType?: string | undefined;
}

export type Issuing = ReturnType<typeof createIssuing>;

interface Dependencies {
  readonly accessTokens: AccessTokens;
  readonly idTokens: IdTokens;
  readonly signingKeys: Pick<SigningKeys, "ensure">;
  readonly subjects: Subjects;
  readonly settings: { readonly audience: string };
  readonly clock: Clock;
}

/** The tokens of every grant: one place that says what is in them. */
export function createIssuing(dependencies: Dependencies) {
  const { accessTokens, idTokens, signingKeys, subjects, settings } = dependencies;
  return {
    /** Before anything is used up: the key for the client's ID tokens is made when the first client needs it. */
    prepare: ({ metadata }: Pick<Client, "metadata">): Promise<void> =>
      signingKeys.ensure(metadata.id_token_signed_response_alg),

    issue(issue: Issue): TokenReply {
      const { client, session, resources, scope, keyThumbprint, refreshToken, user, nonce } = issue;
      const subject = issue.subject ?? subjects.of(client, session.userId);
      const { amr, authenticatedAt } = session;
      const proof = { amr, acr: acrOf(amr), authenticatedAt };
      const [first = settings.audience, ...others] = resources;
      const { token, expiresIn } = accessTokens.mint({
        // RFC 9068 §2.2.1: these are of tokens "issued by a grant that involves the resource owner".
        ...(amr.length > 0 && proof),
        subject,
        actor: issue.actor,
        sessionId: session.sessionId,
        clientId: client.id,
        audience: others.length === 0 ? first : [first, ...others],
        scope,
        rights: session.rights,
        sessionExpiresAt: session.expiresAt,
        keyThumbprint,
      });
      const idToken =
        user !== undefined && hasScope(scope, "openid")
          ? idTokens.mint({
              ...proof,
              subject,
              clientId: client.id,
              sessionId: session.sessionId,
              nonce,
              accessToken: token,
              profile: profileFor(user, scope),
              algorithm: client.metadata.id_token_signed_response_alg,
            })
          : undefined;
      return {
        access_token: token,
        // RFC 9449 §5: "a token_type of DPoP MUST be included" for a token that is bound.
        token_type: keyThumbprint === undefined ? "Bearer" : "DPoP",
        expires_in: expiresIn,
        scope,
        refresh_token: refreshToken,
        id_token: idToken,
        issued_token_type: issue.issuedTokenType,
      };
    },
  };
}

/** OpenID Connect Core §5.4: the claims that each scope asks for. */
export function profileFor(user: User, scope: string): ProfileClaims {
  return {
    ...(hasScope(scope, "profile") && { preferred_username: user.username, name: user.name }),
    ...(hasScope(scope, "email") &&
      user.email !== undefined && { email: user.email, email_verified: user.emailVerified }),
  };
}
