import type { Identity } from "./identity.ts";
import type { RefusalReason } from "./refusal-reason.ts";

/**
 * What to do with a good token while the revocation feed cannot be heard: `accept` it (revocations are felt late,
 * at the latest when the token expires), `introspect` (ask the issuer about the token, RFC 7662; 503 when it does not
 * answer either) or `refuse` with 503.
 */
export type FeedPolicy = "accept" | "introspect" | "refuse";

/** What a route asks of a token besides being valid. */
export type Requirement = {
  /** All of these. */
  readonly scopes?: readonly string[];
  /** Any one of these; an empty list is met by nobody. */
  readonly roles?: readonly string[];
  /** All of these. */
  readonly permissions?: readonly string[];
  /** Overrides the guard's own policy. */
  readonly whenFeedBroken?: FeedPolicy;
  /** The person must have signed in at most this many seconds ago (RFC 9470, `auth_time`). */
  readonly maxAuthAgeSeconds?: number;
  /**
   * The person must have signed in by any one of these (RFC 9470, `acr`), the preferred first; an empty list is met by
   * nobody. None of them is taken for a weaker one: list all that will do.
   */
  readonly acr?: readonly string[];
  /** The token must be bound to a key and come with a proof of it (RFC 9449). */
  readonly dpop?: boolean;
};

/** Whether only tokens that are bound to a key will do. "false" is the only word against it. */
export function isBoundOnly(requirement: Requirement | undefined): boolean {
  return requirement?.dpop !== undefined && requirement.dpop !== false;
}

function hasAll(held: readonly string[], needed: readonly string[] | undefined): boolean {
  return needed === undefined || needed.every((one) => held.includes(one));
}

/** What the sign-in falls short of (RFC 9470). A token that does not say how or when the person signed in proves neither. */
function signInShortfall(
  { acr, authTime }: Identity,
  { acr: wanted, maxAuthAgeSeconds: maxAge }: Requirement,
  nowMs: number,
): RefusalReason | undefined {
  // Not `includes`: where the list is a text by mistake, any part of the text would do. So it throws, and refuses.
  if (wanted !== undefined && !wanted.some((one) => one === acr)) return "authentication_too_weak";
  if (maxAge === undefined) return undefined;
  // Not `>`: with a maximum of NaN every comparison is false, and that must refuse.
  const isLate = authTime === undefined || !(nowMs / 1000 - authTime <= maxAge);
  return isLate ? "authentication_too_old" : undefined;
}

/**
 * Why the identity falls short of the requirement; undefined when it meets it.
 *
 * First what the client can do nothing about: nobody is made to sign in again only to hear that a role is missing. A
 * missing scope comes last, because the challenge for a better sign-in names the scopes too, and one way through the
 * browser then mends both.
 */
export function shortfall(
  identity: Identity,
  requirement: Requirement,
  nowMs: number,
): RefusalReason | undefined {
  const { roles } = requirement;
  if (roles !== undefined && !roles.some((role) => identity.roles.includes(role))) return "missing_role";
  if (!hasAll(identity.permissions, requirement.permissions)) return "missing_permission";
  const signIn = signInShortfall(identity, requirement, nowMs);
  if (signIn !== undefined) return signIn;
  return hasAll(identity.scopes, requirement.scopes) ? undefined : "missing_scope";
}
