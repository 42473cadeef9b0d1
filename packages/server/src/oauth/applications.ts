import type { Client } from "../clients/client.ts";
import type { Consents } from "../consents/consents.ts";
import type { Id } from "../primitives/id.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { scopesIn } from "./scopes.ts";

/** A client that a user lets in. */
export interface Application {
  readonly clientId: string;
  /** Undefined: the client is gone, what was agreed to is still there. */
  readonly name: string | undefined;
  readonly scopes: readonly string[];
  /** Besides the audience of the settings, which goes without saying. */
  readonly resources: readonly string[];
  /** When it was first let in; milliseconds since 1970. */
  readonly since: number;
  /** When it last used what it was given; undefined: it holds nothing that it could use. */
  readonly lastUsedAt: number | undefined;
}

export type Applications = ReturnType<typeof createApplications>;

/** What an id of a client can be made of, and not what an engine would refuse. */
const CLIENT_ID = /^[\x21-\x7e]{1,510}$/;

interface Dependencies {
  readonly consents: Pick<Consents, "list" | "withdraw">;
  readonly sessions: Pick<Sessions, "list">;
  readonly findClient: (id: string) => Promise<Client | undefined>;
  readonly settings: { readonly audience: string };
}

/** What applications were given by a user: by consent, or because the operator vouches for them. */
export function createApplications({ consents, sessions, findClient, settings }: Dependencies) {
  return {
    /** The one that was let in last comes first. */
    async list(userId: Id): Promise<Application[]> {
      const [agreed, alive] = await Promise.all([
        consents.list(userId),
        sessions.list({ userId, kinds: ["client"], alive: true }),
      ]);
      const byClient = Map.groupBy(alive, ({ clientId }) => clientId);
      const known = new Map(agreed.map((consent) => [consent.clientId, consent]));
      const ids = [...new Set([...known.keys(), ...byClient.keys()])];
      const found = await Promise.all(
        ids.map(async (clientId): Promise<Application> => {
          const consent = known.get(clientId);
          const held = byClient.get(clientId) ?? [];
          const scopes = consent?.scopes ?? held.flatMap(({ scope }) => scopesIn(scope));
          const resources = consent?.resources ?? held.flatMap((session) => session.resources);
          return {
            clientId,
            name: (await findClient(clientId))?.name,
            scopes: [...new Set(scopes)],
            resources: [...new Set(resources)].filter((one) => one !== settings.audience),
            since: consent?.createdAt ?? Math.min(...held.map(({ createdAt }) => createdAt)),
            lastUsedAt:
              held.length === 0 ? undefined : Math.max(...held.map((session) => session.lastUsedAt)),
          };
        }),
      );
      return found.sort((one, other) => other.since - one.since);
    },

    /** Ends what it was let in to, and forgets what was agreed to. False when there was neither. */
    withdraw: async (given: Parameters<Consents["withdraw"]>[0]): Promise<boolean> =>
      CLIENT_ID.test(given.clientId) && (await consents.withdraw(given)),
  };
}
