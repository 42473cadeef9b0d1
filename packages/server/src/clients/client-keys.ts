import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { Client } from "./client.ts";
import type { FetchDocument } from "./sectors.ts";

export type Jwk = Readonly<Record<string, unknown>>;

interface KeySet {
  readonly keys: readonly Jwk[];
  /** Milliseconds since 1970: when it came, and when it was last asked for, in vain or not. */
  readonly fetchedAt: number;
  readonly askedAt: number;
}

interface Place {
  readonly uri: string;
  readonly isStranger: boolean;
  /** By which it is kept. */
  readonly name: string;
}

export type ClientKeys = ReturnType<typeof createClientKeys>;

interface Dependencies {
  readonly clock: Clock;
  /** For clients that the operator vouches for. */
  readonly fetchDocument: FetchDocument;
  /** For those that registered themselves, or are documents. */
  readonly fetchForStrangers: FetchDocument;
}

/**
 * The public keys of clients: their `jwks`, or what is at their `jwks_uri`, which is kept for a while. A key id that is
 * not there is looked for anew (OpenID Connect Core §10.1.1: rotated keys are found so), but not more often than once in
 * a pause, whatever ids a stranger names.
 */
export function createClientKeys({ clock, fetchDocument, fetchForStrangers }: Dependencies) {
  const known = new Map<string, KeySet>();
  const underWay = new Map<string, Promise<KeySet>>();

  async function fetchKeys({ uri, isStranger, name }: Place): Promise<KeySet> {
    const now = clock.now();
    const before = known.get(name);
    const fetched = await (isStranger ? fetchForStrangers : fetchDocument)(uri);
    const keys = fetched.outcome === "answered" && fetched.status === 200 ? keysIn(fetched.text) : undefined;
    const kept =
      keys === undefined
        ? { keys: before?.keys ?? [], fetchedAt: before?.fetchedAt ?? 0, askedAt: now }
        : { keys, fetchedAt: now, askedAt: now };
    known.delete(name);
    if (known.size >= limits.clientKeySetsKnownMax) {
      const [oldest] = known.keys();
      if (oldest !== undefined) known.delete(oldest);
    }
    known.set(name, kept);
    return kept;
  }

  /** One question a key set at a time. */
  function ask(place: Place): Promise<KeySet> {
    const { name } = place;
    const asked = underWay.get(name) ?? fetchKeys(place).finally(() => underWay.delete(name));
    underWay.set(name, asked);
    return asked;
  }

  async function keysAt(place: Place, fits: (keys: readonly Jwk[]) => boolean): Promise<readonly Jwk[]> {
    const now = clock.now();
    const kept = known.get(place.name);
    const hasRested = kept === undefined || now - kept.askedAt >= limits.clientKeysPauseSeconds * 1000;
    const isFresh = kept !== undefined && now - kept.fetchedAt < limits.clientKeysFreshSeconds * 1000;
    const found =
      kept !== undefined && ((isFresh && fits(kept.keys)) || !hasRested) ? kept : await ask(place);
    return now - found.fetchedAt < limits.clientKeysStaleSeconds * 1000 ? found.keys : [];
  }

  return {
    /** Those that may have signed what names this key id and this algorithm; a few, usually one. */
    async of(
      { metadata, origin }: Pick<Client, "metadata" | "origin">,
      header: { readonly kid: string | undefined; readonly alg: string },
    ): Promise<readonly Jwk[]> {
      const fitting = (keys: readonly Jwk[]) => keys.filter((key) => fits(key, header));
      if (metadata.jwks !== undefined) return fitting(metadata.jwks.keys);
      if (metadata.jwks_uri === undefined) return [];
      const { jwks_uri: uri } = metadata;
      const isStranger = origin === "dynamic" || origin === "document";
      // What one of the two may see, the other may not: a stranger must not read what is kept of a trusted host.
      const place = { uri, isStranger, name: `${isStranger} ${uri}` };
      return fitting(await keysAt(place, (keys) => fitting(keys).length > 0));
    },
  };
}

/** RFC 7517 §4.2, §4.4, §4.5: what a key says that it is for. */
function fits(key: Jwk, { kid, alg }: { kid: string | undefined; alg: string }): boolean {
  if (kid !== undefined && key.kid !== kid) return false;
  if (key.use !== undefined && key.use !== "sig") return false;
  if (key.alg !== undefined && key.alg !== alg && !isEd25519(key.alg, alg)) return false;
  return key.kty === keyTypes[alg as keyof typeof keyTypes];
}

/** RFC 9864 §2.2: the same signature under its old name and its new one. */
const isEd25519 = (one: unknown, other: string) =>
  (one === "EdDSA" || one === "Ed25519") && (other === "EdDSA" || other === "Ed25519");

const keyTypes = {
  ES256: "EC",
  ES384: "EC",
  EdDSA: "OKP",
  Ed25519: "OKP",
  RS256: "RSA",
  PS256: "RSA",
} as const;

function keysIn(text: string): readonly Jwk[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const keys = typeof value === "object" && value !== null && "keys" in value ? value.keys : undefined;
    if (!Array.isArray(keys)) return undefined;
    return keys
      .filter((key): key is Jwk => typeof key === "object" && key !== null)
      .slice(0, limits.clientKeysMax);
  } catch {
    return undefined;
  }
}
