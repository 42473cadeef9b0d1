import { patienceMs, tryPatiently, unreachable } from "./patience.ts";
import type { Binding } from "./proofs.ts";
import type { AccessReply } from "./replies.ts";
import type { Runtime } from "./runtime.ts";

/** An access token in memory. Times are by the runtime's clock. */
export interface Access {
  readonly token: string;
  readonly sessionId: string;
  /** Makes the proofs that go with each request; undefined for a Bearer token. */
  readonly binding?: Binding | undefined;
  readonly refreshAtMs: number;
  readonly goodUntilMs: number;
}

const marginMaxMs = 60_000;
// A token that is over while the request is on its way costs another one.
const onTheWayMaxMs = 2000;
const forcedGapMs = 10_000;

/**
 * @param sinceMs When it was asked for: the server's count began later, so that this one ends earlier.
 * @param random From 0 to 1: how much later than the others this tab refreshes, at most half of the margin.
 */
export function createAccess(reply: AccessReply, sinceMs: number, random: number): Access {
  const { accessToken: token, expiresIn, sessionId } = reply;
  const lifeMs = expiresIn * 1000;
  const endsAtMs = sinceMs + lifeMs;
  return {
    token,
    sessionId,
    refreshAtMs: endsAtMs - Math.min(lifeMs / 10, marginMaxMs) * (1 - random / 2),
    goodUntilMs: endsAtMs - Math.min(lifeMs / 50, onTheWayMaxMs),
  };
}

/** Keeps the newest access token and renews it when it is asked for, once for all who ask. */
export interface AccessKeeper {
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

export interface AccessKeeperParts {
  readonly runtime: Runtime;
  readonly closed: AbortSignal;
  /** One attempt to get a new one, which it also sets. */
  readonly renew: () => Promise<Access>;
}

export function createAccessKeeper({ runtime, closed, renew }: AccessKeeperParts): AccessKeeper {
  let newest: Access | undefined;
  let flight: Promise<Access> | undefined;
  let awaitedUntilMs = 0;
  let forcedAtMs = Number.NEGATIVE_INFINITY;

  function fly(): Promise<Access> {
    awaitedUntilMs = runtime.now() + patienceMs;
    if (flight === undefined) {
      flight = tryPatiently(renew, { runtime, closed, untilMs: () => awaitedUntilMs }).finally(() => {
        flight = undefined;
      });
      // Not everybody who starts one waits for it.
      flight.catch(() => {});
    }
    return flight;
  }

  async function wait(signal: AbortSignal | null | undefined): Promise<Access> {
    signal?.throwIfAborted();
    const over = new AbortController();
    const signals = signal ? [over.signal, signal] : [over.signal];
    try {
      const late = runtime.sleep(patienceMs, ...signals);
      const access = await Promise.race([fly(), late]);
      signal?.throwIfAborted();
      if (access === undefined) throw unreachable();
      return access;
    } finally {
      over.abort();
    }
  }

  return {
    peek: () => newest,
    set(access) {
      newest = access;
    },
    async get(signal) {
      const access = newest;
      if (access === undefined || runtime.now() >= access.goodUntilMs) return wait(signal);
      if (runtime.now() >= access.refreshAtMs) void fly();
      return access;
    },
    async getOther(refused, signal) {
      if (newest !== undefined && newest.token !== refused.token) return newest;
      // An API that refuses every token would have the session turn at each call.
      if (runtime.now() - forcedAtMs < forcedGapMs) return undefined;
      const access = await wait(signal);
      forcedAtMs = runtime.now();
      return access;
    },
  };
}
