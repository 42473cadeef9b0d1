import type { Clock } from "../primitives/clock.ts";
import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import { limits } from "../primitives/limits.ts";
import type { Client } from "./client.ts";

type Find = (id: string) => Promise<Client | undefined>;
type CheckSecret = (id: string, secret: string) => Promise<Client | undefined>;

interface Known {
  readonly client: Client;
  /** SHA-256 of the secret by which it authenticated; undefined: it was found by its id. */
  readonly secretDigest: Buffer | undefined;
  readonly readAt: number;
}

const KNOWN_MS = 60_000;

/**
 * Clients as they were a moment ago, so that a refresh needs no trip of its own for them. What they are now is asked
 * in the trip that the refresh makes anyway: whoever takes a client from here hands its `updatedAt` on, and a database
 * that has another one refuses (`client_changed`). So a changed secret or a removed client counts at once, on every
 * node, and nothing has to tell this cache.
 */
export function createKnownClients(parts: { find: Find; checkSecret: CheckSecret; clock: Clock }) {
  const { clock } = parts;
  const known = new Map<string, Known>();

  function remember(client: Client, secretDigest: Buffer | undefined): void {
    // Of a client that is a document there is no row to compare with.
    if (client.origin === "document") return;
    if (known.size >= limits.clientsKnownMax) known.clear();
    known.set(client.id, { client, secretDigest, readAt: clock.now() });
  }

  function recall(id: string): Known | undefined {
    const found = known.get(id);
    return found !== undefined && clock.now() - found.readAt < KNOWN_MS ? found : undefined;
  }

  return {
    async findClient(id: string): Promise<Client | undefined> {
      const before = recall(id);
      if (before !== undefined) return before.client;
      const client = await parts.find(id);
      if (client !== undefined) remember(client, undefined);
      return client;
    },

    async checkSecret(id: string, secret: string): Promise<Client | undefined> {
      const digest = sha256(secret);
      const before = recall(id);
      if (before?.secretDigest !== undefined && equalBytes(before.secretDigest, digest)) return before.client;
      const client = await parts.checkSecret(id, secret);
      if (client !== undefined) remember(client, digest);
      return client;
    },

    forget: (id: string): void => void known.delete(id),
  };
}

/** What to hand on of a client that may have come from here. */
export const versionOf = (client: Client): number | undefined =>
  client.origin === "document" ? undefined : client.updatedAt;
