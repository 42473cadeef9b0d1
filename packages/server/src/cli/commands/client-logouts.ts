import { listLogouts } from "../../admin/commands/logouts.ts";
import { type Context, inRooms } from "../open.ts";
import type { Outcome } from "../outcome.ts";
import { isoTime, readableTime, table } from "../terminal.ts";
import { type ListOptions, moreNote, pageFromId } from "./list-options.ts";

export function list(
  context: Context,
  { clientId, ...options }: ListOptions & { clientId?: string | undefined },
): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const { deliveries, next } = await listLogouts(rooms, { clientId, ...pageFromId(options) });
    const shown = deliveries.map((one) => ({
      sessionId: one.id,
      clientId: one.clientId,
      userId: one.userId,
      state: one.state,
      tries: one.tries,
      problem: one.problem ?? null,
      createdAt: isoTime(one.createdAt),
      nextTryAt: one.state === "waiting" ? isoTime(one.nextTryAt) : null,
    }));
    const rows = deliveries.map((one) => [
      one.id,
      one.clientId,
      one.state,
      String(one.tries),
      readableTime(one.createdAt),
      one.problem ?? "",
    ]);
    return {
      outcome: "done",
      json: { logouts: shown, next: next ?? null },
      text: table(["SESSION", "CLIENT", "STATE", "TRIES", "ENDED", "PROBLEM"], rows),
      ...moreNote(next),
    };
  });
}
