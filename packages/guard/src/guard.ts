import { type Authentication, createAuthentication } from "./authentication.ts";
import { type Cryptography, findCryptography } from "./cryptography.ts";
import { createEmit } from "./events.ts";
import { type Feed, type FeedStatus, noFeed } from "./feed.ts";
import { findOpenStream } from "./feed-connection.ts";
import type { Identity } from "./identity.ts";
import { createIssuer } from "./issuer.ts";
import { createKeySet, type KeySet } from "./key-set.ts";
import { type GuardOptions, type GuardSettings, readOptions } from "./options.ts";
import { type Refusal, refuse } from "./refusal.ts";
import type { RefusalReason } from "./refusal-reason.ts";
import { followRemote } from "./remote-feed.ts";
import { type Requirement, shortfall } from "./requirement.ts";
import { createRevocations } from "./revocations.ts";
import { followSource } from "./source-feed.ts";
import { createTokenCache, type VerifiedToken } from "./token-cache.ts";

export type Verification =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly refusal: Refusal };

export type Guard = {
  /**
   * Whether the access token is good, and good enough for the requirement. Answers at once when the token was seen
   * before, or when the keys are at hand and the runtime has node:crypto; else by a promise, which never rejects.
   */
  verify(token: string, requirement?: Requirement): Verification | Promise<Verification>;
  /**
   * A refusal for what was not even a token: `missing`, `malformed_header`. For adapters.
   */
  refuse(reason: "missing" | "malformed_header", requirement?: Requirement): Refusal;
  /**
   * Resolves once the keys are at hand and, where configured, the feed is followed.
   *
   * @throws Error (rejects) after 10 seconds, saying what is missing.
   */
  ready(): Promise<void>;
  feed(): FeedStatus;
  /** Stops following and refreshing. Tokens can still be verified with the keys at hand. */
  close(): void;
};

/** Parts that only tests replace. */
export type GuardInternals = {
  readonly cryptography?: Cryptography;
  readonly readyWithinMs?: number;
  readonly revocationsMax?: number;
};

type Clocks = { readonly nowMs: () => number; readonly elapsedMs: () => number };

function createClocks(now: (() => number) | undefined): Clocks {
  // A wall clock that is set back must not make a dead feed look alive, so that intervals have a clock of their own.
  return now === undefined
    ? { nowMs: Date.now, elapsedMs: () => performance.now() }
    : { nowMs: now, elapsedMs: now };
}

function connect(options: GuardOptions, settings: GuardSettings, internals: GuardInternals) {
  const { source, fetch } = options;
  const { nowMs, elapsedMs } = createClocks(options.now);
  const emit = createEmit(options.onEvent);
  const cryptography = internals.cryptography ?? findCryptography();
  const issuer = createIssuer({
    issuer: settings.issuer,
    jwksUri: settings.jwksUri,
    fetch: fetch ?? globalThis.fetch,
    elapsedMs,
  });

  function loadFromSource() {
    const lifeSeconds = source?.onKeysChanged === undefined ? 600 : Number.POSITIVE_INFINITY;
    const loaded = source?.jwks() ?? { keys: [] };
    return loaded instanceof Promise
      ? loaded.then(({ keys }) => ({ keys, lifeSeconds }))
      : { keys: loaded.keys, lifeSeconds };
  }

  const load = source === undefined ? issuer.loadKeys : loadFromSource;
  const keySet = createKeySet({ load, cryptography, emit, elapsedMs });
  const revocations = createRevocations(settings.clockToleranceSeconds, internals.revocationsMax);
  const feedParts = { revocations, emit, nowMs, elapsedMs };

  function follow(): Feed {
    if (source?.follow !== undefined)
      return followSource((listener) => source.follow?.(listener) ?? (() => {}), feedParts);
    const { resource, feedStaleAfterSeconds } = settings;
    if (resource === undefined) return noFeed();
    const open = findOpenStream(fetch);
    return followRemote({
      ...feedParts,
      url: issuer.feedUrl,
      resource,
      staleAfterSeconds: feedStaleAfterSeconds,
      open,
    });
  }

  const stopListening = source?.onKeysChanged?.(() => keySet.reload());
  const feed = follow();
  const close = () => {
    stopListening?.();
    feed.close();
    keySet.close();
  };
  return { keySet, revocations, feed, emit, nowMs, close };
}

