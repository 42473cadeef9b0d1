import { type Authentication, createAuthentication } from "./authentication.ts";
import { becomeReady } from "./becoming-ready.ts";
import type { Presentation } from "./binding.ts";
import type { FeedStatus } from "./feed.ts";
import { connect, type GuardInternals } from "./guard-parts.ts";
import type { Identity } from "./identity.ts";
import { type MaybePromise, whenThere } from "./maybe-promise.ts";
import { type GuardOptions, readOptions } from "./options.ts";
import { type Refusal, refuse } from "./refusal.ts";
import type { RefusalReason } from "./refusal-reason.ts";
import { type FeedPolicy, isBoundOnly, type Requirement, shortfall } from "./requirement.ts";
import type { ResourceMetadata } from "./resource-metadata.ts";
import { createTokenCache, type VerifiedToken } from "./token-cache.ts";

export type Verification =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly refusal: Refusal };

export type Guard = {
  /**
   * Whether the access token is good, and good enough for the requirement. Answers at once when the token was seen
   * before, or when the keys are at hand and the runtime has node:crypto; else by a promise, which never rejects.
   *
   * A token that is bound to a key (RFC 9449) is good only with `presented`: the scheme `DPoP`, the proof, and the
   * request that it was made for. Without it the token counts as a Bearer token.
   */
  verify(
    token: string,
    requirement?: Requirement,
    presented?: Presentation,
  ): Verification | Promise<Verification>;
  /**
   * A refusal for what was not even a token: `missing`, `malformed_header`. For adapters.
   */
  refuse(
    reason: "missing" | "malformed_header",
    requirement?: Requirement,
    presented?: Presentation,
  ): Refusal;
  /**
   * Resolves once the keys are at hand and, where configured, the feed is followed.
   *
   * @throws Error (rejects) after 10 seconds, saying what is missing.
   */
  ready(): Promise<void>;
  feed(): FeedStatus;
  /** What the API says of itself (RFC 9728), where `resourceMetadata` was given; adapters serve it. */
  readonly resourceMetadata: ResourceMetadata | undefined;
  /** Stops following and refreshing. Tokens can still be verified with the keys at hand. */
  close(): void;
};

/** What a refusal may need to know. */
type Asked = {
  readonly requirement?: Requirement | undefined;
  readonly presented?: Presentation | undefined;
  readonly identity?: Identity | undefined;
};

