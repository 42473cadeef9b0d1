import type { Pairs } from "../http/parameters.ts";
import type { Clock } from "../primitives/clock.ts";
import { sha256 } from "../primitives/digest.ts";
import { type Id, idFromBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Database, Sql, Transaction } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import {
  deleteRequestsBefore,
  insertRequest,
  type KeptRow,
  type RequestUse,
  selectRequest,
  spendRequest,
  updateContinued,
} from "./authorization-requests.sql.ts";

/** RFC 9126 §2.2: "a reference"; RFC 6755 has the form. */
const PREFIX = "urn:ietf:params:oauth:request_uri:";
/** Whether something may be meant for the reference to a request that this server has. */
export const isReference = (uri: string): boolean => uri.startsWith(PREFIX);
const REFERENCE = /^urn:ietf:params:oauth:request_uri:([A-Za-z0-9_-]{43})$/;

/** A request that this server holds: pushed by its client, or waiting for a person. */
export interface KeptRequest {
  readonly uri: string;
  readonly digest: Buffer;
  readonly clientId: string;
  readonly pairs: Pairs;
  readonly isPushed: boolean;
  /** When a person was first asked something for it; milliseconds since 1970. Undefined: nobody was yet. */
  readonly askedAt: number | undefined;
  /** The session whose user chose to go on as who they are. */
  readonly continuedBy: Id | undefined;
}

export type KeptRequests = ReturnType<typeof createKeptRequests>;

export interface NewKept {
  readonly clientId: string;
  readonly pairs: Pairs;
}

/** Requests for authorization that are held here under a reference that cannot be guessed; of it, the digest. */
export function createKeptRequests({ database, clock }: { database: Database; clock: Clock }) {
  function made({ clientId, pairs }: NewKept, { pushed, seconds }: { pushed: boolean; seconds: number }) {
    const reference = randomBytes(32).toString("base64url");
    const uri = PREFIX + reference;
    const digest = sha256(reference);
    const at = clock.now();
    const row = {
      digest,
      clientId,
      parameters: JSON.stringify(pairs),
      pushed,
      at,
      expiresAt: at + seconds * 1000,
    };
    return { uri, statement: insertRequest(row) };
  }

  function useBy(digest: Buffer, sessionId: Id | undefined): RequestUse {
    const now = clock.now();
    return { digest, now, sessionId, repeatableSince: now - limits.decisionRepeatSeconds * 1000 };
  }

  const spend = (digest: Buffer, sessionId?: Id): Sql => spendRequest(useBy(digest, sessionId));

  return {
    /** RFC 9126 §2.2: what the client has sent, until its person comes. */
    async push(request: NewKept): Promise<{ uri: string; expiresIn: number }> {
      const seconds = limits.pushedRequestSeconds;
      const { uri, statement } = made(request, { pushed: true, seconds });
      await database.batch([statement]);
      return { uri, expiresIn: seconds };
    },

    /**
     * What is to be put to a person: from now on under a reference of its own. A pushed one is used up by that:
     * "Authorization servers SHOULD treat request_uri values as one-time use" (RFC 9126 §4).
     * @returns undefined when it has been used meanwhile
     */
    async wait(request: NewKept, pushed: Buffer | undefined): Promise<string | undefined> {
      const { uri, statement } = made(request, { pushed: false, seconds: limits.waitingRequestSeconds });
      if (pushed === undefined) {
        await database.batch([statement]);
        return uri;
      }
      return database.transaction(async (tx) => {
        if ((await tx.run(spend(pushed))) === 0) return undefined;
        await tx.run(statement);
        return uri;
      });
    },

    /** The request of a client that is held under this reference and was not used, or just now by this session. */
    async find(uri: string, clientId: string, sessionId?: Id): Promise<KeptRequest | undefined> {
      const reference = REFERENCE.exec(uri)?.[1];
      if (reference === undefined) return undefined;
      const digest = sha256(reference);
      const row = await database.one<KeptRow>(selectRequest(useBy(digest, sessionId)));
      // RFC 9126 §2.2: "MUST be bound to the client that posted the authorization request".
      if (row === undefined || row.client_id !== clientId) return undefined;
      const isPushed = row.pushed === 1;
      return {
        uri,
        digest,
        clientId,
        pairs: JSON.parse(row.parameters) as Pairs,
        isPushed,
        askedAt: isPushed ? undefined : row.created_at,
        continuedBy: row.continued_by === null ? undefined : idFromBytes(row.continued_by),
      };
    },

    /** Uses it up, for a session; in the transaction of what it is used for. */
    async spendIn(tx: Transaction, digest: Buffer, sessionId: Id): Promise<boolean> {
      return (await tx.run(spend(digest, sessionId))) === 1;
    },

    /** For good. */
    async spend(digest: Buffer): Promise<boolean> {
      const [spent] = await database.batch([spend(digest)]);
      return spent?.changes === 1;
    },

    async continueAs(digest: Buffer, sessionId: Id): Promise<void> {
      await database.batch([updateContinued(digest, { sessionId, now: clock.now() })]);
    },

    async deletePast(): Promise<void> {
      const now = clock.now();
      await deleteInSlices(database, (rows) => deleteRequestsBefore(now, rows));
    },
  };
}