/** Waits for keys and feed; see {@link Guard.ready}. */
async function becomeReady(keySet: KeySet, feed: Feed, withinMs: number): Promise<void> {
  let isLate = false;
  let deadline: ReturnType<typeof setTimeout> | undefined;
  // Not unref'd: whoever awaits ready() wants the process to live on until it is decided.
  const late = new Promise<void>((resolve) => {
    deadline = setTimeout(resolve, withinMs);
  }).then(() => {
    isLate = true;
  });
  async function keysAtHand(): Promise<void> {
    while (!keySet.isLoaded() && !isLate) {
      await keySet.wait();
      if (!keySet.isLoaded()) {
        await Promise.race([
          late,
          new Promise((resolve) => setTimeout(resolve, Math.min(withinMs / 10, 250))),
        ]);
      }
    }
  }
  await Promise.race([late, Promise.all([keysAtHand(), feed.firstSnapshot])]);
  clearTimeout(deadline);
  if (!isLate) return;
  const missing = keySet.isLoaded()
    ? `the revocation feed is not followed: ${feed.lastProblem() ?? "no snapshot came"}`
    : `the issuer's keys could not be had: ${keySet.lastProblem() ?? "no answer yet"}`;
  throw new Error(`Guard not ready after ${withinMs / 1000} s: ${missing}`);
}

/** {@link createGuard} with parts that tests replace. */
export function createGuardWith(options: GuardOptions, internals: GuardInternals): Guard {
  const settings = readOptions(options);
  const { keySet, revocations, feed, emit, nowMs, close } = connect(options, settings, internals);
  const cache = createTokenCache(settings.cacheTokensMax);
  const authenticate = createAuthentication({
    keySet,
    algorithms: settings.algorithms,
    claims: settings,
    nowMs,
  });

  function deny(reason: RefusalReason, requirement?: Requirement, identity?: Identity): Refusal {
    const refusal = refuse(
      reason,
      requirement,
      reason === "keys_unavailable" ? keySet.retryAfterSeconds() : 5,
    );
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

  /** What must be asked at every use, of a remembered token as of a new one. */
  function objection(
    verified: VerifiedToken,
    requirement: Requirement | undefined,
  ): RefusalReason | undefined {
    const now = nowMs();
    if (now < verified.validFromMs) return "not_yet_valid";
    if (!(now < verified.validUntilMs)) return "expired";
    const version = revocations.version();
    if (verified.revocationsVersion !== version) {
      const taken = revocations.refuses(verified.verification.identity);
      if (taken !== undefined) return taken;
      verified.revocationsVersion = version;
    }
    const policy = requirement?.whenFeedBroken ?? settings.whenFeedBroken;
    // "accept" is the only word that lets a token pass; any other refuses.
    if (policy !== "accept" && !feed.isLive()) return "feed_broken";
    return requirement === undefined
      ? undefined
      : shortfall(verified.verification.identity, requirement, now);
  }

  function decide(verified: VerifiedToken, requirement: Requirement | undefined): Verification {
    const reason = objection(verified, requirement);
    if (reason === undefined) return verified.verification;
    return { ok: false, refusal: deny(reason, requirement, verified.verification.identity) };
  }

  function conclude(outcome: Authentication, requirement: Requirement | undefined): Verification {
    if (typeof outcome === "string") return { ok: false, refusal: deny(outcome, requirement) };
    // The keys may have changed while this one was used.
    if (outcome.key.withdrawn) return { ok: false, refusal: deny("unknown_key", requirement) };
    cache.set(outcome);
    return decide(outcome, requirement);
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
    verify(token, requirement) {
      try {
        const known = typeof token === "string" ? recall(token) : undefined;
        if (known !== undefined) return decide(known, requirement);
        const outcome = authenticate(token);
        if (!(outcome instanceof Promise)) return conclude(outcome, requirement);
        return outcome
          .then((settled) => conclude(settled, requirement))
          .catch((): Verification => ({ ok: false, refusal: deny("internal_error", requirement) }));
      } catch {
        // Whatever went wrong, it is not a reason to let somebody in, nor to say more than that.
        return { ok: false, refusal: deny("internal_error", requirement) };
      }
    },
    refuse: (reason, requirement) => deny(reason, requirement),
    ready: () => becomeReady(keySet, feed, internals.readyWithinMs ?? 10_000),
    feed: feed.status,
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
