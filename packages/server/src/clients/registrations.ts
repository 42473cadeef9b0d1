import type { Clock } from "../primitives/clock.ts";
import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes, randomSecret } from "../primitives/random.ts";
import type { Client } from "./client.ts";
import { randomClientId } from "./client-ids.ts";
import { type InvalidMetadata, invalidMetadata } from "./client-metadata.ts";
import { type ClientRecords, clientFromRow } from "./client-records.ts";
import type { ClientRow } from "./clients.sql.ts";
import { needsSecret, newClientSecret, secretAfter } from "./clients.ts";
import { type FetchDocument, sectorProblem } from "./sectors.ts";
import { isAnother, readStranger, type Stranger } from "./strangers.ts";

/** For scanners that look for leaked secrets. */
const TOKEN_PREFIX = "ktr_";
const TOKEN_LENGTH = TOKEN_PREFIX.length + 43;
const RETRIES = 5;

export interface Registered {
  readonly outcome: "registered";
  readonly client: Client;
  /** Undefined: it authenticates in another way, or keeps the one that it has. */
  readonly secret: string | undefined;
}

export type Registration =
  | (Registered & {
      /** RFC 7592 §3: by which the client reads, changes and deletes its registration. */
      readonly token: string;
    })
  | InvalidMetadata
  /** RFC 7591 §3.2.2. */
  | { readonly outcome: "unapproved_software_statement" };

export type Replaced =
  | Registered
  | InvalidMetadata
  | { readonly outcome: "unapproved_software_statement" }
  /** Deleted meanwhile. */
  | { readonly outcome: "unknown_client" };

type Input = Readonly<Record<string, unknown>>;

export type Registrations = ReturnType<typeof createRegistrations>;

interface Dependencies {
  readonly records: ClientRecords;
  readonly clock: Clock;
  readonly fetchDocument: FetchDocument;
  readonly settings: { readonly registrationScopes?: readonly string[] | undefined };
}

/** Clients that register themselves, RFC 7591, and look after their registration, RFC 7592. */
export function createRegistrations({ records, clock, fetchDocument, settings }: Dependencies) {
  const noDigest = Buffer.from(randomBytes(32));

  async function read(input: Input, vouched: boolean): Promise<Stranger | Exclude<Registration, Registered>> {
    // RFC 7591 §3.1.1: who trusts nobody's statements must not let a client think that one counted.
    if (input.software_statement !== undefined && input.software_statement !== null)
      return { outcome: "unapproved_software_statement" };
    const stranger = readStranger(input, {
      vouched,
      defaultMethod: "client_secret_basic",
      scopes: settings.registrationScopes,
    });
    if (stranger.outcome === "invalid") return stranger;
    return (await sectorProblem(stranger.metadata, fetchDocument)) ?? stranger;
  }

  async function rowFor(id: string, token: string): Promise<ClientRow | undefined> {
    const row = await records.findRow(id);
    const digest = sha256(token.slice(0, TOKEN_LENGTH + 1));
    return equalBytes(digest, row?.registration_digest ?? noDigest) ? row : undefined;
  }

  return {
    /** @param by.vouched whether the caller has the operator's initial access token */
    async register(input: Input, by: { ip: string | undefined; vouched: boolean }): Promise<Registration> {
      const stranger = await read(input, by.vouched);
      if (stranger.outcome !== "good") return stranger;
      const { type, metadata } = stranger;
      const id = randomClientId();
      const secret = needsSecret(metadata) ? newClientSecret() : undefined;
      const token = randomSecret(TOKEN_PREFIX);
      const added = await records.insert(
        {
          id,
          name: stranger.name ?? nameFrom(metadata.client_uri ?? metadata.redirect_uris[0]) ?? id,
          type,
          origin: "dynamic",
          metadata,
          secretDigest: secret === undefined ? undefined : sha256(secret),
          registrationDigest: sha256(token),
          expiresAt: clock.now() + limits.clientNeverUsedSeconds * 1000,
        },
        { actor: "system", ip: by.ip },
      );
      if (added.outcome !== "added")
        throw new Error(`Bug in Keyturn: a random client id is ${added.outcome}`);
      return { outcome: "registered", client: added.client, secret, token };
    },

    /** The client whose registration access token this is: with the same work for any other. */
    async find(id: string, token: string): Promise<Client | undefined> {
      const row = await rowFor(id, token);
      return row === undefined ? undefined : clientFromRow(row);
    },

    /**
     * RFC 7592 §2.2: "This request MUST include all client metadata fields as returned to the client from a previous
     * registration"; what is left out goes. What it was vouched for at first it may go on to be.
     */
    async replace(
      id: string,
      input: Input,
      presented: { token: string; ip: string | undefined },
    ): Promise<Replaced> {
      const { token, ip } = presented;
      for (let tries = 0; tries < RETRIES; tries++) {
        const row = await rowFor(id, token);
        if (row === undefined) return { outcome: "unknown_client" };
        const before = clientFromRow(row);
        const wrong = idOrSecretProblem(input, row);
        if (wrong !== undefined) return wrong;
        const stranger = await read(input, before.metadata.grant_types.includes("client_credentials"));
        if (stranger.outcome !== "good") return stranger;
        const { type, metadata } = stranger;
        const name = stranger.name ?? before.name;
        const secret = needsSecret(metadata) && row.secret_digest === null ? newClientSecret() : undefined;
        const secretDigest = secretAfter(metadata, secret);
        const forgetsConsents = isAnother(before, { name, metadata });
        const to = { name, type, metadata, secretDigest, forgetsConsents };
        const updated = await records.rewrite(row, to, { actor: "system", ip });
        if (updated.outcome === "updated") return { outcome: "registered", client: updated.client, secret };
      }
      throw new Error("A registration was changed again and again");
    },

    /** RFC 7592 §2.3. False when the token opens none. */
    async remove(id: string, presented: { token: string; ip: string | undefined }): Promise<boolean> {
      const row = await rowFor(id, presented.token);
      return row !== undefined && records.remove(id, { actor: "system", ip: presented.ip });
    },
  };
}

/** RFC 7592 §2.2: members that name the client must be its own; those that the server makes must not be sent. */
function idOrSecretProblem(input: Input, row: ClientRow): InvalidMetadata | undefined {
  if (input.client_id !== row.id)
    return invalidMetadata({ field: "client_id", problem: "must be this client's" });
  for (const field of [
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
  ]) {
    if (input[field] !== undefined) return invalidMetadata({ field, problem: "must not be sent" });
  }
  const { client_secret: secret } = input;
  if (secret === undefined || secret === null) return undefined;
  // "the value of this field MUST match the currently issued client secret for that client."
  const isOwn =
    typeof secret === "string" && row.secret_digest !== null && equalBytes(sha256(secret), row.secret_digest);
  return isOwn ? undefined : invalidMetadata({ field: "client_secret", problem: "must be this client's" });
}

/** What people can be shown when a client has no name: where it is. */
export function nameFrom(uri: string | undefined): string | undefined {
  const host = uri === undefined ? undefined : URL.parse(uri)?.host;
  return host === "" ? undefined : host;
}
