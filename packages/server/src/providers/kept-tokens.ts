import { setTimeout as wait } from "node:timers/promises";
import { insertEvent } from "../audit/audit.sql.ts";
import type { Secrets } from "../keys/secrets.ts";
import type { Log } from "../observability/log.ts";
import type { Clock } from "../primitives/clock.ts";
import { type Id, isId, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Database, Sql } from "../storage/database.ts";
import type { IdentityKey } from "../users/identities.sql.ts";
import type { Foreign } from "./foreign.ts";
import {
  countTokensOf,
  deleteTokens,
  endLease,
  type KeptRow,
  leaseRenewal,
  putTokens,
  replaceTokens,
  replaceTokensSeal,
  selectKept,
  selectKeptOf,
  selectSealedBefore,
} from "./kept-tokens.sql.ts";
import type { ForeignPerson, ForeignTokens } from "./profile.ts";
import type { Provider } from "./provider.ts";
import type { Providers } from "./providers.ts";

/** A token of a provider's, for what the provider lets it do. Whoever has it can do that: keep it out of logs. */
export interface ProviderTokens {
  readonly accessToken: string;
  /** Mostly `bearer`. */
  readonly tokenType: string;
  /** Separated by spaces, where the provider says that it is not what was asked for. */
  readonly scope: string | undefined;
  /** As it came with the last tokens. */
  readonly idToken: string | undefined;
  /** Milliseconds since 1970; undefined where the provider does not say. */
  readonly expiresAt: number | undefined;
}

export type ProviderTokensFound =
  | { readonly outcome: "found"; readonly tokens: ProviderTokens }
  /** The user has nobody at that provider, or there is no such user or provider. */
  | { readonly outcome: "not_linked" }
  /** The provider does not keep tokens, or the user has not signed in with it since it does. */
  | { readonly outcome: "not_kept" }
  /** Over, and not to be renewed: the user has to sign in with the provider again. */
  | { readonly outcome: "expired" }
  /** The provider cannot be asked now, or is disabled here. Nothing has changed; ask again later. */
  | { readonly outcome: "unavailable" };

export type KeptTokens = ReturnType<typeof createKeptTokens>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly secrets: Pick<Secrets, "seal" | "unseal">;
  readonly providers: Pick<Providers, "open">;
  readonly foreign: Pick<Foreign, "renew">;
}

/** A token that ends so soon is renewed first: it has a way to go yet. */
const RENEW_BEFORE_MS = 60_000;
/** Longer than a provider may take to answer. */
const LEASE_MS = 2 * limits.outgoingMillisecondsMax;
const LOOK_AGAIN_MS = 100;
const LOOKS_MAX = Math.ceil(LEASE_MS / LOOK_AGAIN_MS) + 10;

/**
 * Tokens that providers hand out, where the operator wants them kept: sealed, for one person at one provider, and
 * nowhere else. For the application that Keyturn is embedded in; no endpoint gives them out.
 */
