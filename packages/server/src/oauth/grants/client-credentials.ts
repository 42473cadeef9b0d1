import { isConfidential } from "../../clients/client.ts";
import { versionOf } from "../../clients/known-clients.ts";
import { Refusal } from "../../errors.ts";
import type { Clock } from "../../primitives/clock.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Issuing, TokenReply } from "../issuing.ts";
import type { Resources } from "../resources.ts";
import { grantableScope, scopesIn, standardScopes } from "../scopes.ts";
import type { Grant, GrantRequest } from "./grant.ts";

interface Dependencies {
  readonly sessions: Pick<Sessions, "startService">;
  readonly issuing: Issuing;
  readonly resources: Resources;
  readonly settings: { readonly accessTokenSeconds: number };
  readonly clock: Clock;
}

/** RFC 6749 §4.4: a client that acts for itself. Each token is a session of its own, which ends with it. */
export function clientCredentialsGrant(parts: Dependencies): Grant {
  const { sessions, issuing, settings, clock } = parts;

  async function handle({ client, parameters, dpopThumbprint, ...from }: GrantRequest): Promise<TokenReply> {
    // RFC 6749 §4.4: "The client credentials grant type MUST only be used by confidential clients."
    if (!isConfidential(client)) throw new Refusal("unauthorized_client");
    const asked = [...new Set(parameters.all("resource"))];
    const scope = await scopeFor({ client, asked: parameters.get("scope"), resources: asked, parts });
    const session = await sessions.startService({
      clientId: client.id,
      clientVersion: versionOf(client),
      scope,
      resources: asked,
      expiresAt: clock.now() + settings.accessTokenSeconds * 1000,
      ip: from.ip,
      userAgent: from.userAgent,
      keyThumbprint: dpopThumbprint,
    });
    // Removed or changed while it asked.
    if (session === undefined) throw new Refusal("invalid_client");
    return issuing.issue({
      client,
      session: { ...session, sessionId: session.id },
      // RFC 9068 §2.2: where no resource owner is involved, sub "SHOULD correspond to an identifier the authorization
      // server uses to indicate the client application".
      subject: client.id,
      resources: asked,
      scope,
      keyThumbprint: dpopThumbprint,
    });
  }

  return {
    type: "client_credentials",
    parameters: {
      scope: { about: "What is asked for, separated by spaces, RFC 6749 §3.3" },
      resource: { about: "What the access token is to be for, RFC 8707 §2; may be repeated" },
    },
    refusals: ["unauthorized_client", "invalid_client", "invalid_scope", "invalid_target"],
    handle,
  };
}

/**
 * Of what it asks for, or else is registered for, what the resources have. Nothing when neither asks nor is registered:
 * OpenID Connect's scopes are about a person, and there is none.
 * @throws Refusal invalid_scope, invalid_target
 */
async function scopeFor(given: {
  client: GrantRequest["client"];
  asked: string | undefined;
  resources: readonly string[];
  parts: Dependencies;
}): Promise<string> {
  const { client, asked, parts } = given;
  const found = await parts.resources.find(given.resources);
  if (found === undefined) throw new Refusal("invalid_target");
  const known =
    found.length === 0 ? await parts.resources.scopes() : found.flatMap((resource) => resource.scopes);
  const people = new Set<string>(standardScopes);
  const granted = scopesIn(grantableScope({ asked, client, known })).filter((scope) => !people.has(scope));
  if (granted.length === 0 && asked !== undefined) throw new Refusal("invalid_scope");
  return granted.join(" ");
}
