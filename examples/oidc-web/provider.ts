/** What is said to the OpenID provider, all of it by openid-client. */
import * as oidc from "openid-client";

export interface Registered {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Of this application. */
  readonly url: string;
}

/** What this application remembers of somebody who is on the way to the provider. */
export interface Leaving {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly returnTo: string;
}

/** Somebody who is signed in here. */
export interface Session {
  readonly subject: string;
  /** The provider's name of their session there, by which it says that it is over. */
  readonly sid: string | undefined;
  readonly name: string;
  idToken: string | undefined;
  accessToken: string;
  refreshToken: string | undefined;
  goodUntil: number;
  /** How often the tokens were replaced, to be seen. */
  turns: number;
  /** The refresh that is under way. */
  turning?: Promise<boolean> | undefined;
}

export interface UserInfo {
  readonly sub: string;
  readonly [claim: string]: unknown;
}

type Tokens = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers;

/** So long before its end a token is not used any more. */
const marginMs = 30_000;

export type Provider = Awaited<ReturnType<typeof discover>>;

export async function discover({ issuer, clientId, clientSecret, url }: Registered) {
  // Plain http is for a provider on this machine only.
  const isLocal = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])[:/]/.test(`${issuer}/`);
  const configuration = await oidc.discovery(
    new URL(issuer),
    clientId,
    clientSecret,
    oidc.ClientSecretBasic(clientSecret),
    { execute: isLocal ? [oidc.allowInsecureRequests] : [] },
  );
  const metadata = configuration.serverMetadata();

  function keep(session: Session, tokens: Tokens): void {
    session.accessToken = tokens.access_token;
    // Whoever does not replace it means that the old one goes on.
    session.refreshToken = tokens.refresh_token ?? session.refreshToken;
    session.idToken = tokens.id_token ?? session.idToken;
    session.goodUntil = Date.now() + (tokens.expiresIn() ?? 0) * 1000;
  }

  /** @returns whether the session goes on. */
  async function turn(session: Session): Promise<boolean> {
    if (session.refreshToken === undefined) return false;
    try {
      keep(session, await oidc.refreshTokenGrant(configuration, session.refreshToken));
      session.turns++;
      return true;
    } catch (error) {
      // RFC 6749 §5.2: "expired, revoked". Whatever else goes wrong passes, and ends nothing.
      if (error instanceof oidc.ResponseBodyError && error.error === "invalid_grant") return false;
      throw error;
    }
  }

  /** A page asks for many things at once: they share one refresh. */
  function refresh(session: Session): Promise<boolean> {
    session.turning ??= turn(session).finally(() => {
      session.turning = undefined;
    });
    return session.turning;
  }

  return {
    keysAt: metadata.jwks_uri ?? "",

    /** Where somebody goes to sign in, and what is to be remembered meanwhile. */
    async begin(returnTo: string): Promise<{ location: URL; leaving: Leaving }> {
      const leaving = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        verifier: oidc.randomPKCECodeVerifier(),
        returnTo,
      };
      const location = oidc.buildAuthorizationUrl(configuration, {
        redirect_uri: `${url}/callback`,
        // Without offline_access this session ends with the one at the provider.
        scope: "openid profile email",
        state: leaving.state,
        nonce: leaving.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(leaving.verifier),
        code_challenge_method: "S256",
      });
      return { location, leaving };
    },

    /** @throws what openid-client does: `error.error` is the provider's word, as in access_denied. */
    async finish(cameBackTo: URL, leaving: Leaving): Promise<Session> {
      const tokens = await oidc.authorizationCodeGrant(configuration, cameBackTo, {
        expectedState: leaving.state,
        expectedNonce: leaving.nonce,
        pkceCodeVerifier: leaving.verifier,
      });
      const claims = tokens.claims();
      if (claims === undefined) throw new Error("The provider gave no ID token.");
      const text = (value: unknown) => (typeof value === "string" ? value : undefined);
      const session: Session = {
        subject: claims.sub,
        sid: text(claims.sid),
        name: text(claims.name) ?? text(claims.preferred_username) ?? claims.sub,
        idToken: undefined,
        accessToken: "",
        refreshToken: undefined,
        goodUntil: 0,
        turns: 0,
      };
      keep(session, tokens);
      return session;
    },

    /** What the provider says of them now; undefined when the session is over there. */
    async userInfo(session: Session): Promise<UserInfo | undefined> {
      if (Date.now() > session.goodUntil - marginMs && !(await refresh(session))) return undefined;
      const ask = () => oidc.fetchUserInfo(configuration, session.accessToken, session.subject);
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof oidc.WWWAuthenticateChallengeError && error.status === 401)) throw error;
      }
      // The token is refused before its time: somebody's rights have changed, or the session is over.
      return (await refresh(session)) ? ask() : undefined;
    },

    /** Gives the tokens back, and says where the person is signed out of the provider too. */
    async end(session: Session): Promise<URL> {
      // Signing out here must not fail because nobody answers there.
      if (session.refreshToken !== undefined)
        await oidc.tokenRevocation(configuration, session.refreshToken).catch(() => {});
      return oidc.buildEndSessionUrl(configuration, {
        post_logout_redirect_uri: `${url}/`,
        ...(session.idToken !== undefined && { id_token_hint: session.idToken }),
      });
    },
  };
}
