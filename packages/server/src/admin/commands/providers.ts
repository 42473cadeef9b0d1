import type { NewProvider } from "../../providers/adding.ts";
import type { KeptTokens } from "../../providers/kept-tokens.ts";
import { callbackPath, type Provider } from "../../providers/provider.ts";
import type { ProviderAdded, Providers, ProviderUse } from "../../providers/providers.ts";
import { operator } from "./users.ts";

/** What the operator does with providers, by whichever door: terminal, API, console. */

export interface ProviderRooms {
  readonly providers: Providers;
  readonly keptTokens: Pick<KeptTokens, "count">;
  readonly settings: { readonly issuer: string };
}

export interface UnknownProvider {
  readonly outcome: "unknown_provider";
}

const unknownProvider: UnknownProvider = { outcome: "unknown_provider" };

/** What has to be registered at the provider. */
export const redirectUriOf = ({ settings }: Pick<ProviderRooms, "settings">, { id }: Pick<Provider, "id">) =>
  settings.issuer + callbackPath(id);

export function addProvider(
  { providers }: ProviderRooms,
  input: NewProvider,
  by = operator,
): Promise<ProviderAdded> {
  return providers.add(input, by);
}

export const listProviders = ({ providers }: ProviderRooms): Promise<Provider[]> => providers.list();

export async function showProvider(
  { providers, keptTokens }: ProviderRooms,
  id: string,
): Promise<ProviderShown | UnknownProvider> {
  const provider = await providers.find(id);
  if (provider === undefined) return unknownProvider;
  return {
    outcome: "found",
    provider,
    use: await providers.use(id),
    tokensKept: await keptTokens.count(id),
  };
}

export interface ProviderShown {
  readonly outcome: "found";
  readonly provider: Provider;
  readonly use: ProviderUse;
  /** For how many people tokens are kept. */
  readonly tokensKept: number;
}

export type ProviderSwitched =
  /** `use`: whose way in it was. */
  | { readonly outcome: "done" | "unchanged"; readonly provider: Provider; readonly use: ProviderUse }
  | UnknownProvider;

export const enableProvider = (rooms: ProviderRooms, id: string, by = operator) =>
  onProvider(rooms, id, () => rooms.providers.enable(id, by));

/** Nobody signs in with it any more. */
export const disableProvider = (rooms: ProviderRooms, id: string, by = operator) =>
  onProvider(rooms, id, () => rooms.providers.disable(id, by));

/** Whether its tokens are kept for the embedding application; those that are there go with the wish. */
export const keepTokensOf = (
  rooms: ProviderRooms,
  { id, keeps }: { id: string; keeps: boolean },
  by = operator,
) => onProvider(rooms, id, () => rooms.providers.keepTokens(id, keeps, by));

/** Deletes it. Who is who there stays. */
export const removeProvider = (rooms: ProviderRooms, id: string, by = operator) =>
  onProvider(rooms, id, () => rooms.providers.remove(id, by));

async function onProvider(
  rooms: ProviderRooms,
  id: string,
  act: () => Promise<boolean>,
): Promise<ProviderSwitched> {
  const found = await showProvider(rooms, id);
  if (found.outcome !== "found") return found;
  const { provider, use } = found;
  return { outcome: (await act()) ? "done" : "unchanged", provider, use };
}
