import type { Client, ClientMetadata } from "../clients/client.ts";
import { type ResourceRow, selectAllResources, selectResources } from "../clients/clients.sql.ts";
import { isResourceIndicator } from "../clients/metadata-rules.ts";
import { limits } from "../primitives/limits.ts";
import type { Database } from "../storage/database.ts";
import { scopesIn } from "./scopes.ts";

/** An API that tokens can be for: RFC 8707. */
export interface Resource {
  readonly identifier: string;
  /** The client by which it follows the feed and introspects. */
  readonly clientId: string;
  readonly scopes: readonly string[];
}

/** What an API calls itself in tokens: a resource that is registered without identifiers is that of the settings. */
export function identifiersOf(
  { type, metadata }: Pick<Client, "type" | "metadata">,
  audience: string,
): readonly string[] {
  if (type !== "resource") return [];
  const { keyturn_resources: own } = metadata;
  return own.length === 0 ? [audience] : own;
}

export type Resources = ReturnType<typeof createResources>;

interface Dependencies {
  readonly database: Database;
  readonly settings: { readonly audience: string; readonly scopes: readonly string[] };
}

/** The APIs that clients may ask tokens for: the audience of the settings, and those of registered resources. */
export function createResources({ database, settings }: Dependencies) {
  const defaultResource: Resource = {
    identifier: settings.audience,
    clientId: "",
    scopes: settings.scopes,
  };

  return {
    /**
     * Those of a request. RFC 8707 §2: compared as they are written; "If the authorization server fails to parse the
     * provided value(s) or does not consider the resource(s) acceptable, it should reject the request" with
     * invalid_target.
     * @returns undefined when one of them is not known here
     */
    async find(identifiers: readonly string[]): Promise<Resource[] | undefined> {
      if (identifiers.length === 0) return [];
      if (!identifiers.every((one) => one === settings.audience || isResourceIndicator(one)))
        return undefined;
      const rows = await database.all<ResourceRow>(selectResources([...new Set(identifiers)]));
      const known = new Map(rows.map((row) => [row.identifier, resourceFrom(row)]));
      known.set(settings.audience, known.get(settings.audience) ?? defaultResource);
      const found = [...new Set(identifiers)].map((one) => known.get(one));
      return found.every((one) => one !== undefined) ? found : undefined;
    },

    /** Every scope that some API takes, in order, each once. */
    async scopes(): Promise<string[]> {
      const rows = await database.all<ResourceRow>(selectAllResources(limits.pageRowsMax));
      const all = rows.flatMap((row) => resourceFrom(row).scopes);
      return [...new Set([...settings.scopes, ...all])].sort();
    },
  };
}

function resourceFrom(row: ResourceRow): Resource {
  const { scope } = JSON.parse(row.metadata) as Partial<ClientMetadata>;
  return { identifier: row.identifier, clientId: row.client_id, scopes: scopesIn(scope) };
}
