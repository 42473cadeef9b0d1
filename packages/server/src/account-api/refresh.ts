import { z } from "zod";
import type { ResolvedSettings } from "../config.ts";
import { type RefreshRefusalReason, Refusal, refreshRefusalReasons } from "../errors.ts";
import { attemptKeyOf } from "../http/attempt-key.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { type Proofs, proofAbout, wrongKey } from "../http/proofs.ts";
import type { Metrics } from "../observability/metrics.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { TurnRefusal } from "../sessions/turn.ts";
import type { Turning } from "../sessions/turning.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import { tokenReply } from "./schemas.ts";
import { FIRST_PARTY_CLIENT, mintFor, secondsUntil } from "./tokens.ts";

const body = z.object({ refreshToken: z.string().max(limits.refreshTokenCharactersMax) });

interface Dependencies {
  readonly turning: Turning;
  readonly accessTokens: AccessTokens;
  readonly settings: ResolvedSettings;
  readonly proofs: Proofs;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, "turned">;
}

/** POST /refresh: one turn. */
export function refreshEndpoint(dependencies: Dependencies): Endpoint {
  const { turning, clock, metrics, proofs } = dependencies;

  async function handle(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    const attemptKey = attemptKeyOf(request);
    const dpopThumbprint = await proofs.thumbprintOf(request);
    const turn = await turning.turn({
      token: request.body.refreshToken,
      clientId: FIRST_PARTY_CLIENT,
      attemptKey,
      dpopThumbprint,
      ip: request.ip,
    });
    metrics.turned(turn.outcome === "refused" ? turn.reason : turn.outcome);
    if (turn.outcome === "busy") throw new Refusal("busy", { headers: { "Retry-After": "1" } });
    if (turn.outcome === "refused") throw turn.reason === "wrong_key" ? wrongKey() : refusedTurn(turn.reason);
    const { session, refreshToken, refreshExpiresAt } = turn;
    const json = {
      ...mintFor(session, dependencies),
      refreshToken,
      refreshExpiresIn: secondsUntil(refreshExpiresAt, clock),
      sessionId: session.sessionId,
    };
    return { status: 200, json, ...(dpopThumbprint !== undefined && { headers: proofs.nonceHeader() }) };
  }

  return {
    method: "POST",
    path: "/refresh",
    summary: "Exchanges a refresh token for its successor and a fresh access token",
    access: "public",
    body,
    requestHeaders: {
      DPoP: proofAbout,
      "Idempotency-Key": {
        about:
          "The client's attempt key: the same for every try with one token, known to nobody else. With it a lost reply can be fetched again for 24 hours.",
      },
    },
    success: { status: 200, about: "The next refresh token and a fresh access token", schema: tokenReply },
    refusals: ["invalid_refresh_token", "busy", "invalid_dpop_proof", "use_dpop_nonce"],
    handle,
  };
}

export function refusedTurn(reason: TurnRefusal | "malformed"): Refusal {
  const shown = publicReason(reason);
  return new Refusal("invalid_refresh_token", { reason: shown, description: refreshRefusalReasons[shown] });
}

/** What the client is told. Which client or key a token belongs to is not for those who hold another one. */
function publicReason(reason: TurnRefusal | "malformed"): RefreshRefusalReason {
  switch (reason) {
    case "malformed":
    case "revoked":
    case "reused":
    case "superseded":
    case "expired":
      return reason;
    case "idle":
      return "expired";
    case "unknown_session":
    case "unknown_secret":
    case "newer_generation":
    case "wrong_client":
    case "client_changed":
    case "wrong_key":
    case "scope_not_granted":
    case "resource_not_granted":
      return "unknown";
    default:
      return unreachable(reason);
  }
}
