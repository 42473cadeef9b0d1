import { insertEvent } from "../audit/audit.sql.ts";
import type { Actor, AuditEvent, AuditEventType } from "../audit/events.ts";
import type { Clock } from "../primitives/clock.ts";
import { newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Database, Sql, Transaction } from "../storage/database.ts";
import { isUniqueViolation } from "../storage/statement-failed.ts";
import type { Client, ClientMetadata, ClientOrigin, ClientType } from "./client.ts";
import { isIdOfClient } from "./client-ids.ts";
import { checkClientMetadata } from "./client-metadata.ts";
import {
  type ClientChange,
  type ClientRow,
  deleteClient,
  deleteConsents,
  deleteGranted,
  deleteResources,
  insertClient,
  insertResources,
  selectClient,
  selectClients,
  selectOfOrigin,
  selectUnused,
  updateClient,
  updateFresh,
  updateSecret,
  updateUsed,
  whichOfClient,
} from "./clients.sql.ts";

export interface By {
  readonly actor: Actor;
  readonly ip?: string | undefined;
}

/** A client that is to be kept, checked. */
export interface ClientRecord {
  readonly id: string;
  readonly name: string;
  readonly type: ClientType;
  readonly origin: ClientOrigin;
  readonly metadata: ClientMetadata;
  readonly secretDigest?: Uint8Array | undefined;
  readonly registrationDigest?: Uint8Array | undefined;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined;
  readonly freshUntil?: number | undefined;
}

/** What becomes of a record. */
export interface ClientRewrite {
  readonly name: string;
  readonly type: ClientType;
  readonly metadata: ClientMetadata;
  /** Undefined: the one that there is; null: none any more. */
  readonly secretDigest?: Uint8Array | null | undefined;
  readonly freshUntil?: number | undefined;
  /** Whether people are asked for consent again. */
  readonly forgetsConsents?: boolean | undefined;
  readonly detail?: AuditEvent["detail"];
}

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** What ends sessions, for a transaction of this room. */
  readonly endStatements: (ending: { which: Sql; at: number; event: AuditEvent }) => Sql[];
  /** Tells the feed that a transaction of this room may have ended sessions. */
  readonly announceEnded: () => Promise<void>;
  readonly settings: { readonly appIdleSeconds: number };
}

export type ClientRecords = ReturnType<typeof createClientRecords>;

