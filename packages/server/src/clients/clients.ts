import { insertEvent } from "../audit/audit.sql.ts";
import type { Actor, AuditEventType } from "../audit/events.ts";
import type { Clock } from "../primitives/clock.ts";
import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import { newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes, randomSecret } from "../primitives/random.ts";
import type { Database } from "../storage/database.ts";
import { isUniqueViolation } from "../storage/statement-failed.ts";
import type { Client, ClientMetadata, ClientOrigin, ClientType } from "./client.ts";
import { type ClientMetadataInput, checkClientMetadata, type MetadataChecked } from "./client-metadata.ts";
import {
  type ClientRow,
  clientChangedAt,
  clientExists,
  clientHasSecret,
  deleteClient,
  deleteResources,
  insertClient,
  insertResources,
  selectClient,
  selectClients,
  updateClient,
  updateSecret,
} from "./clients.sql.ts";

export interface NewClient {
  readonly name: string;
  /** Default: made of the name and a few random characters. */
  readonly id?: string | undefined;
  readonly type: ClientType;
  readonly metadata?: ClientMetadataInput | undefined;
}

/** What is left out stays as it is. */
export interface ClientUpdate {
  readonly name?: string | undefined;
  readonly metadata?: ClientMetadataInput | undefined;
}

export interface By {
  readonly actor: Actor;
  readonly ip?: string | undefined;
}

interface InvalidClient {
  readonly outcome: "invalid";
  /** `id`, `name`, or a member of the metadata. */
  readonly field: string;
  readonly problem: string;
}

export type ClientAdded =
  /** The secret is shown this once; only its digest is kept. Undefined: the client authenticates in another way. */
  | { readonly outcome: "added"; readonly client: Client; readonly secret: string | undefined }
  | { readonly outcome: "id_taken" }
  /** One of its resources is another client's. */
  | { readonly outcome: "resource_taken" }
  | InvalidClient;

export type ClientUpdated =
  | { readonly outcome: "updated"; readonly client: Client }
  | { readonly outcome: "unknown_client" }
  | { readonly outcome: "resource_taken" }
  | InvalidClient;

export type Clients = ReturnType<typeof createClients>;

/** What the first-party API calls itself in tokens and sessions. */
const RESERVED: ReadonlySet<string> = new Set(["first-party"]);
const ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** The id of a client whose metadata is a document at that very address. */
const DOCUMENT_ID = /^https:\/\/[\x21-\x7e]{1,500}$/;
const NOT_IN_A_NAME = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
/** `kts_`, for scanners that look for leaked secrets, and 32 random bytes. Enough entropy to need no slow hash. */
const SECRET_PREFIX = "kts_";
const SECRET_LENGTH = SECRET_PREFIX.length + 43;

