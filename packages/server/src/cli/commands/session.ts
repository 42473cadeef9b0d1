import {
  explainSession,
  listSessions,
  type OwnedSession,
  revokeAllSessions,
  revokeSession,
  revokeSessions,
  showSession,
} from "../../admin/commands/sessions.ts";
import type { Rooms } from "../../app-rooms.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, type Refused, refused, WrongUsage } from "../outcome.ts";
import { isoTime, readableTime, record, table } from "../terminal.ts";
import { type ListOptions, moreNote, pageFromId } from "./list-options.ts";

export interface SessionListOptions extends ListOptions {
  readonly user?: string;
  readonly all?: boolean;
}

export function list(context: Context, options: SessionListOptions): Promise<Outcome> {
  const { user, all = false } = options;
  return inSessionRooms(context, async (rooms) => {
    const listed = await listSessions(rooms, { user, all, ...pageFromId(options) });
    if (listed.outcome !== "listed") return unknownUser(user);
    const headings = ["SESSION", "USER", "CLIENT", "DEVICE", "ADDRESS", "LAST USED", all ? "STATE" : "ENDS"];
    return {
      outcome: "done",
      json: { sessions: listed.sessions.map(shownSession), next: listed.next ?? null },
      text: table(
        headings,
        listed.sessions.map((one) => row(one, all)),
      ),
      ...moreNote(listed.next),
    };
  });
}

export function show(context: Context, id: string): Promise<Outcome> {
  return inSessionRooms(context, async (rooms) => {
    const found = await showSession(rooms, id);
    if (found.outcome !== "found") return unknownSession(id);
    return { outcome: "done", json: { session: shownSession(found) }, text: record(sessionFields(found)) };
  });
}

export interface RevokeOptions {
  readonly user?: string;
  readonly client?: string;
  readonly everybody?: boolean;
}

export function revoke(context: Context, id: string | undefined, options: RevokeOptions): Promise<Outcome> {
  const { user, client, everybody } = options;
  if ([id, user, client, everybody].filter((one) => one !== undefined).length !== 1) {
    throw new WrongUsage(
      "Say which: keyturn session revoke SID, or --user NAME, --client ID or --everybody.",
    );
  }
  return inSessionRooms(context, (rooms) => {
    if (id !== undefined) return revokeOne(rooms, id);
    return user === undefined ? revokeMany(rooms, client) : revokeAll(rooms, user);
  });
}

async function revokeMany(rooms: SessionRooms, clientId: string | undefined): Promise<Outcome> {
  const { count } = await revokeAllSessions(rooms, { clientId });
  const whose = clientId === undefined ? "of everybody" : `of the client ${clientId}`;
  return {
    outcome: "done",
    json: { outcome: "revoked", client: clientId ?? null, count },
    text: `${count === 1 ? "1 session" : `${count} sessions`} ${whose} ended.`,
  };
}

async function revokeOne(rooms: SessionRooms, id: string): Promise<Outcome> {
  const revoked = await revokeSession(rooms, id);
  if (revoked.outcome === "unknown_session") return unknownSession(id);
  const count = revoked.outcome === "revoked" ? 1 : 0;
  return {
    outcome: "done",
    json: { outcome: revoked.outcome, session: revoked.session.id, count },
    text: count === 1 ? `The session ${revoked.session.id} is ended.` : "That session was over already.",
  };
}

async function revokeAll(rooms: SessionRooms, name: string): Promise<Outcome> {
  const revoked = await revokeSessions(rooms, name);
  if (revoked.outcome === "unknown_user") return unknownUser(name);
  const { count, user } = revoked;
  return {
    outcome: "done",
    json: { outcome: "revoked", user: user.id, count },
    text: `${count === 1 ? "1 session" : `${count} sessions`} of ${user.username} ended.`,
  };
}

export function explain(context: Context, id: string): Promise<Outcome> {
  return inSessionRooms(context, async (rooms) => {
    const explained = await explainSession(rooms, id);
    if (explained.outcome !== "explained") return unknownSession(id);
    const { state, summary, moments } = explained.explanation;
    const lines = table(
      ["WHEN", "WHAT"],
      moments.map(({ at, text }) => [readableTime(at), text]),
    );
    return {
      outcome: "done",
      json: {
        session: shownSession(explained),
        state,
        summary,
        moments: moments.map(({ at, text }) => ({ at: isoTime(at), text })),
      },
      text: `${record({ session: explained.session.id, user: ownerOf(explained) })}\n\n${summary}\n\n${lines}`,
    };
  });
}

type SessionRooms = Parameters<typeof listSessions>[0];

function inSessionRooms(context: Context, work: (rooms: SessionRooms) => Promise<Outcome>): Promise<Outcome> {
  return inRooms(context, ({ users, sessions, audit, database }: Rooms) =>
    work({ users, sessions, audit, clock: database.clock }),
  );
}

/** Of a client that acts for itself there is no user. */
const ownerOf = ({ user, session }: OwnedSession) =>
  user?.username ?? (session.kind === "service" ? "(the client itself)" : session.userId);

function stateOf({ session, isOver }: OwnedSession): string {
  return session.endReason ?? (isOver ? "expired" : "alive");
}

function row(one: OwnedSession, all: boolean): string[] {
  const { session } = one;
  return [
    session.id,
    ownerOf(one),
    session.clientId,
    session.device ?? "",
    session.ip ?? "",
    readableTime(session.lastUsedAt),
    all ? stateOf(one) : readableTime(session.idleEndsAt),
  ];
}

function sessionFields(one: OwnedSession) {
  const { session } = one;
  return {
    session: session.id,
    user: ownerOf(one),
    client: session.clientId,
    state: stateOf(one),
    device: session.device,
    address: session.ip,
    "user agent": session.userAgent,
    "signed in": `${readableTime(session.createdAt)} (${session.amr.join(" ")})`,
    "last used": readableTime(session.lastUsedAt),
    turns: String(session.generation),
    ended: session.revokedAt === undefined ? undefined : readableTime(session.revokedAt),
    "ends unused": session.revokedAt === undefined ? readableTime(session.idleEndsAt) : undefined,
    "ends at last": session.revokedAt === undefined ? readableTime(session.expiresAt) : undefined,
  };
}

/** A session in JSON; what is not there is null. */
export function shownSession(one: OwnedSession) {
  const { session, user } = one;
  return {
    id: session.id,
    userId: session.userId,
    username: user?.username ?? null,
    client: session.clientId,
    state: stateOf(one),
    device: session.device ?? null,
    ip: session.ip ?? null,
    userAgent: session.userAgent ?? null,
    scope: session.scope,
    amr: session.amr,
    generation: session.generation,
    createdAt: isoTime(session.createdAt),
    lastUsedAt: isoTime(session.lastUsedAt),
    idleEndsAt: isoTime(session.idleEndsAt),
    expiresAt: isoTime(session.expiresAt),
    endedAt: isoTime(session.revokedAt),
  };
}

function unknownSession(id: string): Refused {
  return refused(
    "unknown_session",
    `There is no session ${id}; keyturn session list --all shows those that are kept.`,
  );
}

function unknownUser(name: string | undefined): Refused {
  return refused("unknown_user", `There is no user ${name}; give an id, a username or an e-mail address.`);
}
