import type { SettingsClient } from "../config-clients.ts";
import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import type { ClientMetadata } from "./client.ts";
import { clientName, idProblem } from "./client-ids.ts";
import { checkClientMetadata } from "./client-metadata.ts";
import { type ClientRecords, clientFromRow } from "./client-records.ts";
import type { ClientRow } from "./clients.sql.ts";
import { needsSecret } from "./clients.ts";
import { type FetchDocument, sectorProblem } from "./sectors.ts";

const bySystem = { actor: "system" } as const;
const RETRIES = 5;

interface Checked {
  readonly client: SettingsClient;
  readonly name: string;
  readonly metadata: ClientMetadata;
}

/** What is wrong with the clients of the settings: each a sentence that names the client. */
export function settingsClientsProblems(clients: readonly SettingsClient[]): string[] {
  const ids = new Set<string>();
  return clients.flatMap((client, index) => {
    const problem = ids.has(client.id) ? "is there twice." : problemOf(checkedClient(client));
    ids.add(client.id);
    return problem === undefined ? [] : [`clients[${index}] (${client.id}): ${problem}`];
  });
}

const problemOf = (checked: Checked | string): string | undefined =>
  typeof checked === "string" ? checked : undefined;

/** @returns a sentence where it is wrong */
function checkedClient(client: SettingsClient): Checked | string {
  const { id, type, secret, secretVariable } = client;
  if (idProblem(id) !== undefined) return "this id is taken by the server itself.";
  const name = clientName(client.name);
  if (name === undefined) return "name has line breaks or control characters, or is too long.";
  const checked = checkClientMetadata({ type, input: client.metadata, byOperator: true });
  if (checked.outcome === "invalid") return checked.problem;
  const { metadata } = checked;
  if (needsSecret(metadata) && secret === undefined) {
    return secretVariable === undefined
      ? `it authenticates by ${metadata.token_endpoint_auth_method}; name the environment variable that holds its secret by secretVariable.`
      : `the environment variable ${secretVariable} is not set; it holds the client's secret.`;
  }
  if (!needsSecret(metadata) && (secret !== undefined || secretVariable !== undefined))
    return `it authenticates by ${metadata.token_endpoint_auth_method}, so it has no secret.`;
  return { client, name, metadata };
}

interface Dependencies {
  readonly records: ClientRecords;
  readonly fetchDocument: FetchDocument;
}

export interface Registered {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  /** Ids of clients that an earlier settings file registered and that this one does not name. They are kept. */
  readonly left: readonly string[];
  /** Sentences. What is wrong stops the start. */
  readonly problems: readonly string[];
}

/**
 * Makes the clients of the settings what the settings say. One that the settings name no more is kept: a node that
 * starts with an older file, or with none, must not sign people out.
 */
export async function registerSettingsClients(
  clients: readonly SettingsClient[],
  { records, fetchDocument }: Dependencies,
): Promise<Registered> {
  const done = { added: [] as string[], changed: [] as string[], problems: [] as string[] };

  async function register(one: Checked): Promise<"added" | "changed" | "same" | string> {
    const { client, name, metadata } = one;
    const { id, type, secret } = client;
    const secretDigest = secret === undefined ? undefined : sha256(secret);
    for (let tries = 0; tries < RETRIES; tries++) {
      const row = await records.findRow(id);
      if (row === undefined) {
        const sector = await sectorProblem(metadata, fetchDocument);
        if (sector !== undefined) return sector.problem;
        const record = { id, name, type, origin: "settings", metadata, secretDigest } as const;
        const { outcome } = await records.insert(record, bySystem);
        if (outcome === "resource_taken") return "one of its keyturn_resources belongs to another client.";
        if (outcome === "added") return "added";
        continue;
      }
      if (row.origin !== "settings")
        return "a client with this id was registered in another way; remove it, or choose another id.";
      if (isSame(row, one, secretDigest)) return "same";
      const sector = await sectorProblem(metadata, fetchDocument);
      if (sector !== undefined) return sector.problem;
      const to = { name, type, metadata, secretDigest: secretDigest ?? null };
      const { outcome } = await records.rewrite(row, to, bySystem);
      if (outcome === "resource_taken") return "one of its keyturn_resources belongs to another client.";
      if (outcome === "updated") return "changed";
    }
    return "other nodes change it again and again.";
  }

  for (const [index, client] of clients.entries()) {
    const checked = checkedClient(client);
    const outcome = typeof checked === "string" ? checked : await register(checked);
    if (outcome === "added" || outcome === "changed") done[outcome].push(client.id);
    else if (outcome !== "same") done.problems.push(`clients[${index}] (${client.id}): ${outcome}`);
  }
  const known = new Set(clients.map(({ id }) => id));
  const left = (await records.ofOrigin("settings")).filter((id) => !known.has(id));
  return { ...done, left };
}

function isSame(
  row: ClientRow,
  { client, name, metadata }: Checked,
  digest: Uint8Array | undefined,
): boolean {
  const now = clientFromRow(row);
  const hasSameSecret =
    digest === undefined
      ? row.secret_digest === null
      : row.secret_digest !== null && equalBytes(digest, row.secret_digest);
  return (
    hasSameSecret &&
    now.name === name &&
    now.type === client.type &&
    JSON.stringify(now.metadata) === JSON.stringify(metadata)
  );
}
