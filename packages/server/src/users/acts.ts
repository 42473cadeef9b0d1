import { insertEvent } from "../audit/audit.sql.ts";
import type { AuditEvent, AuditEventType } from "../audit/events.ts";
import { type Id, newId } from "../primitives/id.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Database } from "../storage/database.ts";
import type { By } from "./user.ts";
import { userChangedAt } from "./users.sql.ts";

export type Statements = ReturnType<Sessions["endAllOfUserStatements"]>;

interface Act {
  readonly type: AuditEventType;
  readonly userId: Id;
  readonly at: number;
  readonly detail?: AuditEvent["detail"];
}

/** The event of an act on a user, only if the act (which bears the time `at`) has changed its user. */
export function eventIfChanged({ type, userId, at, detail }: Act, by: By) {
  const event = { type, actor: by.actor, userId, ip: by.ip, detail };
  return insertEvent({ id: newId(at), at, event, onlyIf: userChangedAt(userId, at) });
}

interface Dependencies {
  readonly database: Database;
  readonly sessions: Pick<Sessions, "announceEnded">;
}

/**
 * An act that may end sessions, in one transaction; whether its first statement has changed the user. The user's
 * row is changed first and stays locked: a sign-in at the same moment either is in time to have its session ended
 * here, or comes too late to start one.
 */
export async function actAndEnd(
  { database, sessions }: Dependencies,
  act: { readonly statements: Statements; readonly ending: Statements },
): Promise<boolean> {
  const { statements, ending } = act;
  const results = await database.batch([...statements, ...ending]);
  if (results.slice(statements.length).some((result) => result.changes > 0)) {
    await sessions.announceEnded();
  }
  return results[0]?.changes === 1;
}
