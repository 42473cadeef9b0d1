import { insertEvent } from "../audit/audit.sql.ts";
import type { AuditEvent } from "../audit/events.ts";
import { newId } from "../primitives/id.ts";
import type { Sql } from "../storage/database.ts";
import { insertLogoutDeliveries } from "./logout-deliveries.sql.ts";
import { endedStatements } from "./revocations.ts";
import { endedAny, updateEnded } from "./sessions.sql.ts";

/** Why a session is over. Stored with it, told by `keyturn session explain`. */
export type EndReason =
  | "signed_out"
  | "ended_by_user"
  | "ended_by_operator"
  /** RFC 7009: the client has given its tokens back. */
  | "revoked_by_client"
  | "reused"
  /** The code that started it was used once more: RFC 6749 §4.1.2. */
  | "code_reused"
  /** Its user no longer lets the client in. */
  | "consent_withdrawn"
  /** Its holder has signed in anew, and a new session has taken its place. */
  | "replaced"
  | "password_changed"
  | "user_disabled"
  | "user_removed"
  /** The client that it was for is registered no more. */
  | "client_removed";

/**
 * What ends sessions, in one transaction: the rows, the audit event, the feed, and which clients are to be told by
 * OpenID Connect Back-Channel Logout. The first statement's `changes`
 * is how many were ended; when it is 0 the others change nothing.
 */
export function endStatements(ending: {
  which: Sql;
  at: number;
  reason: EndReason;
  event: AuditEvent;
}): [ended: Sql, ...later: Sql[]] {
  const { which, at, reason, event } = ending;
  const eventId = newId(at);
  return [
    updateEnded({ which, at, reason, eventId }),
    insertEvent({ id: eventId, at, event, onlyIf: endedAny(which, eventId) }),
    ...endedStatements({ which, eventId, at }),
    insertLogoutDeliveries({ which, eventId, at }),
  ];
}
