import { WrongSetting } from "../config.ts";
import type { Settings, SigningAlgorithm } from "../config-schema.ts";
import { assert } from "../primitives/assert.ts";
import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { Database } from "../storage/database.ts";
import { type Jwks, type PublicJwk, parsePublicJwk } from "./jwks.ts";
import { cannotOpen, type OpenKeys, openKeys, openPrivateKey, versionOf } from "./open-keys.ts";
import { createRotation } from "./rotation.ts";
import { dueAt, readyAt } from "./schedule.ts";
import type { Secrets } from "./secrets.ts";
import type { KeyRecord, RotateOutcome, SigningKey, WithdrawOutcome } from "./signing-key.ts";
import { type KeyRow, selectAllKeys, selectPublicKey } from "./signing-keys.sql.ts";

export interface SigningKeys {
  /**
   * Makes the keys that are missing, opens them, and closes them again under the current master secret.
   * @throws WrongSetting when no master secret opens a current key
   */
  start(): Promise<void>;
  /**
   * Makes sure that `current(algorithm)` has a key: opens the one that another node has made, or makes it. Nothing is
   * awaited but memory when it is there. Called before the first token of a client that chose the algorithm, so that
   * no start pays for keys that nobody asks for.
   */
  ensure(algorithm: SigningAlgorithm): Promise<void>;
  /** The key that signs now. In memory; another one after a rotation. */
  current(algorithm: SigningAlgorithm): SigningKey;
  /** The public keys that verifiers need: next, current and retiring ones. In memory. */
  jwks(): Jwks;
  /** The public half of one key, also of one that is published no more. Undefined when it is not ours. */
  publicJwk(id: string): Promise<PublicJwk | undefined>;
  /** Keys of all states, those in use first; at most a page. */
  list(): Promise<KeyRecord[]>;
  /**
   * Lets the next key of each algorithm sign, and makes a new next one.
   * @param options.now does not wait until verifiers know the next key: some will fail until they fetch the key
   *   set again. The key that signed until now is still published, so that its tokens go on.
   * @throws WrongSetting when no master secret opens the keys
   */
  rotate(options?: { now?: boolean; algorithm?: SigningAlgorithm }): Promise<RotateOutcome[]>;
  /** Publishes a key that no longer signs no more, before its last token has expired: for a key that leaked. */
  withdraw(id: string): Promise<WithdrawOutcome>;
  /**
   * The scheduled work, to be called every few seconds on every node: takes over what other nodes changed,
   * retires keys, rotates those that are due. What fails is logged and tried again by the next call.
   */
  tick(): Promise<void>;
  /** Calls `listener` after the keys in memory changed. Returns what ends that. */
  onChange(listener: () => void): () => void;
}

export interface SigningKeysParts {
  readonly database: Database;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly settings: Pick<
    Settings,
    "accessTokenAlgorithm" | "signingKeyDays" | "jwksCacheSeconds" | "idTokenSeconds"
  >;
  readonly log?:
    | {
        info(facts: Record<string, unknown>, text: string): void;
        error(facts: Record<string, unknown>, text: string): void;
      }
    | undefined;
}

/** A `kid` of ours is a thumbprint in base64url. Others are not asked for: PostgreSQL takes no NUL in a text. */
const isKeyId = (id: string): boolean => /^[\w-]{1,100}$/.test(id);