/** {@link createGuard} with parts that tests replace. */
export function createGuardWith(options: GuardOptions, internals: GuardInternals): Guard {
  const settings = readOptions(options);
  const parts = connect(options, settings, internals);
  const { keySet, revocations, feed, introspection, emit, nowMs, binding, close } = parts;
  const cache = createTokenCache(settings.cacheTokensMax);
  const authenticate = createAuthentication({
    keySet,
    algorithms: settings.algorithms,
    claims: settings,
    nowMs,
  });
  const takesBearer = settings.dpop !== "require";

  function deny(reason: RefusalReason, { requirement, presented, identity }: Asked): Refusal {
    const refusal = refuse(reason, {
      requirement,
      scheme: presented?.scheme,
      takesBearer,
      metadataUrl: settings.resourceMetadata?.url,
      proofAlgorithms: binding.algorithms,
      retryAfterSeconds: reason === "keys_unavailable" ? keySet.retryAfterSeconds() : undefined,
      nonce: binding.nonce,
    });
    const { subject, clientId, sessionId } = identity ?? {};
    emit({
      type: "refused",
      reason,
      status: refusal.status,
      ...(subject !== undefined && { subject }),
      ...(clientId !== undefined && { clientId }),
      ...(sessionId !== undefined && { sessionId }),
    });
    return refusal;
  }

  const no = (reason: RefusalReason, asked: Asked): Verification => ({
    ok: false,
    refusal: deny(reason, asked),
  });

  /** What must be asked at every use, of a remembered token as of a new one. */
  function staleness(
    verified: VerifiedToken,
    requirement: Requirement | undefined,
    now: number,
  ): RefusalReason | undefined {
    if (now < verified.validFromMs) return "not_yet_valid";
    if (!(now < verified.validUntilMs)) return "expired";
    const version = revocations.version();
    if (verified.revocationsVersion !== version) {
      const taken = revocations.refuses(verified.verification.identity);
      if (taken !== undefined) return taken;
      verified.revocationsVersion = version;
    }
    return policyNow(requirement) === "refuse" ? "feed_broken" : undefined;
  }

  /** What the feed's state comes to for a route at the moment. */
  function policyNow(requirement: Requirement | undefined): FeedPolicy {
    const policy = requirement?.whenFeedBroken ?? settings.whenFeedBroken;
    // "accept" is the only word that lets a token pass unasked; any other than that and "introspect" refuses.
    if (policy === "accept" || feed.isLive()) return "accept";
    return policy === "introspect" && introspection !== undefined ? "introspect" : "refuse";
  }

  /** A token that nothing is held against. Where the feed cannot be heard, the issuer may have the last word. */
  function pass(
    verified: VerifiedToken,
    requirement: Requirement | undefined,
    presented?: Presentation,
  ): MaybePromise<Verification> {
    if (introspection === undefined || policyNow(requirement) !== "introspect") return verified.verification;
    return whenThere(introspection.ask(verified.token), (worth) => {
      if (worth === "active") return verified.verification;
      const { identity } = verified.verification;
      return no(worth === "inactive" ? "inactive" : "feed_broken", { requirement, presented, identity });
    });
  }

  function objection(
    verified: VerifiedToken,
    requirement: Requirement | undefined,
  ): RefusalReason | undefined {
    const now = nowMs();
    const stale = staleness(verified, requirement, now);
    if (stale !== undefined || requirement === undefined) return stale;
    return shortfall(verified.verification.identity, requirement, now);
  }

  /** The long way, of whatever has to do with a key of the client's. */
  function decideBound(verified: VerifiedToken, { requirement, presented }: Asked) {
    const asked = { requirement, presented, identity: verified.verification.identity };
    // No proof is looked at for a token that is over; and nobody is told what a token lacks who cannot prove that
    // it is his own.
    const stale = staleness(verified, requirement, nowMs());
    if (stale !== undefined) return no(stale, asked);
    return whenThere(binding.objection(verified, presented, requirement), (unbound) => {
      const reason = unbound ?? (verified.key.withdrawn ? "unknown_key" : objection(verified, requirement));
      return reason === undefined ? pass(verified, requirement, presented) : no(reason, asked);
    });
  }

  /** Whether no key of the client's is in play: the way of every Bearer token, and a short one. */
  function isPlain(
    { keyThumbprint }: VerifiedToken,
    requirement: Requirement | undefined,
    presented: Presentation | undefined,
  ): boolean {
    return keyThumbprint === undefined && presented === undefined && takesBearer && !isBoundOnly(requirement);
  }

  function decidePlain(
    verified: VerifiedToken,
    requirement: Requirement | undefined,
  ): MaybePromise<Verification> {
    const reason = objection(verified, requirement);
    if (reason === undefined) return pass(verified, requirement);
    return no(reason, { requirement, identity: verified.verification.identity });
  }

  function conclude(outcome: Authentication, asked: Asked): Verification | Promise<Verification> {
    if (typeof outcome === "string") return no(outcome, asked);
    // The keys may have changed while this one was used.
    if (outcome.key.withdrawn) return no("unknown_key", asked);
    cache.set(outcome);
    return isPlain(outcome, asked.requirement, asked.presented)
      ? decidePlain(outcome, asked.requirement)
      : decideBound(outcome, asked);
  }

  function verifyAtLength(token: string, known: VerifiedToken | undefined, asked: Asked) {
    const verification =
      known === undefined
        ? whenThere(authenticate(token), (outcome) => conclude(outcome, asked))
        : decideBound(known, asked);
    if (!(verification instanceof Promise)) return verification;
    return verification.catch(() => no("internal_error", asked));
  }

  function recall(token: string): VerifiedToken | undefined {
    const verified = cache.get(token);
    if (verified === undefined) return undefined;
    // A guard that only ever meets tokens it knows must still learn of a key that was taken back.
    void keySet.wait();
    if (!verified.key.withdrawn) return verified;
    cache.delete(token);
    return undefined;
  }

  return {
    verify(token, requirement, presented) {
      try {
        const known = typeof token === "string" ? recall(token) : undefined;
        if (known !== undefined && isPlain(known, requirement, presented))
          return decidePlain(known, requirement);
        return verifyAtLength(token, known, { requirement, presented });
      } catch {
        // Whatever went wrong, it is not a reason to let somebody in, nor to say more than that.
        return no("internal_error", { requirement, presented });
      }
    },
    refuse: (reason, requirement, presented) => deny(reason, { requirement, presented }),
    ready: () => becomeReady(keySet, feed, internals.readyWithinMs ?? 10_000),
    feed: feed.status,
    resourceMetadata: settings.resourceMetadata,
    close,
  };
}

/**
 * Makes a guard: verifies access tokens of one issuer for one API. Make one when the process starts and keep it.
 *
 * @throws TypeError that names the wrong option.
 */
export function createGuard(options: GuardOptions): Guard {
  return createGuardWith(options, {});
}
