import { type Client, isConfidential } from "../../clients/client.ts";
import { versionOf } from "../../clients/known-clients.ts";
import { isResourceIndicator } from "../../clients/metadata-rules.ts";
import { type RefreshRefusalReason, Refusal } from "../../errors.ts";
import { wrongKey } from "../../http/proofs.ts";
import type { SigningKeys } from "../../keys/signing-keys.ts";
import type { Metrics } from "../../observability/metrics.ts";
import { unreachable } from "../../primitives/assert.ts";
import { limits } from "../../primitives/limits.ts";
import type { TurnRefusal } from "../../sessions/turn.ts";
import type { TurnOutcome } from "../../sessions/turn-group.ts";
import type { Turning } from "../../sessions/turning.ts";
import type { Users } from "../../users/users.ts";
import type { Issuing, TokenReply } from "../issuing.ts";
import { hasScope, scopesAllowed, scopesIn } from "../scopes.ts";
import type { Grant, GrantRequest } from "./grant.ts";

interface Dependencies {
  readonly turning: Pick<Turning, "turn">;
  readonly issuing: Issuing;
  readonly users: Pick<Users, "findById">;
  readonly signingKeys: Pick<SigningKeys, "ensure">;
  readonly metrics: Pick<Metrics, "turned">;
  readonly settings: { readonly audience: string };
}

type Succeeded = Extract<TurnOutcome, { session: object }>;

/** RFC 6749 §6: the same engine as POST /refresh, by another door. */
export function refreshTokenGrant(dependencies: Dependencies): Grant {
  const { turning, issuing, users, signingKeys, metrics, settings } = dependencies;
  async function turn(client: Client, request: GrantRequest, token: string): Promise<TurnOutcome> {
    const { parameters, attemptKey, dpopThumbprint, ip } = request;
    const scope = scopesIn(parameters.get("scope")).join(" ") || undefined;
    const resources = [...new Set(parameters.all("resource"))].join(" ") || undefined;
    const outcome = await turning.turn({
      token,
      clientId: client.id,
      clientVersion: versionOf(client),
      rotates: rotatesRefreshTokens(client),
      asked: scope === undefined && resources === undefined ? undefined : { scope, resources },
      attemptKey,
      dpopThumbprint,
      ip,
    });
    metrics.turned(outcome.outcome === "refused" ? outcome.reason : outcome.outcome);
    return outcome;
  }

  /** With a client that is as the database has it. */
  async function turnAsItIs(request: GrantRequest, token: string) {
    const outcome = await turn(request.client, request, token);
    if (outcome.outcome !== "refused" || outcome.reason !== "client_changed") {
      return { client: request.client, outcome };
    }
    // It authenticated as what it was a moment ago: it has to as what it is. Nothing has been used up.
    const client = await request.clientAnew();
    return { client, outcome: await turn(client, request, token) };
  }

  async function handle(request: GrantRequest): Promise<TokenReply> {
    const { parameters, dpopThumbprint } = request;
    const token = parameters.get("refresh_token");
    if (token === undefined) {
      throw new Refusal("invalid_request", { description: "refresh_token is missing." });
    }
    if (token.length > limits.refreshTokenCharactersMax) throw refusedTurn("malformed");
    const asked = [...new Set(parameters.all("resource"))];
    // Before it gets to where others' turns are: what is no indicator was never granted.
    if (!asked.every((one) => one === settings.audience || isResourceIndicator(one))) {
      throw refusedTurn("resource_not_granted");
    }
    const { client, outcome } = await turnAsItIs(request, token);
    if (outcome.outcome === "busy") throw new Refusal("busy", { headers: { "Retry-After": "1" } });
    if (outcome.outcome === "refused") throw refusedTurn(outcome.reason);
    const { session, refreshToken } = outcome as Succeeded;
    const scope = stillRegistered(scopesIn(parameters.get("scope")).join(" ") || session.scope, client);
    const user = hasScope(scope, "openid") ? await users.findById(session.userId) : undefined;
    if (user !== undefined) await signingKeys.ensure(client.metadata.id_token_signed_response_alg);
    return issuing.issue({
      client,
      session,
      resources: asked.length === 0 ? session.resources : asked,
      scope,
      // RFC 9449 §5: bound when a proof came; a session that is bound itself does not get here without one.
      keyThumbprint: dpopThumbprint,
      refreshToken,
      // OpenID Connect Core §12.2: an ID token of the same sign-in, so with its `auth_time`, and without a nonce.
      user,
    });
  }

  return {
    type: "refresh_token",
    parameters: {
      refresh_token: { about: "For refresh_token: the newest refresh token" },
      scope: { about: "Less than what was granted, RFC 6749 §6; or what is asked for" },
      resource: { about: "What the access token is to be for, RFC 8707 §2.2; may be repeated" },
    },
    refusals: ["invalid_grant", "invalid_scope", "invalid_target", "busy"],
    handle,
  };
}

