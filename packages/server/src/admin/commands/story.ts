import type { Audit } from "../../audit/audit.ts";
import type { StoredAuditEvent } from "../../audit/events.ts";
import { type Id, isId } from "../../primitives/id.ts";
import type { User } from "../../users/user.ts";
import type { Users } from "../../users/users.ts";
import { type Page, readRows } from "./pages.ts";
import type { UnknownUser } from "./users.ts";

export interface StoryRooms {
  readonly users: Pick<Users, "find">;
  readonly audit: Pick<Audit, "list">;
}

export type StoryTold =
  | {
      readonly outcome: "told";
      /** Undefined for a user who is removed: the audit log keeps the id. */
      readonly user: User | undefined;
      readonly userId: Id;
      /** The oldest first. */
      readonly events: readonly StoredAuditEvent[];
      /** Where the page before these begins. */
      readonly next: Id | undefined;
    }
  | UnknownUser;

/** What happened to a user and what they did: the newest page of it, in the order in which it happened. */
export async function tellStory(rooms: StoryRooms, name: string, page: Page = {}): Promise<StoryTold> {
  const user = await rooms.users.find(name);
  const userId = user?.id ?? (isId(name) ? name : undefined);
  if (userId === undefined) return { outcome: "unknown_user" };
  const { rows, next } = await readRows(page, (before) =>
    rooms.audit.list({ userId, ...(before !== undefined && { before: before as Id }) }),
  );
  if (user === undefined && rows.length === 0) return { outcome: "unknown_user" };
  return { outcome: "told", user, userId, events: rows.reverse(), next: next as Id | undefined };
}