export function createKeptTokens({ database, clock, log, secrets, providers, foreign }: Dependencies) {
  const sealed = (tokens: ForeignTokens, key: IdentityKey) =>
    secrets.seal(Buffer.from(JSON.stringify(tokens)), contextOf(key));
  const opened = (bytes: Uint8Array, key: IdentityKey): ForeignTokens | undefined => {
    const plain = secrets.unseal(bytes, contextOf(key));
    return plain && (JSON.parse(plain.toString()) as ForeignTokens);
  };

  /**
   * One caller renews, the others wait for what comes of it. If this process dies after the provider has answered and
   * before that is written, a refresh token that rotates is lost: the next one to renew is told so by the provider.
   */
  async function renew(
    row: StoredRow,
    { tokens, userId, providerId }: { tokens: ForeignTokens; userId: Id; providerId: string },
  ): Promise<ProviderTokensFound | "look_again"> {
    const { refreshToken } = tokens;
    const at = clock.now();
    const isGood = tokens.expiresAt === undefined || tokens.expiresAt > at;
    const asItIs = isGood ? found(tokens) : undefined;
    if (refreshToken === undefined) return asItIs ?? { outcome: "expired" };
    const provider = await providers.open(providerId);
    if (provider === undefined || provider === "sealed") return asItIs ?? { outcome: "unavailable" };
    const { identity_id: identity, sealed: from, subject } = row;
    const [leased] = await database.batch([
      leaseRenewal({ identity, sealed: from, at, until: at + LEASE_MS }),
    ]);
    if (leased?.changes !== 1) return asItIs ?? "look_again";
    const renewed = await foreign.renew(provider, { refreshToken, subject });
    if (renewed.outcome === "renewed") {
      // RFC 6749 §6: a provider that issues no new one means the old one to be used again.
      const next = { ...renewed.tokens, refreshToken: renewed.tokens.refreshToken ?? refreshToken };
      if (!isKeepable(next)) return found(next);
      const to = sealed(next, row);
      await database.batch([replaceTokens({ identity, from, to, at: clock.now() })]);
      return found(next);
    }
    log.warn({ provider: providerId, reason: renewed.reason }, "Tokens of a provider could not be renewed");
    if (!OVER.has(renewed.reason)) {
      await database.batch([endLease(identity, from)]);
      return asItIs ?? { outcome: "unavailable" };
    }
    const event = {
      type: "identity.tokens_over",
      actor: "system",
      userId,
      detail: { provider: providerId },
    } as const;
    await database.transaction(async (tx) => {
      if ((await tx.run(deleteTokens(identity, from))) !== 1) return;
      await tx.run(insertEvent({ id: newId(clock.now()), at: clock.now(), event }));
    });
    return { outcome: "expired" };
  }

  return {
    /**
     * What keeps the tokens that came with a person, in the transaction that signs in or links; nothing where they are
     * not to be kept. A refresh token of before stays where no other came: many providers give one only once.
     */
    async statementsFor(
      provider: Pick<Provider, "id" | "keepsTokens">,
      person: ForeignPerson,
      userId: Id,
    ): Promise<readonly Sql[]> {
      const { tokens } = person;
      if (!provider.keepsTokens || tokens === undefined) return [];
      const before = tokens.refreshToken === undefined ? await kept(person) : undefined;
      const all = { ...tokens, refreshToken: tokens.refreshToken ?? before?.refreshToken };
      if (!isKeepable(all)) {
        log.warn({ provider: provider.id }, "Tokens of a provider are too long to be kept");
        return [];
      }
      const { issuer, subject } = person;
      return [putTokens({ issuer, subject, userId, sealed: sealed(all, person), at: clock.now() })];
    },

    /** A user's token at a provider, renewed if it is about to end. Any number may ask at once, in any process. */
    async find(wanted: { userId: string; provider: string }): Promise<ProviderTokensFound> {
      const { userId, provider: providerId } = wanted;
      if (!isId(userId)) return { outcome: "not_linked" };
      for (let looks = 0; looks < LOOKS_MAX; looks++) {
        const row = await database.one<KeptRow>(selectKept(userId, providerId));
        if (row === undefined) return { outcome: "not_linked" };
        if (!isStored(row)) return { outcome: "not_kept" };
        const tokens = opened(row.sealed, row);
        if (tokens === undefined) {
          log.error(
            { provider: providerId },
            "No master secret opens the tokens that are kept of a provider",
          );
          return { outcome: "expired" };
        }
        if (tokens.expiresAt === undefined || tokens.expiresAt > clock.now() + RENEW_BEFORE_MS)
          return found(tokens);
        const outcome = await renew(row, { tokens, userId, providerId });
        if (outcome !== "look_again") return outcome;
        await wait(LOOK_AGAIN_MS);
      }
      return { outcome: "unavailable" };
    },

    /** For how many people something is kept. */
    async count(providerId: string): Promise<number> {
      return Number((await database.one<{ n: number }>(countTokensOf(providerId)))?.n ?? 0);
    },

    /** Seals anew what another master secret has closed, so that it can be laid down; how many. A slice a call. */
    async sealAnew(): Promise<number> {
      const header = secrets.seal(new Uint8Array(0), "").subarray(0, 2);
      const rows = await database.all<StoredRow>(selectSealedBefore(header, limits.sealsPerRunMax));
      const statements = rows.flatMap((row) => {
        const tokens = opened(row.sealed, row);
        if (tokens === undefined) return [];
        return [replaceTokensSeal(row.identity_id, { from: row.sealed, to: sealed(tokens, row) })];
      });
      if (statements.length > 0) await database.batch(statements);
      return statements.length;
    },
  };

  async function kept(key: IdentityKey): Promise<ForeignTokens | undefined> {
    const row = await database.one<{ sealed: Uint8Array }>(selectKeptOf(key));
    return row && opened(row.sealed, key);
  }
}

/** RFC 6749 §5.2: what the provider says of a refresh token that is no longer good; and what is not this person's. */
const OVER = new Set(["invalid_grant", "wrong_subject"]);

/** They open for this person at this provider only: in another row they are worth nothing. */
const contextOf = ({ issuer, subject }: IdentityKey) =>
  `provider tokens ${JSON.stringify([issuer, subject])}`;

type StoredRow = KeptRow & { readonly sealed: Uint8Array };
const isStored = (row: KeptRow): row is StoredRow => row.sealed !== null;

const isKeepable = (tokens: ForeignTokens) =>
  JSON.stringify(tokens).length <= limits.providerTokensCharactersMax;

const found = ({
  accessToken,
  tokenType,
  scope,
  idToken,
  expiresAt,
}: ForeignTokens): ProviderTokensFound => ({
  outcome: "found",
  tokens: { accessToken, tokenType, scope, idToken, expiresAt },
});
