import type { Audit } from "../../audit/audit.ts";
import type { Clock } from "../../primitives/clock.ts";
import { type Id, isId } from "../../primitives/id.ts";
import { type Explanation, explainSession as explain } from "../../sessions/explain.ts";
import type { Session } from "../../sessions/session.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { By, User } from "../../users/user.ts";
import type { Users } from "../../users/users.ts";
import { type Page, readRows } from "./pages.ts";
import { operator, type UnknownUser } from "./users.ts";

/** What the operator does with sessions, by whichever door: terminal, API, console. */

export interface SessionRooms {
  readonly users: Users;
  readonly sessions: Sessions;
  readonly audit: Audit;
  readonly clock: Clock;
}

export interface UnknownSession {
  readonly outcome: "unknown_session";
}

/** A session with whose it is; undefined when that user is removed. */
export interface OwnedSession {
  readonly session: Session;
  readonly user: User | undefined;
  readonly isOver: boolean;
}

export type SessionsListed =
  | { readonly outcome: "listed"; readonly sessions: OwnedSession[]; readonly next: Id | undefined }
  | UnknownUser;

/** Sessions, the newest first: those that are alive, or all that are still kept; of one user, or of everybody. */
export async function listSessions(
  rooms: SessionRooms,
  filter: Page & { user?: string | undefined; all?: boolean } = {},
): Promise<SessionsListed> {
  const user = filter.user === undefined ? undefined : await rooms.users.find(filter.user);
  if (filter.user !== undefined && user === undefined) return { outcome: "unknown_user" };
  const { rows, next } = await readRows(filter, (before) =>
    rooms.sessions.list({
      alive: filter.all !== true,
      ...(user && { userId: user.id }),
      ...(before !== undefined && { before }),
    }),
  );
  const owners = new Map<Id, User | undefined>();
  const owned: OwnedSession[] = [];
  for (const session of rows) {
    if (!owners.has(session.userId)) {
      owners.set(session.userId, user ?? (await rooms.users.findById(session.userId)));
    }
    owned.push(ownedBy(rooms, session, owners.get(session.userId)));
  }
  return { outcome: "listed", sessions: owned, next };
}

export type SessionFound = (OwnedSession & { readonly outcome: "found" }) | UnknownSession;

export async function showSession(rooms: SessionRooms, id: string): Promise<SessionFound> {
  const session = await findSession(rooms, id);
  if (session === undefined) return { outcome: "unknown_session" };
  return { outcome: "found", ...ownedBy(rooms, session, await rooms.users.findById(session.userId)) };
}

export type SessionRevoked =
  | { readonly outcome: "revoked" | "over_already"; readonly session: Session }
  | UnknownSession;

/** Ends one session. Guards of running servers hear of it within a second. */
export async function revokeSession(rooms: SessionRooms, id: string, by = operator): Promise<SessionRevoked> {
  const session = await findSession(rooms, id);
  if (session === undefined) return { outcome: "unknown_session" };
  const wasOver = rooms.sessions.isOver(session);
  const ended = await rooms.sessions.end(id, { ...by, reason: "ended_by_operator" });
  return { outcome: ended && !wasOver ? "revoked" : "over_already", session };
}

export type SessionsRevoked =
  | { readonly outcome: "revoked"; readonly user: User; readonly count: number }
  | UnknownUser;

/** Ends all sessions of a user. Guards of running servers hear of it within a second. */
export async function revokeSessions(
  { users, sessions }: SessionRooms,
  name: string,
  by: By = operator,
): Promise<SessionsRevoked> {
  const user = await users.find(name);
  if (user === undefined) return { outcome: "unknown_user" };
  const count = await sessions.endAllOfUser(user.id, { ...by, reason: "ended_by_operator" });
  return { outcome: "revoked", user, count };
}

/**
 * Ends everybody's sessions, or all of a client. Which clients exist is not asked: sessions of one that is gone, or of
 * the first-party API (`first-party`), end like others.
 */
export async function revokeAllSessions(
  { sessions }: Pick<SessionRooms, "sessions">,
  which: { clientId?: string | undefined } = {},
  by: By = operator,
): Promise<{ readonly outcome: "revoked"; readonly count: number }> {
  const count = await sessions.endAll({ ...by, ...which, reason: "ended_by_operator" });
  return { outcome: "revoked", count };
}

export type SessionExplained =
  | (OwnedSession & { readonly outcome: "explained"; readonly explanation: Explanation })
  | UnknownSession;

/** A session's life, from its row and its audit events. */
export async function explainSession(rooms: SessionRooms, id: string): Promise<SessionExplained> {
  const session = await findSession(rooms, id);
  if (session === undefined) return { outcome: "unknown_session" };
  const { audit, users, clock } = rooms;
  const own = await audit.list({ sessionId: session.id });
  // One act may have ended many sessions: its event bears the user only, and the session points to it.
  const { endEvent } = session;
  const isMissing = endEvent !== undefined && !own.some((event) => event.id === endEvent);
  const events = isMissing ? [...own, ...(await audit.list({ id: endEvent }))] : own;
  const owned = ownedBy(rooms, session, await users.findById(session.userId));
  return { outcome: "explained", ...owned, explanation: explain(session, events, clock.now()) };
}

async function findSession({ sessions }: SessionRooms, id: string): Promise<Session | undefined> {
  const lowerCase = id.toLowerCase();
  return isId(lowerCase) ? sessions.find(lowerCase) : undefined;
}

const ownedBy = ({ sessions }: SessionRooms, session: Session, user: User | undefined): OwnedSession => ({
  session,
  user,
  isOver: sessions.isOver(session),
});
