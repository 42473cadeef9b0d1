import type { Settings } from "../config-schema.ts";
import type { Clock } from "../primitives/clock.ts";
import { acrOf } from "../sessions/acr.ts";
import type { TurnedSession } from "../sessions/turn-group.ts";
import type { AccessTokens } from "../tokens/access-token.ts";

/** The client that the first-party API acts as: `client_id` of its tokens, `client` of its sessions. */
export const FIRST_PARTY_CLIENT = "first-party";

/** The access token part of a reply, DESIGN §6. */
export function mintFor(
  facts: TurnedSession,
  parts: {
    accessTokens: AccessTokens;
    settings: Pick<Settings, "accessTokenBinding"> & { readonly audience: string };
  },
): { accessToken: string; tokenType: "Bearer" | "DPoP"; expiresIn: number } {
  const { accessTokens, settings } = parts;
  const keyThumbprint = settings.accessTokenBinding === "dpop" ? facts.keyThumbprint : undefined;
  const { token, expiresIn } = accessTokens.mint({
    subject: facts.userId,
    sessionId: facts.sessionId,
    clientId: facts.clientId,
    audience: settings.audience,
    scope: facts.scope,
    authenticatedAt: facts.authenticatedAt,
    amr: facts.amr,
    acr: acrOf(facts.amr),
    rights: facts.rights,
    sessionExpiresAt: facts.expiresAt,
    keyThumbprint,
  });
  // RFC 9449 §5: "a token_type of DPoP MUST be included" for a token that is bound.
  return { accessToken: token, tokenType: keyThumbprint === undefined ? "Bearer" : "DPoP", expiresIn };
}

/** Seconds from now until then, to the nearest, never below 0. */
export function secondsUntil(then: number, clock: Clock): number {
  return Math.max(0, Math.round((then - clock.now()) / 1000));
}
