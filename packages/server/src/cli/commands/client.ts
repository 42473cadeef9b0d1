import {
  addClient,
  changeClient,
  listClients,
  removeClient,
  renewClientSecret,
  showClient,
} from "../../admin/commands/clients.ts";
import type { Client, ClientOrigin, ClientType } from "../../clients/client.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, type Refused, refused } from "../outcome.ts";
import { isoTime, readableTime, record, table } from "../terminal.ts";
import { type ClientOptions, metadataFrom } from "./client-options.ts";
import { type ListOptions, moreNote, pageFrom } from "./list-options.ts";

const SHOWN_ONCE = "The secret is shown this once; only its digest is kept.";

interface Place {
  readonly settings: { readonly issuer: string };
}

export async function add(
  context: Context,
  name: string,
  options: ClientOptions & { readonly id?: string; readonly type: ClientType },
): Promise<Outcome> {
  const { id, type } = options;
  const metadata = await metadataFrom(options);
  return inRooms(context, async (rooms) => {
    const added = await addClient(rooms, { name, id, type, metadata });
    switch (added.outcome) {
      case "added": {
        const { client, secret } = added;
        const next = nextSteps(client, rooms);
        return {
          outcome: "done",
          json: { client: shownClient(client), secret: secret ?? null, ...placeOf(rooms) },
          text: record({ ...clientFields(client), ...(secret !== undefined && { secret }) }),
          note: secret === undefined ? next : `${SHOWN_ONCE}\n${next}`,
        };
      }
      case "id_taken":
        return refused("id_taken", `There is a client with the id ${id ?? "that was made"}; choose another.`);
      case "resource_taken":
        return resourceTaken();
      case "invalid":
        return refused(`invalid_${added.field}`, added.problem);
    }
  });
}

export async function set(
  context: Context,
  id: string,
  options: ClientOptions & { readonly name?: string },
): Promise<Outcome> {
  const { name } = options;
  const metadata = await metadataFrom(options);
  return inRooms(context, async (rooms) => {
    const updated = await changeClient(rooms, id, { name, metadata });
    switch (updated.outcome) {
      case "updated": {
        const { client, secret } = updated;
        return {
          outcome: "done",
          json: { client: shownClient(client), secret: secret ?? null },
          text: record({ ...clientFields(client), ...(secret !== undefined && { secret }) }),
          ...(secret !== undefined && { note: SHOWN_ONCE }),
        };
      }
      case "unknown_client":
        return unknownClient(id);
      case "said_elsewhere":
        return saidElsewhere(id, updated.origin);
      case "resource_taken":
        return resourceTaken();
      case "invalid":
        return refused(`invalid_${updated.field}`, updated.problem);
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
      client.origin,
      readableTime(client.createdAt),
      client.lastUsedAt === undefined ? "never" : readableTime(client.lastUsedAt),
    ]);
    return {
      outcome: "done",
      json: { clients: clients.map(shownClient), next: next ?? null },
      text: table(["ID", "NAME", "TYPE", "BY", "ADDED", "LAST USED"], rows),
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
      json: { client: shownClient(found.client), ...placeOf(rooms) },
      text: record(clientFields(found.client)),
      note: nextSteps(found.client, rooms),
    };
  });
}

export function remove(context: Context, id: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    if ((await removeClient(rooms, id)).outcome !== "removed") return unknownClient(id);
    return {
      outcome: "done",
      json: { outcome: "removed", id },
      text: `The client ${id} is removed, with its sessions and what people have allowed it.`,
    };
  });
}

export function secret(context: Context, id: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const renewed = await renewClientSecret(rooms, id);
    switch (renewed.outcome) {
      case "renewed":
        return {
          outcome: "done",
          json: { id, secret: renewed.secret },
          text: renewed.secret,
          note: `The old secret is refused from now on. ${SHOWN_ONCE}`,
        };
      case "unknown_client":
        return unknownClient(id);
      case "no_secret":
        return refused(
          "no_secret",
          `The client ${id} has no secret; keyturn client show ${id} says how it proves who it is.`,
        );
      case "said_elsewhere":
        return saidElsewhere(id, renewed.origin);
    }
  });
}

function unknownClient(id: string): Refused {
  return refused("unknown_client", `There is no client ${id}; keyturn client list shows them.`);
}

const resourceTaken = () => refused("resource_taken", "One of the resources belongs to another client.");

function saidElsewhere(id: string, origin: ClientOrigin): Refused {
  const where = origin === "settings" ? "the settings file" : "the document at that address";
  return refused("said_elsewhere", `What the client ${id} is, ${where} says; change it there.`);
}

const placeOf = ({ settings: { issuer } }: Place) => ({
  issuer,
  discovery: `${issuer}/.well-known/openid-configuration`,
});

/** What to configure in the client. */
function nextSteps(client: Client, place: Place): string {
  const { issuer, discovery } = placeOf(place);
  if (client.type === "resource") {
    return `The API verifies tokens of ${issuer} and follows revocations at ${issuer}/revocations, by this id${client.metadata.keyturn_resources.length === 0 ? "" : "; clients ask for it by its resource"}.`;
  }
  const lines = [`Configure there: the issuer ${issuer} and the client id ${client.id}.`];
  lines.push(`All else is found at ${discovery}`);
  return lines.join("\n");
}

/** Never the secret, in any form. */
function shownClient(client: Client) {
  const { id, name, type, origin, metadata } = client;
  return {
    id,
    name,
    type,
    origin,
    metadata,
    createdAt: isoTime(client.createdAt),
    updatedAt: isoTime(client.updatedAt),
    lastUsedAt: isoTime(client.lastUsedAt),
    expiresAt: isoTime(client.expiresAt),
  };
}

function clientFields(client: Client): Record<string, string> {
  const { metadata } = client;
  const told: [name: string, values: readonly string[]][] = [
    ["redirect URIs", metadata.redirect_uris],
    ["after signing out", metadata.post_logout_redirect_uris],
    ["grants", metadata.grant_types.map((grant) => grant.replace(/^urn:.*:/, ""))],
    ["scope", metadata.scope === undefined ? [] : [metadata.scope]],
    ["resources", metadata.keyturn_resources],
    ["profile", metadata.keyturn_profile === "default" ? [] : [metadata.keyturn_profile]],
  ];
  return {
    id: client.id,
    name: client.name,
    type: client.type,
    ...(client.origin !== "operator" && { "registered by": client.origin }),
    authenticates: metadata.token_endpoint_auth_method,
    ...Object.fromEntries(
      told.flatMap(([name, values]) => (values.length === 0 ? [] : [[name, values.join(" ")]])),
    ),
    ...(metadata.keyturn_trusted && { trusted: "yes" }),
    added: readableTime(client.createdAt),
  };
}
