import type { Client } from "../../clients/client.ts";
import type {
  ClientAdded,
  Clients,
  ClientUpdate,
  ClientUpdated,
  NewClient,
  SecretRenewed,
} from "../../clients/clients.ts";
import { type Page, readRows } from "./pages.ts";
import { operator } from "./users.ts";

/** What the operator does with clients, by whichever door: terminal, API, console. */

export interface ClientRooms {
  readonly clients: Clients;
}

export interface UnknownClient {
  readonly outcome: "unknown_client";
}

const unknownClient: UnknownClient = { outcome: "unknown_client" };

/** Adds a client. Its secret is shown this once. */
export function addClient({ clients }: ClientRooms, input: NewClient, by = operator): Promise<ClientAdded> {
  return clients.add(input, by);
}

/** Clients in the order of their ids; `next` is where the page after begins. */
export async function listClients(
  { clients }: ClientRooms,
  page: Page = {},
): Promise<{ clients: Client[]; next: string | undefined }> {
  const { rows, next } = await readRows(page, (after) => clients.list(after === undefined ? {} : { after }));
  return { clients: rows, next };
}

export async function showClient(
  { clients }: ClientRooms,
  id: string,
): Promise<{ readonly outcome: "found"; readonly client: Client } | UnknownClient> {
  const client = await clients.find(id);
  return client === undefined ? unknownClient : { outcome: "found", client };
}

export async function removeClient(
  { clients }: ClientRooms,
  id: string,
  by = operator,
): Promise<{ readonly outcome: "removed" } | UnknownClient> {
  return (await clients.remove(id, by)) ? { outcome: "removed" } : unknownClient;
}

/** A new secret, shown this once. The old one is refused from now on. */
export function renewClientSecret(
  { clients }: ClientRooms,
  id: string,
  by = operator,
): Promise<SecretRenewed> {
  return clients.newSecret(id, by);
}

/** Changes what is given; sessions of the client go on. */
export function changeClient(
  { clients }: ClientRooms,
  id: string,
  change: ClientUpdate & { readonly by?: typeof operator },
): Promise<ClientUpdated> {
  const { by = operator, ...rest } = change;
  return clients.update(id, rest, by);
}
