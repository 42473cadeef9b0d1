import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { Endpoint } from "../http/endpoint.ts";
import { isId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Session } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { sessionsReply } from "./schemas.ts";

const iso = (milliseconds: number) => new Date(milliseconds).toISOString();

function shownSession(session: Session, current: Session) {
  return {
    id: session.id,
    current: session.id === current.id,
    client: session.clientId,
    kind: session.kind,
    device: session.device,
    ip: session.ip,
    userAgent: session.userAgent,
    createdAt: iso(session.createdAt),
    lastUsedAt: iso(session.lastUsedAt),
    expiresAt: iso(session.idleEndsAt),
  };
}

/** The devices of a user: GET /sessions, DELETE /sessions/:id, DELETE /sessions. */
export function sessionEndpoints({ sessions }: { sessions: Sessions }): Endpoint[] {
  return [
    {
      method: "GET",
      path: "/sessions",
      summary: "The user's sessions that are not over, the newest first",
      access: "user",
      query: { before: { about: "`next` of the page before" } },
      success: { status: 200, about: "A page of at most 100 sessions", schema: sessionsReply },
      refusals: [],
      async handle({ session, query }) {
        const { before } = query;
        if (before !== undefined && !isId(before)) {
          throw new Refusal("invalid_request", {
            description: "before takes the `next` of the page before.",
          });
        }
        const page = await sessions.list({ userId: session.userId, alive: true, ...(before && { before }) });
        const next = page.length === limits.pageRowsMax ? page.at(-1)?.id : undefined;
        return { status: 200, json: { sessions: page.map((one) => shownSession(one, session)), next } };
      },
    },
    {
      method: "DELETE",
      path: "/sessions/:id",
      summary: "Ends one of the user's sessions",
      access: "user",
      success: { status: 204, about: "It is over; guards hear of it at once" },
      refusals: ["unknown_session"],
      async handle({ session, path, ip }) {
        const target = isId(path.id) ? await sessions.find(path.id) : undefined;
        // Somebody else's session and none at all are told alike.
        if (target === undefined || target.userId !== session.userId) throw new Refusal("unknown_session");
        const reason = target.id === session.id ? "signed_out" : "ended_by_user";
        await sessions.end(target.id, { actor: "user", reason, ip });
        return { status: 204 };
      },
    },
    {
      method: "DELETE",
      path: "/sessions",
      summary: "Ends all of the user's other sessions",
      access: "user",
      success: { status: 200, about: "How many were ended", schema: z.object({ ended: z.int() }) },
      refusals: [],
      async handle({ session, ip }) {
        const by = { actor: "user", reason: "ended_by_user", ip, except: session.id } as const;
        return { status: 200, json: { ended: await sessions.endAllOfUser(session.userId, by) } };
      },
    },
  ];
}
