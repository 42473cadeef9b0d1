import { insertEvent } from "../audit/audit.sql.ts";
import type { Actor, AuditEventType } from "../audit/events.ts";
import type { Clock } from "../primitives/clock.ts";
import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import { newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes, randomSecret } from "../primitives/random.ts";
import type { Database } from "../storage/database.ts";
import {
  type ClientRow,
  clientExists,
  clientHasSecret,
  deleteClient,
  insertClient,
  selectClient,
  selectClients,
  updateSecret,
} from "./clients.sql.ts";

/** What a client is: an API that accepts tokens and follows the revocation feed. */
export type ClientType = "resource";

export interface Client {
  readonly id: string;
  readonly name: string;
  readonly type: ClientType;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface NewClient {
  readonly name: string;
  /** Default: made of the name and a few random characters. */
  readonly id?: string | undefined;
  readonly type: ClientType;
}

export interface By {
  readonly actor: Actor;
  readonly ip?: string | undefined;
}

export type ClientAdded =
  /** The secret is shown this once; only its digest is kept. */
  | { readonly outcome: "added"; readonly client: Client; readonly secret: string }
  | { readonly outcome: "id_taken" }
  | { readonly outcome: "invalid"; readonly field: "id" | "name"; readonly problem: string };

export type Clients = ReturnType<typeof createClients>;

const ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const NOT_IN_A_NAME = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
/** `kts_`, for scanners that look for leaked secrets, and 32 random bytes. Enough entropy to need no slow hash. */
const SECRET_PREFIX = "kts_";
const SECRET_LENGTH = SECRET_PREFIX.length + 43;

/** Applications that hold a secret: those that ask for tokens, and APIs that accept them. */
export function createClients({ database, clock }: { database: Database; clock: Clock }) {
  // What an unknown client's secret is compared with, so that the work is the same.
  const noDigest = Buffer.from(randomBytes(32));

  function event(type: AuditEventType, clientId: string, by: By) {
    const at = clock.now();
    return { id: newId(at), at, event: { type, actor: by.actor, clientId, ip: by.ip } };
  }

  return {
    async add(input: NewClient, by: By): Promise<ClientAdded> {
      const name = input.name.trim().normalize("NFC");
      if (!isName(name)) {
        const problem = `A name has 1 to ${limits.nameCharactersMax} characters, without line breaks or control characters.`;
        return { outcome: "invalid", field: "name", problem };
      }
      const id = input.id ?? idFrom(name);
      if (!ID.test(id)) {
        const problem = "An id has 1 to 64 of a-z 0-9 . _ - and begins with a letter or a digit.";
        return { outcome: "invalid", field: "id", problem };
      }
      const secret = randomSecret(SECRET_PREFIX);
      const now = clock.now();
      const digest = sha256(secret);
      const row = { id, name, type: input.type, secret_digest: digest, created_at: now, updated_at: now };
      const [inserted] = await database.batch([
        insertClient(row),
        insertEvent({ ...event("client.added", id, by), onlyIf: clientHasSecret(id, digest) }),
      ]);
      if (inserted?.changes !== 1) return { outcome: "id_taken" };
      return { outcome: "added", client: fromRow(row), secret };
    },

    async find(id: string): Promise<Client | undefined> {
      const row = await database.one<ClientRow>(selectClient(isIdOfClient(id) ? id : ""));
      return row === undefined ? undefined : fromRow(row);
    },

    /** In the order of their ids, at most a page; `after` is the id of the last one of the page before. */
    async list(page: { after?: string; rows?: number } = {}): Promise<Client[]> {
      const rows = Math.min(page.rows ?? limits.pageRowsMax, limits.pageRowsMax);
      const after = page.after !== undefined && isIdOfClient(page.after) ? page.after : undefined;
      return (await database.all<ClientRow>(selectClients({ after, rows }))).map(fromRow);
    },

    /** False when there is none. */
    async remove(id: string, by: By): Promise<boolean> {
      if (!isIdOfClient(id)) return false;
      const results = await database.batch([
        insertEvent({ ...event("client.removed", id, by), onlyIf: clientExists(id) }),
        deleteClient(id),
      ]);
      return results[1]?.changes === 1;
    },

    /** A new secret in place of the old one, which is refused from then on. Undefined when there is no such client. */
    async newSecret(id: string, by: By): Promise<string | undefined> {
      if (!isIdOfClient(id)) return undefined;
      const secret = randomSecret(SECRET_PREFIX);
      const digest = sha256(secret);
      const [updated] = await database.batch([
        updateSecret({ id, digest, at: clock.now() }),
        insertEvent({ ...event("client.secret_changed", id, by), onlyIf: clientHasSecret(id, digest) }),
      ]);
      return updated?.changes === 1 ? secret : undefined;
    },

    /**
     * The client whose secret this is. The same look-up, digest and comparison for an unknown id as for a wrong
     * secret (RFC 6749 §2.3.1: "the authorization server MUST protect any endpoint utilizing it against brute
     * force attacks": the secret's 256 bits do).
     */
    async authenticate(id: string, secret: string): Promise<Client | undefined> {
      const row = await database.one<ClientRow>(selectClient(isIdOfClient(id) ? id : ""));
      const digest = sha256(secret.slice(0, SECRET_LENGTH + 1));
      const equal = equalBytes(digest, row?.secret_digest ?? noDigest);
      return equal && row !== undefined ? fromRow(row) : undefined;
    },
  };
}

/** Keeps from the engine what it might refuse or read differently: NULs, lone surrogates, a megabyte. */
function isIdOfClient(id: string): boolean {
  return ID.test(id);
}

function isName(name: string): boolean {
  if (name === "" || name.length > 2 * limits.nameCharactersMax || !name.isWellFormed()) return false;
  return [...name].length <= limits.nameCharactersMax && !NOT_IN_A_NAME.test(name);
}

/** "Web shop" → web-shop-3f9c1a: readable, and not taken. */
function idFrom(name: string): string {
  const ascii = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-");
  const slug = ascii.slice(0, 40).replace(/^-+|-+$/g, "");
  return `${slug || "client"}-${randomBytes(3).toString("hex")}`;
}

function fromRow(row: ClientRow): Client {
  return {
    id: row.id,
    name: row.name,
    type: row.type as ClientType,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
