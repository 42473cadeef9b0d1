import { insertEvent } from "../audit/audit.sql.ts";
import { auditStatement } from "../audit/audit.ts";
import type { Clock } from "../primitives/clock.ts";
import { type Id, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { endStatements } from "../sessions/end.ts";
import { anyAlive, lockUser, whichOfClient } from "../sessions/sessions.sql.ts";
import type { Database, Sql, Transaction } from "../storage/database.ts";
import {
  addConsent,
  type ConsentRow,
  consentExists,
  deleteConsent,
  either,
  putConsent,
  selectConsent,
  selectConsents,
} from "./consents.sql.ts";

/** What a user lets a client do. */
export interface Access {
  readonly scopes: readonly string[];
  /** RFC 8707. Empty: the audience of the settings. */
  readonly resources: readonly string[];
}

export interface Consent extends Access {
  readonly clientId: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface ConsentOf {
  readonly userId: Id;
  readonly clientId: string;
}

export type Consents = ReturnType<typeof createConsents>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** Called after a commit that ended sessions. */
  readonly announceEnded: () => Promise<void>;
}

/** What people have agreed that clients may do in their name: one row for each user and client. */
export function createConsents({ database, clock, announceEnded }: Dependencies) {
  return {
    /** Whether everything that is asked for has been agreed to already. */
    async covers({ userId, clientId }: ConsentOf, asked: Access): Promise<boolean> {
      const row = await database.one<ConsentRow>(selectConsent(userId, clientId));
      if (row === undefined) return false;
      const known = fromRow(row);
      return (
        asked.scopes.every((scope) => known.scopes.includes(scope)) &&
        asked.resources.every((resource) => known.resources.includes(resource))
      );
    },

    /** Remembers it, beside what was agreed to before. In the transaction of what the user agreed for. */
    async grantIn(
      tx: Transaction,
      { userId, clientId, ip }: ConsentOf & { readonly ip: string | undefined },
      access: Access,
    ): Promise<void> {
      const at = clock.now();
      const row = await tx.one<ConsentRow>(selectConsent(userId, clientId));
      const before = row && fromRow(row);
      const scope = union(before?.scopes, access.scopes);
      const resources = union(before?.resources, access.resources);
      await tx.run(putConsent({ userId, clientId, scope, resources, at }));
      const detail = { scope: access.scopes.join(" "), resources: access.resources.join(" ") };
      const event = { type: "consent.granted", actor: "user", userId, clientId, ip, detail } as const;
      await tx.run(auditStatement(at, event));
    },

    /** The same as statements, for a transaction of another room (a device that is let in). */
    grantStatements(
      { userId, clientId, ip, onlyIf }: ConsentOf & { readonly ip: string | undefined; readonly onlyIf: Sql },
      access: Access,
    ): Sql[] {
      const at = clock.now();
      const [scope, resources] = [access.scopes.join(" "), access.resources.join(" ")];
      const detail = { scope, resources };
      const event = { type: "consent.granted", actor: "user", userId, clientId, ip, detail } as const;
      return [
        addConsent({ userId, clientId, scope, resources, at }, onlyIf),
        insertEvent({ id: newId(at), at, event, onlyIf }),
      ];
    },

    async list(userId: Id): Promise<Consent[]> {
      const rows = await database.all<ConsentRow>(selectConsents(userId, limits.pageRowsMax));
      return rows.map(fromRow);
    },

    /**
     * Forgets what was agreed to, and ends what the client was let in to, in one transaction.
     * @returns false when there was neither
     */
    async withdraw({
      userId,
      clientId,
      ip,
    }: ConsentOf & { readonly ip: string | undefined }): Promise<boolean> {
      const at = clock.now();
      const which = whichOfClient(userId, clientId);
      const by = { actor: "user", userId, clientId, ip } as const;
      const [, withdrawn, , ended] = await database.batch([
        // Whoever is just starting such a session is either before this or finds no consent.
        lockUser(userId),
        insertEvent({
          id: newId(at),
          at,
          event: { ...by, type: "consent.withdrawn" },
          onlyIf: either(consentExists(userId, clientId), anyAlive(which, at)),
        }),
        deleteConsent(userId, clientId),
        ...endStatements({
          which,
          at,
          reason: "consent_withdrawn",
          event: { ...by, type: "session.ended", detail: { reason: "consent_withdrawn" } },
        }),
      ]);
      if ((ended?.changes ?? 0) > 0) await announceEnded();
      return withdrawn?.changes === 1;
    },
  };
}

const listed = (text: string) => [...new Set(text.split(" "))].filter((one) => one !== "");
const union = (before: readonly string[] = [], more: readonly string[]) =>
  [...new Set([...before, ...more])].join(" ");

function fromRow(row: ConsentRow): Consent {
  return {
    clientId: row.client_id,
    scopes: listed(row.scope),
    resources: listed(row.resources),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
