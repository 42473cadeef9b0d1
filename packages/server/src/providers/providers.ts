import { insertEvent } from "../audit/audit.sql.ts";
import type { AuditEventType } from "../audit/events.ts";
import type { Secrets } from "../keys/secrets.ts";
import type { Clock } from "../primitives/clock.ts";
import { newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Database, Sql } from "../storage/database.ts";
import type { By } from "../users/user.ts";
import { checkNewProvider, isProviderId, type NewProvider, type WrongProvider } from "./adding.ts";
import { deleteTokensOf } from "./kept-tokens.sql.ts";
import { type Provider, providerFromRow, type Signing } from "./provider.ts";
import {
  countIdentities,
  deleteProvider,
  insertProvider,
  type ProviderRow,
  selectProvider,
  selectProviders,
  updateDisabled,
  updateKeepsTokens,
} from "./providers.sql.ts";

export type ProviderAdded =
  | { readonly outcome: "added"; readonly provider: Provider }
  | { readonly outcome: "id_taken" | "too_many" }
  | WrongProvider;

/** How many accounts have somebody at a provider; `onlyWay`: who could not sign in without it. */
export interface ProviderUse {
  readonly accounts: number;
  readonly onlyWay: number;
}

/** A provider with what proves us to it. */
export interface OpenedProvider extends Provider {
  readonly secret: string | undefined;
  readonly signing: Signing | undefined;
}

export type Providers = ReturnType<typeof createProviders>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly secrets: Pick<Secrets, "seal" | "unseal">;
}

/** The providers that people can sign in with. Every act is one transaction with its audit event inside. */
export function createProviders({ database, clock, secrets }: Dependencies) {
  /** What the pages offer: looked at anew every few seconds, and after each act here. */
  let offered: readonly Provider[] = [];

  async function list(): Promise<Provider[]> {
    return (await database.all<ProviderRow>(selectProviders(limits.providersMax))).map(providerFromRow);
  }

  async function refresh(): Promise<void> {
    offered = (await list()).filter(({ disabledAt }) => disabledAt === undefined);
  }

  const rowOf = async (id: string) =>
    isProviderId(id) ? database.one<ProviderRow>(selectProvider(id)) : undefined;

  /** The act, and its event if it has changed anything; whether it has. */
  async function act(
    statement: Sql,
    told: { type: AuditEventType; id: string; by: By; also?: Sql },
  ): Promise<boolean> {
    const { type, id, by, also } = told;
    const at = clock.now();
    const event = { type, actor: by.actor, ip: by.ip, detail: { provider: id } };
    const isDone = await database.transaction(async (tx) => {
      if ((await tx.run(statement)) !== 1) return false;
      await tx.run(insertEvent({ id: newId(at), at, event }));
      if (also !== undefined) await tx.run(also);
      return true;
    });
    await refresh();
    return isDone;
  }

  async function setDisabled(id: string, disabled: boolean, by: By): Promise<boolean> {
    if (!isProviderId(id)) return false;
    const type = disabled ? "provider.disabled" : "provider.enabled";
    return act(updateDisabled({ id, at: clock.now(), disabled }), { type, id, by });
  }

  return {
    list,
    refresh,

    /** Those that are not disabled, in the order in which they were added, as of a few seconds ago. */
    offered: () => offered,

    async add(input: NewProvider, by: By): Promise<ProviderAdded> {
      const checked = checkNewProvider(input);
      if ("outcome" in checked) return checked;
      const at = clock.now();
      const { id, secret } = checked;
      const row: ProviderRow = {
        id,
        preset: input.preset,
        label: checked.label,
        issuer: checked.issuer,
        endpoints: JSON.stringify(checked.endpoints ?? {}),
        client_id: checked.clientId,
        sealed_secret: secret === undefined ? null : secrets.seal(Buffer.from(secret), secretContext(id)),
        signing: JSON.stringify(checked.signing ?? {}),
        scopes: checked.scopes,
        trusts_email: checked.trustsEmail ? 1 : 0,
        keeps_tokens: input.keepsTokens === true ? 1 : 0,
        created_at: at,
        updated_at: at,
        disabled_at: null,
      };
      const isAdded = await act(insertProvider(row, limits.providersMax), { type: "provider.added", id, by });
      if (isAdded) return { outcome: "added", provider: providerFromRow(row) };
      return { outcome: (await rowOf(id)) === undefined ? "too_many" : "id_taken" };
    },

    async find(id: string): Promise<Provider | undefined> {
      const row = await rowOf(id);
      return row && providerFromRow(row);
    },

    /** With its secret, if it is enabled. `sealed`: no master secret of this server opens it any more. */
    async open(id: string): Promise<OpenedProvider | "sealed" | undefined> {
      const row = await rowOf(id);
      if (row === undefined || row.disabled_at !== null) return undefined;
      const { sealed_secret: sealed } = row;
      const secret = sealed === null ? undefined : secrets.unseal(sealed, secretContext(id));
      if (sealed !== null && secret === undefined) return "sealed";
      const signing = JSON.parse(row.signing) as Partial<Signing>;
      return {
        ...providerFromRow(row),
        secret: secret?.toString(),
        signing: signing.keyId === undefined ? undefined : (signing as Signing),
      };
    },

    async use(id: string): Promise<ProviderUse> {
      const row = await database.one<{ accounts: number; only_way: number }>(countIdentities(id));
      return { accounts: Number(row?.accounts ?? 0), onlyWay: Number(row?.only_way ?? 0) };
    },

    /** Nobody signs in with it any more. Who is signed in stays so. False: it was so already, or there is none. */
    disable: (id: string, by: By): Promise<boolean> => setDisabled(id, true, by),
    enable: (id: string, by: By): Promise<boolean> => setDisabled(id, false, by),

    /** What is kept goes with the wish to keep it. False: it was so already, or there is none. */
    async keepTokens(id: string, keeps: boolean, by: By): Promise<boolean> {
      if (!isProviderId(id)) return false;
      const type = keeps ? "provider.keeps_tokens" : "provider.keeps_no_tokens";
      const statement = updateKeepsTokens({ id, at: clock.now(), keeps });
      return act(statement, { type, id, by, ...(!keeps && { also: deleteTokensOf(id) }) });
    },

    /** Deletes it, and what is kept of its tokens. Who is who there is kept for a provider with the same issuer. False when there is none. */
    async remove(id: string, by: By): Promise<boolean> {
      if (!isProviderId(id)) return false;
      return act(deleteProvider(id), { type: "provider.removed", id, by, also: deleteTokensOf(id) });
    },
  };
}

const secretContext = (id: string) => `provider ${id}`;