/**
 * FAPI 2.0 Security Profile §5.3.2.1 forbids it as a routine. For others the operator may switch it off, but not for
 * public clients: RFC 9700 §2.2.2: "Refresh tokens for public clients MUST be sender-constrained or use refresh token
 * rotation".
 */
function rotatesRefreshTokens(client: Client): boolean {
  const { keyturn_profile: profile, keyturn_refresh_rotation: rotation } = client.metadata;
  return !isConfidential(client) || (profile !== "fapi2" && rotation !== false);
}

/** Of what was granted, that for which the client is registered now: its registration may have become narrower. */
function stillRegistered(granted: string, client: Client): string {
  const registered = scopesAllowed(client);
  if (registered === undefined) return granted;
  return scopesIn(granted)
    .filter((one) => registered.has(one))
    .join(" ");
}

function refusedTurn(reason: TurnRefusal | "malformed"): Refusal {
  switch (reason) {
    case "wrong_key":
      return wrongKey();
    case "client_changed":
      // It changes faster than it can be read.
      return new Refusal("busy", { headers: { "Retry-After": "1" } });
    case "scope_not_granted":
      return new Refusal("invalid_scope", {
        description: "The scope is more than what was granted. The refresh token has not been used.",
      });
    case "resource_not_granted":
      return new Refusal("invalid_target", {
        description: "The resource is none of those that were granted. The refresh token has not been used.",
      });
    default:
      // Ours, beside the code of RFC 6749: a client forgets what it holds only for `expired`, `revoked` and `reused`.
      return new Refusal("invalid_grant", { reason: reasonOf(reason), description: descriptionOf(reason) });
  }
}

type InvalidGrantReason = Exclude<
  TurnRefusal | "malformed",
  "wrong_key" | "client_changed" | "scope_not_granted" | "resource_not_granted"
>;

/** As POST /refresh says it. */
function reasonOf(reason: InvalidGrantReason): RefreshRefusalReason {
  switch (reason) {
    case "malformed":
    case "revoked":
    case "reused":
    case "superseded":
    case "expired":
      return reason;
    case "idle":
      return "expired";
    case "wrong_client":
    case "unknown_session":
    case "unknown_secret":
    case "newer_generation":
      return "unknown";
    default:
      return unreachable(reason);
  }
}

/** RFC 6749 §5.2: one code for all; the sentence is for whoever reads the client's log. */
function descriptionOf(reason: InvalidGrantReason): string {
  switch (reason) {
    case "revoked":
      return "The session of this refresh token was ended. Begin the authorization anew.";
    case "reused":
      return "An old refresh token was used again, so somebody holds a copy, and the session was ended. Begin the authorization anew.";
    case "expired":
    case "idle":
      return "The session of this refresh token has expired. Begin the authorization anew.";
    case "superseded":
      return "This refresh token was replaced, and its successor was used since. Use the newest one; the session goes on.";
    // Which client or session a token belongs to is not for those who hold another one.
    case "malformed":
    case "wrong_client":
    case "unknown_session":
    case "unknown_secret":
    case "newer_generation":
      return "This is no refresh token of this client's that is known here.";
    default:
      return unreachable(reason);
  }
}
