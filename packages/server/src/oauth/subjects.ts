import { createSecretKey, type KeyObject } from "node:crypto";
import type { Client } from "../clients/client.ts";
import { assert } from "../primitives/assert.ts";
import { hmacSha256 } from "../primitives/digest.ts";
import type { Database } from "../storage/database.ts";
import { selectSalt } from "./subjects.sql.ts";

export type Subjects = ReturnType<typeof createSubjects>;

/**
 * What a client calls a user: OpenID Connect Core §8. `public`: the user's id. `pairwise`: another one for each sector,
 * so that two of them cannot find out by it that they serve the same person (§8.1: "MUST NOT be reversible by any party
 * other than the OpenID Provider"; the same for all clients of a sector).
 */
export function createSubjects({ database }: { database: Database }) {
  let key: KeyObject | undefined;

  return {
    /** Reads the salt, which never changes. */
    async start(): Promise<void> {
      const row = await database.one<{ salt: Uint8Array }>(selectSalt());
      assert(row, "the database has no salt for pairwise subjects");
      key = createSecretKey(row.salt);
    },

    of(client: Pick<Client, "id" | "metadata">, userId: string): string {
      if (client.metadata.subject_type === "public") return userId;
      assert(key, "start() was not awaited");
      return hmacSha256(key, `${sectorOf(client)}\n${userId}`).toString("base64url");
    },
  };
}

/** §8.1: the host of sector_identifier_uri, else that of the registered redirect URIs, which is one (client-metadata). */
function sectorOf({ id, metadata }: Pick<Client, "id" | "metadata">): string {
  const uri = metadata.sector_identifier_uri ?? metadata.redirect_uris[0];
  const host = uri === undefined ? undefined : URL.parse(uri)?.host;
  return host === undefined || host === "" ? id : host;
}
