import type { Algorithm } from "./algorithms.ts";
import type { Cryptography } from "./cryptography.ts";
import type { Emit } from "./events.ts";
import { fingerprintOf, type PublicJsonWebKey } from "./json-web-key.ts";
import { createRefreshPlan } from "./refresh-plan.ts";
import { createVerificationKey, type VerificationKey } from "./verification-key.ts";

export type LoadedKeys = {
  readonly keys: readonly PublicJsonWebKey[];
  /** How long they may be used without asking again; Infinity when changes are announced. */
  readonly lifeSeconds: number;
};

export type KeySet = {
  /** Undefined when an answer can be given now (keys at hand, or none to be had); else wait and look again. */
  wait(): undefined | Promise<void>;
  /** False until keys were loaded once. */
  isLoaded(): boolean;
  /** The published keys that may have signed a token with this header. */
  candidates(keyId: string | undefined, algorithm: Algorithm): readonly VerificationKey[];
  /** A key was unknown: asks the issuer again, if that was not done lately. Undefined when it was. */
  askAgain(): undefined | Promise<void>;
  /** The issuer announced a change. */
  reload(): void;
  retryAfterSeconds(): number;
  lastProblem(): string | undefined;
  close(): void;
};

export type KeySetParts = {
  readonly load: () => LoadedKeys | Promise<LoadedKeys>;
  readonly cryptography: Cryptography;
  readonly emit: Emit;
  /** Milliseconds that never go back. */
  readonly elapsedMs: () => number;
};

/** Most keys a set may hold. */
const keysMax = 100;
// A token without `kid` costs a verification for each key that fits: the work one token can cause stays bounded.
const candidatesMax = 10;
const unknownKeyPauseMs = 10_000;

type Ring = {
  readonly all: readonly VerificationKey[];
  readonly byId: ReadonlyMap<string, VerificationKey[]>;
};

function createRing(keys: readonly PublicJsonWebKey[], previous: Ring | undefined, parts: KeySetParts): Ring {
  const kept = new Map(previous?.all.map((key) => [key.fingerprint, key]));
  const ignored = (keyId: string | undefined, message: string) =>
    parts.emit({ type: "key_ignored", keyId, message: `A published key is not used: ${message}.` });
  const all: VerificationKey[] = [];
  const byId = new Map<string, VerificationKey[]>();
  for (const published of keys) {
    if (typeof published !== "object" || published === null) continue;
    // A key that stays keeps its imported form, and what it verified stays good. `use`, `key_ops` and private
    // members decide whether a key is usable, so they are looked at each time.
    const fresh = createVerificationKey(published, { cryptography: parts.cryptography, ignored });
    if (fresh === undefined) continue;
    const key = kept.get(fingerprintOf(published)) ?? fresh;
    kept.delete(key.fingerprint);
    all.push(key);
    if (key.id !== undefined) byId.set(key.id, [...(byId.get(key.id) ?? []), key]);
  }
  for (const gone of kept.values()) gone.withdrawn = true;
  return { all, byId };
}

/** The issuer's keys: fetched when first needed, refreshed ahead of their end, kept while the issuer is down. */
export function createKeySet(parts: KeySetParts): KeySet {
  const { load, emit, elapsedMs } = parts;
  const plan = createRefreshPlan(elapsedMs);
  let ring: Ring | undefined;
  let inFlight: Promise<void> | undefined;
  let askedAgainAtMs = Number.NEGATIVE_INFINITY;
  let problem: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;

  function accept({ keys, lifeSeconds }: LoadedKeys): void {
    if (!Array.isArray(keys)) throw new Error("the key set has no list of keys");
    if (keys.length > keysMax) throw new Error(`the key set holds more than ${keysMax} keys`);
    ring = createRing(keys, ring, parts);
    problem = undefined;
    emit({ type: "keys_fetched", keys: ring.all.length, lifeSeconds });
    schedule(plan.succeeded(lifeSeconds));
  }

  function fail(cause: unknown): void {
    problem = cause instanceof Error ? cause.message : String(cause);
    emit({ type: "keys_failed", message: problem, retryInSeconds: plan.failed() / 1000 });
  }

  /** One load at a time, however many wait for it; each is bounded by the time-out of the load. */
  function startLoad(): undefined | Promise<void> {
    if (inFlight !== undefined) return inFlight;
    try {
      const loading = load();
      if (!(loading instanceof Promise)) {
        accept(loading);
        return undefined;
      }
      inFlight = loading
        .then(accept)
        .catch(fail)
        .finally(() => {
          inFlight = undefined;
        });
      return inFlight;
    } catch (cause) {
      fail(cause);
      return undefined;
    }
  }

  /** Refreshes ahead of time even when nobody calls, so that nobody has to wait. */
  function schedule(delayMs: number): void {
    clearTimeout(timer);
    if (isClosed || !Number.isFinite(delayMs)) return;
    timer = setTimeout(() => void startLoad(), delayMs);
    timer.unref?.();
  }

  return {
    wait() {
      if (ring === undefined) return plan.mayTry() ? startLoad() : undefined;
      if (!plan.isDue()) return undefined;
      const mustWait = plan.mustWait();
      const loading = startLoad();
      return mustWait ? loading : undefined;
    },
    isLoaded: () => ring !== undefined,
    candidates(keyId, algorithm) {
      const keys = (keyId === undefined ? ring?.all : ring?.byId.get(keyId)) ?? [];
      if (keys.length === 1 && keys[0]?.fits(algorithm) === true) return keys;
      return keys.filter((key) => key.fits(algorithm)).slice(0, candidatesMax);
    },
    askAgain() {
      if (inFlight !== undefined) return inFlight;
      // Anyone can send a made-up key id: it may cause one request in ten seconds, and no more.
      if (elapsedMs() - askedAgainAtMs < unknownKeyPauseMs || !plan.mayTry()) return undefined;
      askedAgainAtMs = elapsedMs();
      return startLoad();
    },
    reload() {
      // What is under way may have been read before the change: load once more after it.
      void (inFlight === undefined ? startLoad() : inFlight.then(startLoad));
    },
    retryAfterSeconds: plan.retryAfterSeconds,
    lastProblem: () => problem,
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
