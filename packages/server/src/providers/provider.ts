import type { Endpoints, PresetName } from "./presets.ts";
import { presetOf } from "./presets.ts";
import type { ProviderRow } from "./providers.sql.ts";

/** A provider that people can sign in with. Times are milliseconds since 1970. */
export interface Provider {
  /** Part of its addresses here: /sign-in/with/ID. */
  readonly id: string;
  readonly preset: PresetName;
  readonly label: string;
  readonly issuer: string;
  /** In place of the preset's. */
  readonly endpoints: Endpoints | undefined;
  readonly clientId: string;
  readonly scopes: string;
  /** Whether an address that the provider calls verified counts as verified here. */
  readonly trustsEmail: boolean;
  /** Whether the provider's tokens are kept, sealed, for the application that Keyturn is embedded in. */
  readonly keepsTokens: boolean;
  readonly hasSecret: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly disabledAt: number | undefined;
}

/** What a client secret that is signed (Apple's) names besides its key. */
export interface Signing {
  readonly teamId: string;
  readonly keyId: string;
}

export function providerFromRow(row: ProviderRow): Provider {
  const endpoints = JSON.parse(row.endpoints) as Partial<Endpoints>;
  return {
    id: row.id,
    preset: row.preset as PresetName,
    label: row.label,
    issuer: row.issuer,
    endpoints: endpoints.authorization === undefined ? undefined : (endpoints as Endpoints),
    clientId: row.client_id,
    scopes: row.scopes,
    trustsEmail: row.trusts_email === 1,
    keepsTokens: row.keeps_tokens === 1,
    hasSecret: row.sealed_secret !== null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    disabledAt: row.disabled_at ?? undefined,
  };
}

/** Where a provider sends people back to: one address each, so that no answer can pass for another provider's. */
export const callbackPath = (id: string) => `/sign-in/with/${id}/callback`;

export const isFormPost = ({ preset }: Pick<Provider, "preset">): boolean => {
  const known = presetOf(preset);
  return known.protocol === "oidc" && known.responseMode === "form_post";
};
