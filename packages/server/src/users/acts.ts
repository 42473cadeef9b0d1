import { insertEvent } from "../audit/audit.sql.ts";
import type { AuditEvent, AuditEventType } from "../audit/events.ts";
import { type Id, newId } from "../primitives/id.ts";
import { lockUser } from "../sessions/sessions.sql.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Database, Sql } from "../storage/database.ts";
import type { By } from "./user.ts";

interface Act {
  readonly type: AuditEventType;
  readonly userId: Id;
  readonly at: number;
  readonly detail?: AuditEvent["detail"];
}

export function eventOf({ type, userId, at, detail }: Act, by: By): Sql {
  const event = { type, actor: by.actor, userId, ip: by.ip, detail };
  return insertEvent({ id: newId(at), at, event });
}

interface UserAct {
  readonly userId: Id;
  /** What changes one row, or finds that there is nothing to do: then nothing follows. */
  readonly act: Sql;
  readonly follows: readonly Sql[];
}

/**
 * An act on a user, in one transaction that holds the user's row from its beginning: what the conditions see is so
 * until the end. Whether it was done.
 */
export async function actOnUser(database: Database, act: UserAct): Promise<boolean> {
  return (await inOneTransaction(database, act, [])) !== undefined;
}

/**
 * The same for an act that ends sessions. A sign-in at the same moment either is in time to have its session ended
 * here, or comes too late to start one.
 */
export async function actAndEnd(
  { database, sessions }: { database: Database; sessions: Pick<Sessions, "announceEnded"> },
  { ending, ...act }: UserAct & { readonly ending: readonly Sql[] },
): Promise<boolean> {
  const ended = await inOneTransaction(database, act, ending);
  if (ended !== undefined && ended > 0) await sessions.announceEnded();
  return ended !== undefined;
}

/** How many rows the ending changed; undefined when there was nothing to do. */
function inOneTransaction(
  database: Database,
  { userId, act, follows }: UserAct,
  ending: readonly Sql[],
): Promise<number | undefined> {
  return database.transaction(async (tx) => {
    await tx.run(lockUser(userId));
    if ((await tx.run(act)) !== 1) return undefined;
    for (const statement of follows) await tx.run(statement);
    let ended = 0;
    for (const statement of ending) ended += await tx.run(statement);
    return ended;
  });
}
