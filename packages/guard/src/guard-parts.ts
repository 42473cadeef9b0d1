import { createBinding } from "./binding.ts";
import { type Cryptography, findCryptography } from "./cryptography.ts";
import { createEmit } from "./events.ts";
import { type Feed, noFeed } from "./feed.ts";
import { findOpenStream } from "./feed-connection.ts";
import { createIntrospection } from "./introspection.ts";
import { createIssuer } from "./issuer.ts";
import { createKeySet } from "./key-set.ts";
import type { GuardOptions, GuardSettings } from "./options.ts";
import { followRemote } from "./remote-feed.ts";
import { createRevocations } from "./revocations.ts";
import { followSource } from "./source-feed.ts";

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

/** Makes what a guard is put together from, and starts to follow. */
export function connect(options: GuardOptions, settings: GuardSettings, internals: GuardInternals) {
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

  const introspection =
    settings.resource === undefined || source !== undefined
      ? undefined
      : createIntrospection({
          url: issuer.introspectionUrl,
          resource: settings.resource,
          fetch: fetch ?? globalThis.fetch,
          emit,
          elapsedMs,
        });
  const stopListening = source?.onKeysChanged?.(() => keySet.reload());
  const feed = follow();
  const binding = createBinding(settings, { cryptography, nowMs, nonces: options.dpopNonces });
  const close = () => {
    stopListening?.();
    feed.close();
    keySet.close();
  };
  return { keySet, revocations, feed, introspection, emit, nowMs, binding, close };
}
