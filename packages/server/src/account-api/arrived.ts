import type { ResolvedSettings } from "../config.ts";
import { Refusal } from "../errors.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Answer } from "../http/endpoint.ts";
import type { Proofs } from "../http/proofs.ts";
import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import { acrOf } from "../sessions/acr.ts";
import type { RightsReader } from "../sessions/rights.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import type { IdTokens } from "../tokens/id-token.ts";
import type { Arrived, SecondFactorRequired } from "../users/arrivals.ts";
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

/** What `answerArrived` may throw: for the rows of the endpoints that end in it. */
export const arrivedRefusals = ["second_factor_required", "second_factor_enrolment_required"] as const;

/** A ticket for the second step is no session, and whoever takes it for one has an error at hand. */
function secondFactorNeeded({ ticket, purpose, methods }: SecondFactorRequired): Refusal {
  const members = { ticket, methods, expiresIn: limits.ticketMinutesMax * 60 };
  return purpose === "enrolment"
    ? new Refusal("second_factor_enrolment_required", { members })
    : new Refusal("second_factor_required", { members });
}

/**
 * The answer to whoever has signed in, by whichever way: tokens for an app, a cookie for a browser.
 * @throws Refusal second_factor_required, second_factor_enrolment_required
 */
export async function answerArrived(arrived: Arrived, parts: ArrivedParts): Promise<Answer> {
  if (arrived.outcome === "second_factor_required") throw secondFactorNeeded(arrived);
  const { user, session, credential } = arrived;
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
    authenticatedAt: session.authenticatedAt,
  };
  const access = mintFor(facts, parts);
  const idToken = parts.idTokens.mint({
    subject: user.id,
    clientId: session.clientId,
    sessionId: session.id,
    authenticatedAt: session.authenticatedAt,
    amr: session.amr,
    acr: acrOf(session.amr),
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
