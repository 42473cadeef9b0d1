import sql, { type Sql } from "sql-template-tag";
import type { Statement } from "../storage/database.ts";
import { prepared } from "../storage/prepared.ts";
import {
  type RightsAudience,
  type RightsRow,
  rightsColumns,
  rightsParameterKinds,
  rightsParameters,
} from "./rights.sql.ts";

export interface TurnRow extends RightsRow {
  user_id: Uint8Array;
  client_id: string;
  /** When the client was changed last; null when there is none. */
  client_updated_at: number | null;
  scope: string;
  resources: string | null;
  amr: string;
  dpop_thumbprint: string | null;
  authenticated_at: number;
  last_used_at: number;
  expires_at: number;
  generation: number;
  digest: Buffer;
  recent: Buffer;
  revoked_at: number | null;
  end_reason: string | null;
}

const select = prepared(
  sql`
  SELECT s.user_id, s.client_id, s.scope, s.resources, s.amr, s.dpop_thumbprint, s.authenticated_at, s.last_used_at,
    s.expires_at, s.generation, s.digest, s.recent, s.revoked_at, s.end_reason,
    (SELECT c.updated_at FROM clients c WHERE c.id = s.client_id) AS client_updated_at, ${rightsColumns}
  FROM sessions s WHERE s.id = ${null}`,
  [...rightsParameterKinds, "bytea"],
);

/** At most one row, with what the new access token says of the user at the audience. */
export function selectForTurn(sessionId: Uint8Array, audience: RightsAudience): Statement {
  return select(...rightsParameters(audience), sessionId);
}

const update = prepared(
  sql`
  UPDATE sessions SET generation = ${null}, digest = ${null}, recent = ${null}, last_used_at = ${null}, ip = ${null}
  WHERE id = ${null} AND generation = ${null} AND digest = ${null} AND revoked_at IS NULL`,
  ["bigint", "bytea", "bytea", "bigint", "text", "bytea", "bigint", "bytea"],
);

/**
 * The turn itself. Exactly one of any number of racing requests, over any number of processes, changes the row:
 * the others find that the generation they read is gone, and read again.
 */
export function updateTurned(turned: {
  sessionId: Uint8Array;
  from: { generation: number; digest: Uint8Array };
  to: { generation: number; digest: Uint8Array; recent: Uint8Array; lastUsedAt: number; ip: string | null };
}): Statement {
  const { sessionId, from, to } = turned;
  return update(
    to.generation,
    to.digest,
    to.recent,
    to.lastUsedAt,
    to.ip,
    sessionId,
    from.generation,
    from.digest,
  );
}

export function hasDigest(sessionId: Uint8Array, digest: Uint8Array): Sql {
  return sql`EXISTS (SELECT 1 FROM sessions WHERE id = ${sessionId} AND digest = ${digest})`;
}
