import type { Client } from "./clients/client.ts";
import { createAssertionCheck } from "./clients/client-assertion.ts";
import { isDocumentId } from "./clients/client-ids.ts";
import { createClientJwts } from "./clients/client-jwt.ts";
import { createClientKeys } from "./clients/client-keys.ts";
import type { ClientRecords } from "./clients/client-records.ts";
import type { Clients } from "./clients/clients.ts";
import { createDocuments } from "./clients/documents.ts";
import { createForgetting } from "./clients/forgetting.ts";
import { createRegistrations } from "./clients/registrations.ts";
import type { FetchDocument } from "./clients/sectors.ts";
import { createSpentAssertions } from "./clients/spent-assertions.ts";
import { limited } from "./clients/strangers.ts";
import type { ResolvedSettings } from "./config.ts";
import { createFetchDocument } from "./http/fetch-document.ts";
import { createOutgoing } from "./http/outgoing.ts";
import type { Log } from "./observability/log.ts";
import type { Clock } from "./primitives/clock.ts";
import { limits } from "./primitives/limits.ts";
import type { RateLimits } from "./rate-limits/rate-limits.ts";
import { rateRules } from "./rate-limits/rules.ts";
import type { Database } from "./storage/database.ts";

interface Parts {
  readonly settings: ResolvedSettings;
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly rateLimits: RateLimits;
  readonly clients: Clients;
  readonly clientRecords: ClientRecords;
  readonly fetchDocument: FetchDocument;
}

export type ClientAccess = ReturnType<typeof openClients>;

/** The part of the composition root that makes who a client is, and how it proves that. */
export function openClients(parts: Parts) {
  const { settings, database, clock, log, rateLimits, clients, clientRecords: records } = parts;

  /** Strangers choose what is fetched: no host is asked often, and not many that nobody has asked for before. */
  async function mayFetch({ host, isKnown }: { host: string; isKnown: boolean }): Promise<boolean> {
    const ofHost = { rule: rateRules.clientDocumentHost, subject: host };
    const ofAll = { rule: rateRules.clientDocumentNew, subject: "all" };
    const { allowed } = await rateLimits.consumeAll(isKnown ? [ofHost] : [ofHost, ofAll]);
    return allowed;
  }

  // draft-ietf-oauth-client-id-metadata-document §8.6: for strangers no special address, but on a developer's machine. The
  // hosts that the settings trust are for what the operator has named.
  const isInDevelopment = settings.issuer.startsWith("http:");
  const forStrangers = { settings: isInDevelopment ? settings : { privateHosts: [] } };
  const limitedFetch = (fetch: FetchDocument): FetchDocument => {
    return async (url) =>
      (await mayFetch({ host: new URL(url).host, isKnown: true })) ? fetch(url) : { outcome: "outage" };
  };
  const fetchDocument = limitedFetch(parts.fetchDocument);
  const fetchForStrangers = limitedFetch(
    createFetchDocument(createOutgoing({ ...forStrangers, bytesMax: limits.clientKeysBytesMax })),
  );
  const documents = createDocuments({
    records,
    clock,
    log,
    settings,
    fetchDocument: createFetchDocument(
      createOutgoing({
        ...forStrangers,
        bytesMax: limits.clientDocumentBytesMax,
        milliseconds: limits.clientDocumentMillisecondsMax,
      }),
    ),
    fetchSector: fetchForStrangers,
    mayFetch,
  });
  const registrations = createRegistrations({
    records,
    clock,
    fetchDocument: fetchForStrangers,
    settings,
  });
  const spent = createSpentAssertions({ database, clock });
  const keys = createClientKeys({ clock, fetchDocument, fetchForStrangers });
  const jwts = createClientJwts({ keys });

  /** A registered client, or one whose id is the address of its document. */
  async function findClient(id: string) {
    const client = isDocumentId(id) ? await documents.find(id) : await clients.find(id);
    return client && limited(client, settings.registrationScopes);
  }

  async function checkSecret(id: string, secret: string) {
    const client = await clients.authenticate(id, secret);
    return client && limited(client, settings.registrationScopes);
  }

  /** That who has proven who it is is used. */
  async function noteUse<C extends Client | undefined>(client: C): Promise<C> {
    if (client !== undefined) await records.used(client);
    return client;
  }

  return {
    findClient,
    checkSecret,
    checkAssertion: createAssertionCheck({ settings, clock, findClient, jwts, spent }),
    noteUse,
    registrations,
    jwts,
    spentAssertions: spent,
    forgetting: createForgetting({ records, spent, clock }),
  };
}
