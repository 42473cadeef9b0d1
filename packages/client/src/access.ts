import type { BindingKey } from "./keys.ts";
import { isTransient, unreachable } from "./keyturn-error.ts";
import type { AccessReply } from "./replies.ts";
import { within } from "./within.ts";
import type { World } from "./world.ts";

/** An access token in memory. Times are by the runtime's clock. */
export interface Access {
  readonly token: string;
  readonly sessionId: string;
  /** What each request proves to have; undefined for a Bearer token. */
  readonly key?: BindingKey | undefined;
  readonly refreshAtMs: number;
  readonly goodUntilMs: number;
}

const marginMaxMs = 60_000;
// A token that is over while the request is on its way costs another one.
const onTheWayMaxMs = 2000;
const forcedGapMs = 10_000;
/** How long a call waits for a token that cannot be had. */
const patienceMs = 60_000;
const firstPauseMs = 1000;
const longestPauseMs = 30_000;

/** Keeps the newest access token and renews it when it is asked for, once for all who ask. */
export interface AccessKeeper {
  /**
   * What has just come, from the server or from another tab.
   *
   * @param sinceMs When it was asked for: the server's count began later, so that this one ends earlier.
   * @param key The key that the session is bound to.
   */
  read(reply: AccessReply, sinceMs: number, key?: BindingKey): Access;
  /** The newest that came, however old. */
  peek(): Access | undefined;
  set(access: Access | undefined): void;
  /**
   * One that is good now. While it is, and only wants to be renewed soon, nobody waits for that.
   *
   * @throws KeyturnError; and the signal's reason.
   */
  get(signal?: AbortSignal | null): Promise<Access>;
  /** Another one than that, which an API has refused; undefined when it came by this way a moment ago. */
  getOther(refused: Access, signal?: AbortSignal | null): Promise<Access | undefined>;
}

/** @param renew One attempt to get a new one, which it also sets. */
export function createAccessKeeper(world: World, renew: () => Promise<Access>): AccessKeeper {
  const { runtime, proofs, closed } = world;
  let newest: Access | undefined;
  let flight: Promise<Access> | undefined;
  // Until when somebody waits for the flight.
  let awaitedUntilMs = 0;
  let forcedUntilMs = 0;

  /** Tries until it succeeds, is refused for good, or nobody waits any more. */
  async function renewPatiently(): Promise<Access> {
    for (let failures = 0; ; failures++) {
      try {
        return await renew();
      } catch (error) {
        if (closed.aborted || !isTransient(error)) throw error;
        const pauseMs = Math.max(
          // Half of it by chance, so that a thousand clients do not return as one.
          Math.min(firstPauseMs * 2 ** failures, longestPauseMs) * (0.5 + runtime.random() / 2),
          Math.min((error.retryAfterSeconds ?? 0) * 1000, longestPauseMs),
        );
        if (runtime.now() + pauseMs > awaitedUntilMs) throw unreachable(error);
        await within(
          (over) => runtime.sleep(pauseMs, over, closed),
          (over) => new Promise<void>((wake) => runtime.onWake("online", wake, over)),
        );
      }
    }
  }

  function fly(): Promise<Access> {
    awaitedUntilMs = runtime.now() + patienceMs;
    flight ??= renewPatiently().finally(() => {
      flight = undefined;
    });
    // Not everybody who starts one waits for it.
    flight.catch(() => {});
    return flight;
  }

  async function wait(signal: AbortSignal | null | undefined): Promise<Access> {
    const sleep = (over: AbortSignal) => runtime.sleep(patienceMs, over, signal ?? over);
    const access = await within(sleep, fly);
    signal?.throwIfAborted();
    if (!access) throw unreachable();
    return access;
  }

  return {
    read({ accessToken: token, tokenType, expiresIn, sessionId }, sinceMs, key) {
      proofs.learnTime(token);
      const lifeMs = expiresIn * 1000;
      const endsAtMs = sinceMs + lifeMs;
      // At most half of the margin later than other tabs.
      const marginMs = Math.min(lifeMs / 10, marginMaxMs) * (1 - runtime.random() / 2);
      return {
        token,
        sessionId,
        key: tokenType === "DPoP" ? key : undefined,
        refreshAtMs: endsAtMs - marginMs,
        goodUntilMs: endsAtMs - Math.min(lifeMs / 50, onTheWayMaxMs),
      };
    },
    peek: () => newest,
    set(access) {
      newest = access;
    },
    async get(signal) {
      const access = newest;
      if (!access || runtime.now() >= access.goodUntilMs) return wait(signal);
      if (runtime.now() >= access.refreshAtMs) void fly();
      return access;
    },
    async getOther(refused, signal) {
      if (newest && newest.token !== refused.token) return newest;
      // An API that refuses every token would have the session turn at each call.
      if (runtime.now() < forcedUntilMs) return undefined;
      const access = await wait(signal);
      forcedUntilMs = runtime.now() + forcedGapMs;
      return access;
    },
  };
}
