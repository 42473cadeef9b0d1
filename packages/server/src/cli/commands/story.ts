import { tellStory } from "../../admin/commands/story.ts";
import type { StoredAuditEvent } from "../../audit/events.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, refused } from "../outcome.ts";
import { isoTime, readableTime, table } from "../terminal.ts";
import { type ListOptions, pageFromId } from "./list-options.ts";

export function story(context: Context, name: string, options: ListOptions): Promise<Outcome> {
  const page = pageFromId(options);
  return inRooms(context, async (rooms) => {
    const told = await tellStory(rooms, name, page);
    if (told.outcome !== "told") {
      return refused(
        "unknown_user",
        `There is no user ${name}; give an id, a username or an e-mail address.`,
      );
    }
    const { user, userId, events, next } = told;
    return {
      outcome: "done",
      json: {
        user: { id: userId, username: user?.username ?? null },
        events: events.map(shownEvent),
        next: next ?? null,
      },
      text: table(
        ["WHEN", "WHAT", "BY", "FROM", ""],
        events.map((event) => [
          readableTime(event.at),
          event.type,
          event.actor,
          event.ip ?? "",
          facts(event.detail),
        ]),
      ),
      ...(next !== undefined && {
        note: `There is more before that: add --from ${next}, or a larger --limit.`,
      }),
    };
  });
}

/** An event in JSON; what is not there is null. */
function shownEvent({ id, at, type, actor, sessionId, clientId, ip, detail }: StoredAuditEvent) {
  return {
    id,
    at: isoTime(at),
    type,
    actor,
    session: sessionId ?? null,
    client: clientId ?? null,
    ip: ip ?? null,
    detail: detail ?? {},
  };
}

const facts = (detail: StoredAuditEvent["detail"] = {}) =>
  Object.entries(detail)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
