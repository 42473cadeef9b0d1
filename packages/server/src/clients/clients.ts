import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import { randomBytes, randomSecret } from "../primitives/random.ts";
import type { Client, ClientMetadata, ClientOrigin, ClientType } from "./client.ts";
import { clientName, idFromName, idProblem, NAME_PROBLEM } from "./client-ids.ts";
import { type ClientMetadataInput, checkClientMetadata, type InvalidMetadata } from "./client-metadata.ts";
import { type By, type ClientRecords, clientFromRow } from "./client-records.ts";
import { type FetchDocument, sectorProblem } from "./sectors.ts";

export type { By } from "./client-records.ts";

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
  /** A member that is null goes back to its default. */
  readonly metadata?:
    | { readonly [Name in keyof ClientMetadataInput]: ClientMetadataInput[Name] | null }
    | undefined;
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
  /** `secret`: a new one, for a client that had none and needs one now. */
  | { readonly outcome: "updated"; readonly client: Client; readonly secret: string | undefined }
  | { readonly outcome: "unknown_client" }
  /** Its settings file, or its document, says what it is. */
  | { readonly outcome: "said_elsewhere"; readonly origin: ClientOrigin }
  | { readonly outcome: "resource_taken" }
  | InvalidClient;

export type SecretRenewed =
  | { readonly outcome: "renewed"; readonly secret: string }
  | { readonly outcome: "unknown_client" }
  /** It authenticates by a key, or not at all. */
  | { readonly outcome: "no_secret" }
  | { readonly outcome: "said_elsewhere"; readonly origin: ClientOrigin };

export type Clients = ReturnType<typeof createClients>;

/** `kts_`, for scanners that look for leaked secrets, and 32 random bytes. Enough entropy to need no slow hash. */
const SECRET_PREFIX = "kts_";
/** No secret is longer: what a header can carry. */
const SECRET_LENGTH_MAX = 1024;
/** How often a change that lost its race begins again. */
const RETRIES = 5;

export const newClientSecret = (): string => randomSecret(SECRET_PREFIX);

interface Dependencies {
  readonly records: ClientRecords;
  readonly fetchDocument: FetchDocument;
}

/** Applications that ask for tokens, and APIs that accept them: what the operator does with them. */
export function createClients({ records, fetchDocument }: Dependencies) {
  // What an unknown client's secret is compared with, so that the work is the same.
  const noDigest = Buffer.from(randomBytes(32));

  async function checked(
    type: ClientType,
    input: unknown,
    byOperator = true,
  ): Promise<ClientMetadata | InvalidMetadata> {
    const result = checkClientMetadata({ type, input, byOperator });
    if (result.outcome === "invalid") return result;
    return (await sectorProblem(result.metadata, fetchDocument)) ?? result.metadata;
  }

  return {
    find: records.find,
    list: records.list,

    /** @param origin whose word it is: what is ours (`keyturn_`) counts from the operator and the settings only */
    async add(input: NewClient, by: By, origin: ClientOrigin = "operator"): Promise<ClientAdded> {
      const name = clientName(input.name);
      if (name === undefined) return { outcome: "invalid", field: "name", problem: NAME_PROBLEM };
      const id = input.id ?? idFromName(name);
      const wrong = idProblem(id);
      if (wrong === "taken") return { outcome: "id_taken" };
      if (wrong === "malformed") {
        const problem = "An id has 1 to 64 of a-z 0-9 . _ - and begins with a letter or a digit.";
        return { outcome: "invalid", field: "id", problem };
      }
      const byOperator = origin === "operator" || origin === "settings";
      const metadata = await checked(input.type, input.metadata ?? {}, byOperator);
      if ("outcome" in metadata) return metadata;
      const secret = needsSecret(metadata) ? newClientSecret() : undefined;
      const secretDigest = secret === undefined ? undefined : sha256(secret);
      const record = { id, name, type: input.type, origin, metadata, secretDigest };
      const added = await records.insert(record, by);
      return added.outcome === "added" ? { ...added, secret } : { outcome: added.outcome };
    },

    /** Changes what a client says of itself; its grants and sessions go on. */
    async update(id: string, change: ClientUpdate, by: By): Promise<ClientUpdated> {
      for (let tries = 0; tries < RETRIES; tries++) {
        const row = await records.findRow(id);
        if (row === undefined) return { outcome: "unknown_client" };
        const client = clientFromRow(row);
        const { origin } = client;
        if (origin === "settings" || origin === "document") return { outcome: "said_elsewhere", origin };
        const name = clientName(change.name ?? client.name);
        if (name === undefined) return { outcome: "invalid", field: "name", problem: NAME_PROBLEM };
        const metadata = await checked(client.type, withoutNulls({ ...client.metadata, ...change.metadata }));
        if ("outcome" in metadata) return metadata;
        const secret = needsSecret(metadata) && row.secret_digest === null ? newClientSecret() : undefined;
        const secretDigest = secretAfter(metadata, secret);
        const to = { name, type: client.type, metadata, secretDigest };
        const updated = await records.rewrite(row, to, by);
        if (updated.outcome === "updated") return { ...updated, secret };
        if (updated.outcome === "resource_taken") return { outcome: "resource_taken" };
      }
      throw new Error("A client was changed again and again by others");
    },

    /** With its sessions, and what people have given to it. False when there is none. */
    remove: (id: string, by: By): Promise<boolean> => records.remove(id, by),

    /** A new secret in place of the old one, which is refused from then on. */
    async newSecret(id: string, by: By): Promise<SecretRenewed> {
      const client = await records.find(id);
      if (client === undefined) return { outcome: "unknown_client" };
      if (client.origin === "settings") return { outcome: "said_elsewhere", origin: client.origin };
      if (!needsSecret(client.metadata)) return { outcome: "no_secret" };
      const secret = newClientSecret();
      const isSet = await records.setSecret(id, sha256(secret), by);
      return isSet ? { outcome: "renewed", secret } : { outcome: "unknown_client" };
    },

    /**
     * The client whose secret this is. The same look-up, digest and comparison for an unknown id as for a wrong
     * secret (RFC 6749 §2.3.1: "the authorization server MUST protect any endpoint utilizing it against brute
     * force attacks": the secret's entropy does).
     */
    async authenticate(id: string, secret: string): Promise<Client | undefined> {
      const row = await records.findRow(id);
      const digest = sha256(secret.slice(0, SECRET_LENGTH_MAX));
      const equal = equalBytes(digest, row?.secret_digest ?? noDigest);
      return equal && row !== undefined && secret.length <= SECRET_LENGTH_MAX
        ? clientFromRow(row)
        : undefined;
    },
  };
}

export const needsSecret = ({
  token_endpoint_auth_method: method,
}: Pick<ClientMetadata, "token_endpoint_auth_method">): boolean =>
  method === "client_secret_basic" || method === "client_secret_post";

/** For a rewrite: a client that keeps no secret any more must not have one that still opens something. */
export function secretAfter(
  metadata: ClientMetadata,
  made: string | undefined,
): Uint8Array | null | undefined {
  if (!needsSecret(metadata)) return null;
  return made === undefined ? undefined : sha256(made);
}

const withoutNulls = (members: object): object =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null && value !== undefined));
