import type { ResolvedSettings } from "../config.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Answer } from "../http/endpoint.ts";
import type { Proofs } from "../http/proofs.ts";
import type { Clock } from "../primitives/clock.ts";
import type { RightsReader } from "../sessions/rights.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import type { IdTokens } from "../tokens/id-token.ts";
import type { Arrived } from "../users/arrivals.ts";
import { mintFor, secondsUntil } from "./tokens.ts";
import { shownUser } from "./user.ts";

export interface ArrivedParts {
  readonly accessTokens: AccessTokens;
  readonly idTokens: IdTokens;
  readonly rights: RightsReader;
  readonly settings: ResolvedSettings;
  readonly clock: Clock;
  readonly browserSessions: Pick<BrowserSessions, "setCookie">;
  readonly proofs: Pick<Proofs, "nonceHeader">;
}

/** The answer to whoever has signed in, by whichever way: tokens for an app, a cookie for a browser. */
export async function answerArrived(
  { user, session, credential }: Arrived,
  parts: ArrivedParts,
): Promise<Answer> {
  if (session.kind === "browser") {
    return {
      status: 200,
      json: { user: shownUser(user), sessionId: session.id },
      headers: { "Set-Cookie": parts.browserSessions.setCookie({ session, credential }) },
    };
  }
  const facts = {
    ...session,
    sessionId: session.id,
    // Not of the user as the sign-in found them: a role may have changed before the session was there.
    rights: await parts.rights.of(session.id),
    authenticatedAt: session.createdAt,
  };
  const access = mintFor(facts, parts);
  const idToken = parts.idTokens.mint({
    subject: user.id,
    clientId: session.clientId,
    sessionId: session.id,
    authenticatedAt: session.createdAt,
    amr: session.amr,
    accessToken: access.accessToken,
    profile: {
      preferred_username: user.username,
      name: user.name,
      email: user.email,
      email_verified: user.email === undefined ? undefined : user.emailVerified,
    },
  });
  const json = {
    ...access,
    refreshToken: credential,
    idToken,
    refreshExpiresIn: secondsUntil(session.idleEndsAt, parts.clock),
    sessionId: session.id,
    user: shownUser(user),
  };
  return {
    status: 200,
    json,
    ...(session.keyThumbprint !== undefined && { headers: parts.proofs.nonceHeader() }),
  };
}