/** The rows of clients. Who may add, change and remove them is for those above to say. */
export function createClientRecords(dependencies: Dependencies) {
  const { database, clock, endStatements, announceEnded, settings } = dependencies;
  /** When a use was noted here: a client may come from a cache that does not know it yet. */
  const notedAt = new Map<string, number>();

  function event(
    type: AuditEventType,
    clientId: string,
    act: { by: By; at: number; detail?: AuditEvent["detail"] },
  ) {
    const { by, at, detail } = act;
    return insertEvent({ id: newId(at), at, event: { type, actor: by.actor, clientId, ip: by.ip, detail } });
  }

  async function findRow(id: string): Promise<ClientRow | undefined> {
    // The same look-up for an id that none can have.
    return database.one<ClientRow>(selectClient(isIdOfClient(id) ? id : ""));
  }

  async function withResources<T>(work: (tx: Transaction) => Promise<T>): Promise<T | "resource_taken"> {
    try {
      return await database.transaction(work);
    } catch (error) {
      if (isUniqueViolation(error)) return "resource_taken";
      throw error;
    }
  }

  return {
    findRow,

    async find(id: string): Promise<Client | undefined> {
      const row = await findRow(id);
      return row === undefined ? undefined : clientFromRow(row);
    },

    /** In the order of their ids, at most a page; `after` is the id of the last one of the page before. */
    async list(page: { after?: string | undefined; rows?: number | undefined } = {}): Promise<Client[]> {
      const rows = Math.min(page.rows ?? limits.pageRowsMax, limits.pageRowsMax);
      const after = page.after !== undefined && isIdOfClient(page.after) ? page.after : undefined;
      return (await database.all<ClientRow>(selectClients({ after, rows }))).map(clientFromRow);
    },

    /** Of any number at once with one id, one wins. */
    async insert(
      record: ClientRecord,
      by: By,
    ): Promise<{ outcome: "added"; client: Client } | { outcome: "id_taken" | "resource_taken" }> {
      const at = clock.now();
      const row = rowFrom(record, at);
      const { id, origin, metadata } = record;
      const outcome = await withResources(async (tx) => {
        if ((await tx.run(insertClient(row))) !== 1) return "id_taken";
        await tx.run(event("client.added", id, { by, at, detail: { origin, type: record.type } }));
        for (const statement of resourceStatements(id, metadata)) await tx.run(statement);
        return "added";
      });
      return outcome === "added" ? { outcome, client: clientFromRow(row) } : { outcome };
    },

    /** Only if the row is as it was read: else `changed`, and the caller reads again. */
    async rewrite(
      row: ClientRow,
      to: ClientRewrite,
      by: By,
    ): Promise<{ outcome: "updated"; client: Client } | { outcome: "changed" | "resource_taken" }> {
      const { id } = row;
      const change: ClientChange = {
        id,
        name: to.name,
        type: to.type,
        metadata: JSON.stringify(to.metadata),
        secretDigest: to.secretDigest,
        expiresAt: row.expires_at,
        freshUntil: to.freshUntil ?? row.fresh_until,
        // Later than before on any clock: the time is what tells one change from another.
        at: Math.max(clock.now(), row.updated_at + 1),
        before: row.updated_at,
      };
      const outcome = await withResources(async (tx) => {
        if ((await tx.run(updateClient(change))) !== 1) return "changed";
        await tx.run(event("client.changed", id, { by, at: change.at, detail: to.detail }));
        await tx.run(deleteResources(id));
        for (const statement of resourceStatements(id, to.metadata)) await tx.run(statement);
        if (to.forgetsConsents === true) await tx.run(deleteConsents(id));
        return "updated";
      });
      if (outcome !== "updated") return { outcome };
      const client = clientFromRow({
        ...row,
        name: change.name,
        type: change.type,
        metadata: change.metadata,
        fresh_until: change.freshUntil,
        updated_at: change.at,
      });
      return { outcome, client };
    },

    /**
     * Removes a client, and ends all that it was let in to, in one transaction. False when there is none.
     * @param unusedAt only if nobody has used it by then
     */
    async remove(id: string, by: By, unusedAt?: number): Promise<boolean> {
      if (!isIdOfClient(id)) return false;
      const at = clock.now();
      const detail = unusedAt === undefined ? {} : { reason: "unused" };
      const ended = { type: "session.ended", actor: by.actor, ip: by.ip, clientId: id } as const;
      const ending = endStatements({
        which: whichOfClient(id),
        at,
        event: { ...ended, detail: { reason: "client_removed" } },
      });
      const { removed, sessions } = await database.transaction(async (tx) => {
        if ((await tx.run(deleteClient(id, unusedAt))) !== 1) return { removed: false, sessions: 0 };
        await tx.run(event("client.removed", id, { by, at, detail }));
        for (const statement of [deleteResources(id), ...deleteGranted(id)]) await tx.run(statement);
        let sessions = 0;
        for (const statement of ending) sessions += await tx.run(statement);
        return { removed: true, sessions };
      });
      // Another may come to have the id.
      notedAt.delete(id);
      if (sessions > 0) await announceEnded();
      return removed;
    },

    async setSecret(id: string, digest: Uint8Array, by: By): Promise<boolean> {
      const at = clock.now();
      return database.transaction(async (tx) => {
        if ((await tx.run(updateSecret({ id, digest, at }))) !== 1) return false;
        await tx.run(event("client.secret_changed", id, { by, at }));
        return true;
      });
    },

    /** @param freshUntil milliseconds since 1970 */
    async keepFresh(id: string, freshUntil: number): Promise<void> {
      await database.batch([updateFresh(id, freshUntil)]);
    },

    /** Notes that a client has got a token: about once a day, so that a turn writes no more than it did. */
    async used(client: Client): Promise<void> {
      const at = clock.now();
      const notedBefore = at - limits.clientUseNotedSeconds * 1000;
      const noted = Math.max(client.lastUsedAt ?? 0, notedAt.get(client.id) ?? 0);
      if (noted >= notedBefore) return;
      if (notedAt.size >= limits.clientsNotedMax) notedAt.clear();
      notedAt.set(client.id, at);
      // No session of a client may outlive it: it has been used since then, or is idle for too long.
      const seconds = Math.max(
        limits.clientUnusedSeconds,
        settings.appIdleSeconds + 2 * limits.clientUseNotedSeconds,
      );
      await database.batch([updateUsed({ id: client.id, at, notedBefore, expiresAt: at + seconds * 1000 })]);
    },

    async ofOrigin(origin: ClientOrigin): Promise<string[]> {
      const rows = await database.all<{ id: string }>(selectOfOrigin(origin, limits.settingsClientsMax * 2));
      return rows.map(({ id }) => id);
    },

    /** Ids of clients that nobody used in time. */
    async unused(at: number): Promise<string[]> {
      const rows = await database.all<{ id: string }>(selectUnused(at, limits.clientsForgottenPerRunMax));
      return rows.map(({ id }) => id);
    },
  };
}

function resourceStatements(id: string, { keyturn_resources: resources }: ClientMetadata): Sql[] {
  return resources.length === 0 ? [] : [insertResources(id, resources)];
}

function rowFrom(record: ClientRecord, at: number): ClientRow {
  return {
    id: record.id,
    name: record.name,
    type: record.type,
    secret_digest: record.secretDigest ?? null,
    metadata: JSON.stringify(record.metadata),
    origin: record.origin,
    registration_digest: record.registrationDigest ?? null,
    last_used_at: null,
    expires_at: record.expiresAt ?? null,
    fresh_until: record.freshUntil ?? null,
    created_at: at,
    updated_at: at,
  };
}

export function clientFromRow(row: ClientRow): Client {
  const type = row.type as ClientType;
  return {
    id: row.id,
    name: row.name,
    type,
    origin: row.origin as ClientOrigin,
    metadata: row.metadata === "{}" ? metadataBefore(type) : JSON.parse(row.metadata),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    lastUsedAt: row.last_used_at ?? undefined,
    expiresAt: row.expires_at ?? undefined,
  };
}

/** Of a client that was added before clients had metadata: an API. */
function metadataBefore(type: ClientType): ClientMetadata {
  const checked = checkClientMetadata({ type, input: {}, byOperator: true });
  if (checked.outcome === "invalid")
    throw new Error(`Bug in Keyturn: the defaults of a ${type} are not good`);
  return checked.metadata;
}