export function createSigningKeys(parts: SigningKeysParts): SigningKeys {
  const { database, secrets, clock, settings, log } = parts;
  const rotation = createRotation({ database, secrets, clock, settings });
  // ES256 signs the ID tokens of the first-party API, whatever signs access tokens.
  const needed: readonly SigningAlgorithm[] = [...new Set(["ES256", settings.accessTokenAlgorithm] as const)];
  const listeners = new Set<() => void>();
  const inTurn = createQueue();
  let open: OpenKeys | undefined;
  let ticking: Promise<void> | undefined;

  /** Takes the rows into memory when they differ from what is there. */
  async function reload(): Promise<KeyRow[]> {
    const rows = await rotation.publishedRows();
    if (open?.version === versionOf(rows)) return rows;
    open = openKeys(rows, secrets, open);
    for (const problem of open.problems) log?.error({}, problem);
    for (const listener of listeners) listener();
    return rows;
  }

  async function start(): Promise<void> {
    const found = await rotation.publishedRows();
    // First, so that a process with a wrong master secret adds nothing that the others cannot open.
    requireSecretOf(found);
    for (const algorithm of needed) await rotation.addMissing(algorithm, found);
    const rows = await reload();
    requireSecretOf(rows);
    await rotation.resealAll(rows);
  }

  async function ensure(algorithm: SigningAlgorithm): Promise<void> {
    if (open?.current.has(algorithm)) return;
    const rows = await reload();
    if (open?.current.has(algorithm)) return;
    await rotation.addMissing(algorithm, rows);
    requireSecretOf(await reload());
  }

  function requireSecretOf(rows: readonly KeyRow[]): void {
    const closed = rows.find((row) => row.state === "current" && !openPrivateKey(row, secrets));
    if (closed) throw new WrongSetting(cannotOpen(closed));
  }

  async function rotate(options: { now?: boolean; algorithm?: SigningAlgorithm }): Promise<RotateOutcome[]> {
    const algorithms = options.algorithm ? [options.algorithm] : algorithmsOf(await rotation.publishedRows());
    const outcomes: RotateOutcome[] = [];
    for (const algorithm of algorithms) {
      const request = { algorithm, actor: "operator", immediately: options.now === true } as const;
      outcomes.push(await rotation.rotate(request));
    }
    await reload();
    return outcomes;
  }

  async function doScheduledWork(): Promise<void> {
    const rows = await reload();
    let changed = await rotation.retireExpired(rows);
    for (const algorithm of algorithmsOf(rows).filter((one) => isDue(rows, one))) {
      const outcome = await rotation.rotate({ algorithm, actor: "system", immediately: false });
      log?.info({ ...outcome }, "The signing key was due for rotation.");
      changed = true;
    }
    if (changed) await reload();
  }

  function isDue(rows: readonly KeyRow[], algorithm: SigningAlgorithm): boolean {
    const now = clock.now();
    const all = rows.filter((row) => row.algorithm === algorithm);
    return (
      all.some((row) => row.state === "current" && now >= dueAt(row, settings)) &&
      all.some((row) => row.state === "next" && now >= readyAt(row, settings))
    );
  }

  return {
    start: () => inTurn(start),
    async ensure(algorithm) {
      if (!open?.current.has(algorithm)) await inTurn(() => ensure(algorithm));
    },
    current(algorithm) {
      const key = open?.current.get(algorithm);
      assert(key, `no ${algorithm} key is open: start() was not awaited, or the algorithm is not in use`);
      return key;
    },
    jwks() {
      assert(open, "no key is open: start() was not awaited");
      return open.jwks;
    },
    async publicJwk(id) {
      const published = open?.jwks.keys.find((key) => key.kid === id);
      if (published !== undefined || !isKeyId(id)) return published;
      const row = await database.one<Pick<KeyRow, "algorithm" | "public_jwk">>(selectPublicKey(id));
      return row && parsePublicJwk(row.public_jwk, { id, algorithm: row.algorithm });
    },
    async list() {
      return (await database.all<KeyRow>(selectAllKeys(limits.pageRowsMax))).map(toRecord);
    },
    rotate: (options = {}) => inTurn(() => rotate(options)),
    withdraw: (id) =>
      inTurn(async () => {
        if (!isKeyId(id)) return { outcome: "unknown_key" };
        const withdrawn = await rotation.withdraw(id);
        await reload();
        return withdrawn;
      }),
    tick() {
      ticking ??= inTurn(doScheduledWork)
        .catch((err: unknown) =>
          log?.error({ err }, "The work on signing keys failed; it is tried again in a moment."),
        )
        .finally(() => {
          ticking = undefined;
        });
      return ticking;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Runs one piece of work after the other: a slow read must not put old keys over new ones. */
function createQueue() {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const run = last.then(work, work);
    last = run.catch(() => undefined);
    return run;
  };
}

function algorithmsOf(rows: readonly KeyRow[]): SigningAlgorithm[] {
  return [...new Set(rows.filter((row) => row.state === "current").map((row) => row.algorithm))];
}

function toRecord(row: KeyRow): KeyRecord {
  return {
    id: row.id,
    algorithm: row.algorithm,
    state: row.state,
    createdAt: row.created_at,
    currentAt: row.current_at ?? undefined,
    retiringAt: row.retiring_at ?? undefined,
    retiredAt: row.retired_at ?? undefined,
  };
}
