import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { Client } from "./client.ts";
import { isDocumentId } from "./client-ids.ts";
import { type ClientRecords, clientFromRow } from "./client-records.ts";
import type { ClientRow } from "./clients.sql.ts";
import { nameFrom } from "./registrations.ts";
import { type FetchDocument, type Fetched, sectorProblem } from "./sectors.ts";
import { isAnother, readStranger, type Stranger } from "./strangers.ts";

interface Log {
  info(detail: object, message: string): void;
}

export type Documents = ReturnType<typeof createDocuments>;

interface Dependencies {
  readonly records: ClientRecords;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: {
    readonly issuer: string;
    readonly clientDocuments: "off" | "on";
    readonly registrationScopes?: readonly string[] | undefined;
  };
  /** With the bound of a client's document. */
  readonly fetchDocument: FetchDocument;
  /** With the bound of what a document points to. */
  readonly fetchSector: FetchDocument;
  /** Whether the host may be asked now: strangers choose the addresses, and must not hammer others with us. */
  readonly mayFetch: (asked: { host: string; isKnown: boolean }) => Promise<boolean>;
}

const bySystem = { actor: "system" } as const;
const JSON_TYPE = /^application\/([a-z0-9.+-]+\+)?json$/;

type Read =
  | (Stranger & { readonly freshUntil: number })
  /** What is there is no document of this client, whoever has put it there. */
  | { readonly outcome: "invalid"; readonly why: string }
  | { readonly outcome: "outage" };

/**
 * Clients whose id is the address of a document that says who they are: draft-ietf-oauth-client-id-metadata-document.
 * The document is kept in the row for as long as HTTP says, within bounds; while its host cannot be reached, longer.
 */
export function createDocuments(dependencies: Dependencies) {
  const { records, clock, log, settings, fetchDocument, fetchSector, mayFetch } = dependencies;
  const isInDevelopment = settings.issuer.startsWith("http:");
  /** One question a document at a time, however many ask for it. */
  const underWay = new Map<string, Promise<Client | undefined>>();

  async function refresh(id: string, row: ClientRow | undefined): Promise<Client | undefined> {
    if (underWay.size >= limits.clientDocumentsAtOnceMax) return stale(row);
    const { host } = new URL(id);
    if (!(await mayFetch({ host, isKnown: row !== undefined }))) return stale(row);
    const read = await readFrom(id, await fetchDocument(id));
    switch (read.outcome) {
      case "good":
        return keep(id, row, read);
      case "outage":
        log.info({ host }, "A client's document could not be fetched");
        return stale(row);
      case "invalid":
        log.info({ host, why: read.why }, "A client's document is not good");
        return undefined;
    }
  }

  /** What was known, while its host is away. Not for ever: somebody may have lost the host. */
  function stale(row: ClientRow | undefined): Client | undefined {
    const until = (row?.fresh_until ?? 0) + limits.clientDocumentStaleSeconds * 1000;
    return row !== undefined && clock.now() < until ? clientFromRow(row) : undefined;
  }

  async function readFrom(id: string, fetched: Fetched): Promise<Read> {
    if (fetched.outcome === "outage") return fetched;
    if (fetched.outcome === "refused") return { outcome: "invalid", why: "its address or its size" };
    const { status, type, text } = fetched;
    // RFC 5861 §4 calls these an error of the moment; 429 says so itself.
    if (status === 429 || (status >= 500 && status <= 504)) return { outcome: "outage" };
    // §5: "The authorization server MUST treat all other HTTP status codes as an error response".
    if (status !== 200) return { outcome: "invalid", why: `status ${status}` };
    if (!JSON_TYPE.test(type)) return { outcome: "invalid", why: "no JSON" };
    const document = parsed(text);
    if (document === undefined) return { outcome: "invalid", why: "no JSON object" };
    // §4: "MUST match the Client Identifier URL […]; comparisons MUST be made using simple string comparison".
    if (document.client_id !== id) return { outcome: "invalid", why: "another client_id" };
    // §4.1: "the client_secret and client_secret_expires_at properties MUST NOT be used".
    if (document.client_secret !== undefined || document.client_secret_expires_at !== undefined)
      return { outcome: "invalid", why: "a secret" };
    const { registrationScopes: scopes } = settings;
    const stranger = readStranger(document, { vouched: false, defaultMethod: "none", scopes });
    if (stranger.outcome === "invalid") return { outcome: "invalid", why: stranger.field };
    const { token_endpoint_auth_method: method } = stranger.metadata;
    // §4.1: no method "based around a shared symmetric secret".
    if (method !== "none" && method !== "private_key_jwt")
      return { outcome: "invalid", why: "token_endpoint_auth_method" };
    const sector = await sectorProblem(stranger.metadata, fetchSector);
    if (sector !== undefined) return { outcome: "invalid", why: sector.field };
    return { ...stranger, freshUntil: clock.now() + freshSecondsOf(fetched) * 1000 };
  }

  async function keep(
    id: string,
    row: ClientRow | undefined,
    read: Extract<Read, { outcome: "good" }>,
  ): Promise<Client | undefined> {
    const { type, metadata, freshUntil } = read;
    const name = read.name ?? nameFrom(metadata.client_uri ?? id) ?? id;
    if (row === undefined) {
      const expiresAt = clock.now() + limits.clientNeverUsedSeconds * 1000;
      const record = { id, name, type, origin: "document", metadata, expiresAt, freshUntil } as const;
      const added = await records.insert(record, bySystem);
      // Another node was first, and has read the same.
      return added.outcome === "added" ? added.client : records.find(id);
    }
    const before = clientFromRow(row);
    const isSame =
      before.name === name &&
      before.type === type &&
      JSON.stringify(before.metadata) === JSON.stringify(metadata);
    if (isSame) {
      await records.keepFresh(id, freshUntil);
      return before;
    }
    // §8.4: "Significant changes to client metadata […] could impact the validity of previously granted user consent."
    const forgetsConsents = isAnother(before, { name, metadata });
    const to = { name, type, metadata, freshUntil, forgetsConsents, detail: { asksAgain: forgetsConsents } };
    const updated = await records.rewrite(row, to, bySystem);
    return updated.outcome === "updated" ? updated.client : records.find(id);
  }

  return {
    /** Undefined: there is no such document, it is not good, or nobody may be asked for it. */
    async find(id: string): Promise<Client | undefined> {
      if (settings.clientDocuments === "off" || !isDocumentId(id)) return undefined;
      // §8.6: this machine's own addresses only where the server itself is on one, for development.
      if (!isInDevelopment && !id.startsWith("https:")) return undefined;
      const row = await records.findRow(id);
      if (row !== undefined && (row.fresh_until ?? 0) > clock.now()) return clientFromRow(row);
      const asked =
        underWay.get(id) ??
        refresh(id, row).finally(() => {
          underWay.delete(id);
        });
      underWay.set(id, asked);
      return asked;
    },
  };
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** §5.2: "SHOULD respect HTTP cache headers […], but MAY define its own upper and/or lower bounds". Seconds. */
function freshSecondsOf({ freshSeconds }: { readonly freshSeconds: number | undefined }): number {
  const { clientDocumentFreshSecondsMin: least, clientDocumentFreshSecondsMax: most } = limits;
  return Math.min(most, Math.max(least, freshSeconds ?? limits.clientDocumentFreshSeconds));
}
