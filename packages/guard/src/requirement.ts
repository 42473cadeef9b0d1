import type { Identity } from "./identity.ts";
import type { RefusalReason } from "./refusal-reason.ts";

/**
 * What to do with a good token while the revocation feed cannot be heard: `accept` it (revocations are felt late,
 * at the latest when the token expires) or `refuse` with 503.
 */
export type FeedPolicy = "accept" | "refuse";

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
  /** The person must have signed in at most this many seconds ago (RFC 9470). */
  readonly maxAuthAgeSeconds?: number;
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

/** Why the identity falls short of the requirement; undefined when it meets it. */
export function shortfall(
  identity: Identity,
  requirement: Requirement,
  nowMs: number,
): RefusalReason | undefined {
  if (!hasAll(identity.scopes, requirement.scopes)) return "missing_scope";
  const { roles } = requirement;
  if (roles !== undefined && !roles.some((role) => identity.roles.includes(role))) return "missing_role";
  if (!hasAll(identity.permissions, requirement.permissions)) return "missing_permission";
  const maxAge = requirement.maxAuthAgeSeconds;
  if (maxAge !== undefined) {
    const { authTime } = identity;
    // A token that does not say when the person signed in cannot prove that it was lately.
    // Not `>`: with a maximum of NaN every comparison is false, and that must refuse.
    if (authTime === undefined || !(nowMs / 1000 - authTime <= maxAge)) return "authentication_too_old";
  }
  return undefined;
}
