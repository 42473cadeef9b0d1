import sql, { type Sql } from "sql-template-tag";
import { type Id, idToBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";

/** `client`, spelled as the rows have it: ../sessions/session.ts. */
const ofClients = sql`s.kind = 'client'`;

/**
 * Who is to be told of the sessions that this act has ended: their clients, where they have an address for it. The
 * pattern only keeps from the table what is certainly not to be told; the one who delivers reads the metadata.
 */
export function insertLogoutDeliveries(ended: { which: Sql; eventId: Id; at: number }): Sql {
  const until = ended.at + limits.logoutDeliverySecondsMax * 1000;
  return sql`
    INSERT INTO logout_deliveries (session_id, client_id, user_id, created_at, next_try_at, tries, expires_at)
    SELECT s.id, s.client_id, s.user_id, CAST(${ended.at} AS BIGINT), CAST(${ended.at} AS BIGINT), 0,
      CAST(${until} AS BIGINT)
    FROM sessions s JOIN clients c ON c.id = s.client_id
    WHERE s.id IN (SELECT id FROM sessions WHERE (${ended.which}) AND end_event = ${idToBytes(ended.eventId)})
      AND ${ofClients} AND c.metadata LIKE ${'%"backchannel_logout_uri":"%'}
    ON CONFLICT DO NOTHING`;
}