/** Applications that ask for tokens, and APIs that accept them. */
export function createClients({ database, clock }: { database: Database; clock: Clock }) {
  // What an unknown client's secret is compared with, so that the work is the same.
  const noDigest = Buffer.from(randomBytes(32));

  function event(type: AuditEventType, clientId: string, { by, at }: { by: By; at: number }) {
    return { id: newId(at), at, event: { type, actor: by.actor, clientId, ip: by.ip } };
  }

  async function find(id: string): Promise<Client | undefined> {
    const row = await database.one<ClientRow>(selectClient(isIdOfClient(id) ? id : ""));
    return row === undefined ? undefined : fromRow(row);
  }

  async function insert(row: ClientRow, { metadata, by }: { metadata: ClientMetadata; by: By }) {
    const { id, created_at: at } = row;
    const isOurs = clientChangedAt(id, at);
    try {
      const [inserted] = await database.batch([
        insertClient(row),
        insertEvent({ ...event("client.added", id, { by, at }), onlyIf: isOurs }),
        ...resourceStatements(id, metadata, at),
      ]);
      return inserted?.changes === 1 ? "added" : "id_taken";
    } catch (error) {
      if (isUniqueViolation(error)) return "resource_taken";
      throw error;
    }
  }

  return {
    find,

    async add(input: NewClient, by: By, origin: ClientOrigin = "operator"): Promise<ClientAdded> {
      const name = input.name.trim().normalize("NFC");
      if (!isName(name)) return invalidName();
      const id = input.id ?? idFrom(name);
      if (!ID.test(id)) {
        const problem = "An id has 1 to 64 of a-z 0-9 . _ - and begins with a letter or a digit.";
        return { outcome: "invalid", field: "id", problem };
      }
      if (RESERVED.has(id)) return { outcome: "id_taken" };
      const byOperator = origin === "operator" || origin === "settings";
      const checked = checkClientMetadata({ type: input.type, input: input.metadata ?? {}, byOperator });
      if (checked.outcome === "invalid") return checked;
      const { metadata } = checked;
      const secret = needsSecret(metadata) ? randomSecret(SECRET_PREFIX) : undefined;
      const now = clock.now();
      const row: ClientRow = {
        id,
        name,
        type: input.type,
        secret_digest: secret === undefined ? null : sha256(secret),
        metadata: JSON.stringify(metadata),
        origin,
        registration_digest: null,
        last_used_at: null,
        expires_at: null,
        created_at: now,
        updated_at: now,
      };
      const outcome = await insert(row, { metadata, by });
      return outcome === "added" ? { outcome, client: fromRow(row), secret } : { outcome };
    },

    /** Changes what a client says of itself; its grants and sessions go on. */
    async update(id: string, change: ClientUpdate, by: By): Promise<ClientUpdated> {
      const client = await find(id);
      if (client === undefined) return { outcome: "unknown_client" };
      const name = (change.name ?? client.name).trim().normalize("NFC");
      if (!isName(name)) return invalidName();
      const input = { ...definedMembers(client.metadata), ...change.metadata };
      const checked = checkClientMetadata({ type: client.type, input, byOperator: true });
      if (checked.outcome === "invalid") return checked;
      const { metadata } = checked;
      const at = clock.now();
      const row = { id, name, type: client.type, metadata: JSON.stringify(metadata), expiresAt: null, at };
      try {
        const [updated] = await database.batch([
          updateClient(row),
          insertEvent({ ...event("client.changed", id, { by, at }), onlyIf: clientChangedAt(id, at) }),
          deleteResources(id),
          ...resourceStatements(id, metadata, at),
        ]);
        if (updated?.changes !== 1) return { outcome: "unknown_client" };
      } catch (error) {
        if (isUniqueViolation(error)) return { outcome: "resource_taken" };
        throw error;
      }
      return { outcome: "updated", client: { ...client, name, metadata, updatedAt: at } };
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
      const at = clock.now();
      const results = await database.batch([
        insertEvent({ ...event("client.removed", id, { by, at }), onlyIf: clientExists(id) }),
        deleteResources(id),
        deleteClient(id),
      ]);
      return results[2]?.changes === 1;
    },

    /** A new secret in place of the old one, which is refused from then on. Undefined when there is no such client. */
    async newSecret(id: string, by: By): Promise<string | undefined> {
      if (!isIdOfClient(id)) return undefined;
      const secret = randomSecret(SECRET_PREFIX);
      const digest = sha256(secret);
      const at = clock.now();
      const [updated] = await database.batch([
        updateSecret({ id, digest, at }),
        insertEvent({
          ...event("client.secret_changed", id, { by, at }),
          onlyIf: clientHasSecret(id, digest),
        }),
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

function resourceStatements(id: string, { keyturn_resources: resources }: ClientMetadata, at: number) {
  return resources.length === 0 ? [] : [insertResources(id, resources, clientChangedAt(id, at))];
}

export const needsSecret = ({ token_endpoint_auth_method: method }: ClientMetadata): boolean =>
  method === "client_secret_basic" || method === "client_secret_post";

function invalidName(): InvalidClient {
  const problem = `A name has 1 to ${limits.nameCharactersMax} characters, without line breaks or control characters.`;
  return { outcome: "invalid", field: "name", problem };
}

/** Keeps from the engine what it might refuse or read differently: NULs, lone surrogates, a megabyte. */
function isIdOfClient(id: string): boolean {
  return ID.test(id) || DOCUMENT_ID.test(id);
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

const definedMembers = (metadata: ClientMetadata): ClientMetadataInput =>
  JSON.parse(JSON.stringify(metadata));

function fromRow(row: ClientRow): Client {
  const type = row.type as ClientType;
  return {
    id: row.id,
    name: row.name,
    type,
    origin: row.origin as ClientOrigin,
    metadata: row.metadata === "{}" ? metadataBefore(type) : JSON.parse(row.metadata),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    expiresAt: row.expires_at ?? undefined,
  };
}

/** Of a client that was added before clients had metadata: an API. */
function metadataBefore(type: ClientType): ClientMetadata {
  const checked: MetadataChecked = checkClientMetadata({ type, input: {}, byOperator: true });
  if (checked.outcome === "invalid")
    throw new Error(`Bug in Keyturn: the defaults of a ${type} are not good`);
  return checked.metadata;
}
