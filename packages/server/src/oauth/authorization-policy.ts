import { isConfidential } from "../clients/client.ts";
import { acrOf, acrValues } from "../sessions/acr.ts";
import type { Session } from "../sessions/session.ts";
import { type RequestRefusal, refuse } from "./authorization-parameters.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import type { KeptRequest } from "./kept-requests.ts";

/** What has to happen before a request can be granted. */
export type Need =
  | { readonly need: "nothing" }
  /** `again`: although somebody is signed in. `new_account`: OpenID Connect Initiating User Registration 1.0. */
  | { readonly need: "sign_in"; readonly how: "first" | "again" | "step_up" | "new_account" }
  | { readonly need: "choice" }
  | { readonly need: "consent" }
  | { readonly need: "refusal"; readonly refusal: RequestRefusal };

/** What is known of who sits at the browser. */
export interface Facts {
  readonly session: Session | undefined;
  /** What the client calls them. */
  readonly subject: string | undefined;
  readonly hasSecondFactor: boolean;
  /** Whether they have agreed to all of it before. */
  readonly isAgreed: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

type Asked = Pick<KeptRequest, "askedAt" | "continuedBy"> | undefined;

/**
 * What has to happen next, of sign-in, choice, step-up and consent in this order. Whoever has signed in since the
 * request began to wait has answered `prompt=login`, `select_account`, `create` and `max_age`: so none of them asks for
 * ever.
 */
export function needOf(request: AuthorizationRequest, facts: Facts, kept: Asked): Need {
  const need =
    whoNeeded(request, facts, kept) ?? howNeeded(request, facts, kept) ?? consentNeeded(request, facts);
  // OpenID Connect Core §3.1.2.1: with none, "the Authorization Server MUST NOT display any authentication or consent
  // user interface pages."
  return request.prompts.has("none") ? silently(need) : need;
}

/** Who it is to be. */
function whoNeeded({ prompts, subject }: AuthorizationRequest, facts: Facts, kept: Asked): Need | undefined {
  const { session } = facts;
  const isNew = hasJustSignedIn(session, kept);
  if (prompts.has("create") && !isNew) return { need: "sign_in", how: "new_account" };
  if (session === undefined) return { need: "sign_in", how: "first" };
  // §3.1.2.1: login: "The Authorization Server SHOULD prompt the End-User for reauthentication."
  if (prompts.has("login") && !isNew) return { need: "sign_in", how: "again" };
  // §3.1.2.2: "If the End-User identified by the ID Token is [not] already logged in or [is not] logged in as a result of
  // the request […] it MUST return an error, such as login_required."
  if (subject !== undefined && subject !== facts.subject) {
    return isNew
      ? { need: "refusal", refusal: refuse("login_required", "Somebody else has signed in") }
      : { need: "sign_in", how: "again" };
  }
  const hasChosen = isNew || kept?.continuedBy === session.id;
  if (prompts.has("select_account") && !hasChosen) return { need: "choice" };
  return undefined;
}

/** How, and how long ago, they have to have proven it. */
function howNeeded(request: AuthorizationRequest, facts: Facts, kept: Asked): Need | undefined {
  const { session, now } = facts;
  if (session === undefined) return undefined;
  const { maxAgeSeconds, acr } = request;
  // §3.1.2.1: "If the elapsed time is greater than this value, the OP MUST attempt to actively re-authenticate".
  const age = now - session.authenticatedAt;
  if (maxAgeSeconds !== undefined && age > maxAgeSeconds * 1000 && !hasJustSignedIn(session, kept)) {
    return { need: "sign_in", how: "again" };
  }
  if (acr === undefined || isMet(acr.values, session)) return undefined;
  // OpenID Connect Core §5.5.1.1: "If this is an Essential Claim and the requirement cannot be met, then the
  // Authorization Server MUST treat that outcome as a failed authentication attempt."
  const canBeMet = acr.values.includes(acrValues.two) && facts.hasSecondFactor;
  return canBeMet
    ? { need: "sign_in", how: "step_up" }
    : { need: "refusal", refusal: refuse("unmet_authentication_requirements") };
}

/** Two factors are more than one. */
function isMet(values: readonly string[], { amr }: Session): boolean {
  const acr = acrOf(amr);
  return values.includes(acr) || (acr === acrValues.two && values.includes(acrValues.one));
}

function consentNeeded(request: AuthorizationRequest, { isAgreed }: Facts): Need {
  const { client, prompts } = request;
  if (prompts.has("consent")) return { need: "consent" };
  // The operator vouches for it, so nobody has to decide whether to trust it.
  if (client.metadata.keyturn_trusted) return { need: "nothing" };
  return isAgreed && canBeRemembered(request) ? { need: "nothing" } : { need: "consent" };
}

/**
 * RFC 8252 §8.6: "The authorization server SHOULD NOT process authorization requests automatically without user consent
 * or interaction, except when the identity of the client can be assured." Any program on a device can claim a scheme, a
 * port, and the id of a client that has no secret.
 */
function canBeRemembered({ client, to }: AuthorizationRequest): boolean {
  return isConfidential(client) || to.redirectUri.startsWith("https:");
}

const hasJustSignedIn = (session: Session | undefined, kept: Asked): boolean =>
  session !== undefined && kept?.askedAt !== undefined && session.authenticatedAt >= kept.askedAt;

/** OpenID Connect Core §3.1.2.6. */
function silently(need: Need): Need {
  switch (need.need) {
    case "sign_in":
      return {
        need: "refusal",
        refusal: refuse(need.how === "step_up" ? "interaction_required" : "login_required"),
      };
    case "choice":
      return { need: "refusal", refusal: refuse("account_selection_required") };
    case "consent":
      return { need: "refusal", refusal: refuse("consent_required") };
    case "nothing":
    case "refusal":
      return need;
  }
}
