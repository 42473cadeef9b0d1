import {
  addClient,
  listClients,
  removeClient,
  renewClientSecret,
  showClient,
} from "../../admin/commands/clients.ts";
import type { Client, ClientType } from "../../clients/client.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, type Refused, refused } from "../outcome.ts";
import { isoTime, readableTime, record, table } from "../terminal.ts";
import { type ListOptions, moreNote, pageFrom } from "./list-options.ts";

const SHOWN_ONCE = "The secret is shown this once; only its digest is kept.";

export function add(
  context: Context,
  name: string,
  { id, type }: { id?: string; type: ClientType },
): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const added = await addClient(rooms, { name, id, type });
    switch (added.outcome) {
      case "added":
        return {
          outcome: "done",
          json: { client: shownClient(added.client), secret: added.secret },
          text: record({
            ...clientFields(added.client),
            ...(added.secret !== undefined && { secret: added.secret }),
          }),
          ...(added.secret !== undefined && { note: SHOWN_ONCE }),
        };
      case "id_taken":
        return refused("id_taken", `There is a client with the id ${id ?? "that was made"}; choose another.`);
      case "resource_taken":
        return refused("resource_taken", "One of the resources belongs to another client.");
      case "invalid":
        return refused(`invalid_${added.field}`, added.problem);
    }
  });
}

export function list(context: Context, options: ListOptions): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const { clients, next } = await listClients(rooms, pageFrom(options));
    const rows = clients.map((client) => [
      client.id,
      client.name,
      client.type,
      readableTime(client.createdAt),
    ]);
    return {
      outcome: "done",
      json: { clients: clients.map(shownClient), next: next ?? null },
      text: table(["ID", "NAME", "TYPE", "ADDED"], rows),
      ...moreNote(next),
    };
  });
}

export function show(context: Context, id: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const found = await showClient(rooms, id);
    if (found.outcome !== "found") return unknownClient(id);
    return {
      outcome: "done",
      json: { client: shownClient(found.client) },
      text: record(clientFields(found.client)),
    };
  });
}

export function remove(context: Context, id: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    if ((await removeClient(rooms, id)).outcome !== "removed") return unknownClient(id);
    return { outcome: "done", json: { outcome: "removed", id }, text: `The client ${id} is removed.` };
  });
}

export function secret(context: Context, id: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const renewed = await renewClientSecret(rooms, id);
    if (renewed.outcome !== "renewed") return unknownClient(id);
    return {
      outcome: "done",
      json: { id, secret: renewed.secret },
      text: renewed.secret,
      note: `The old secret is refused from now on. ${SHOWN_ONCE}`,
    };
  });
}

function unknownClient(id: string): Refused {
  return refused("unknown_client", `There is no client ${id}; keyturn client list shows them.`);
}

function shownClient(client: Client) {
  const { id, name, type } = client;
  return { id, name, type, createdAt: isoTime(client.createdAt), updatedAt: isoTime(client.updatedAt) };
}

function clientFields(client: Client) {
  return { id: client.id, name: client.name, type: client.type, added: readableTime(client.createdAt) };
}
