import { listKeys, rotateKeys, withdrawKey } from "../../admin/commands/keys.ts";
import type { KeyRecord, RotateOutcome } from "../../keys/signing-key.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, refused } from "../outcome.ts";
import { isoTime, readableTime, table } from "../terminal.ts";

export function list(context: Context): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const keys = await listKeys(rooms);
    const rows = keys.map((key) => [key.id, key.algorithm, key.state, readableTime(sinceWhen(key))]);
    return {
      outcome: "done",
      json: { keys: keys.map(shownKey) },
      text: table(["KEY", "ALGORITHM", "STATE", "SINCE"], rows),
    };
  });
}

/** Exit code 1 when an algorithm's key was not rotated because verifiers may not know the next one yet. */
export function rotate(context: Context, { now = false }: { now?: boolean }): Promise<Outcome> {
  return inRooms(context, async (rooms): Promise<Outcome> => {
    const outcomes = await rotateKeys(rooms, { now });
    if (outcomes.length === 0)
      return refused("no_keys", "There are no keys yet; the first start of the server makes them.");
    const json = outcomes.map((one) =>
      one.outcome === "not_ready" ? { ...one, readyAt: isoTime(one.readyAt) } : one,
    );
    const isDone = outcomes.every((one) => one.outcome === "rotated" || one.outcome === "rotated_elsewhere");
    return {
      outcome: "done",
      json: { keys: json },
      text: outcomes.map((one) => `${one.algorithm}: ${told(one)}`).join("\n"),
      exitCode: isDone ? 0 : 1,
    };
  });
}

export function withdraw(context: Context, id: string): Promise<Outcome> {
  return inRooms(context, async (rooms): Promise<Outcome> => {
    const withdrawn = await withdrawKey(rooms, id);
    switch (withdrawn.outcome) {
      case "unknown_key":
        return refused("unknown_key", `There is no key ${id}; keyturn key list shows them.`);
      case "still_needed":
        return refused(
          "key_in_use",
          `The key is the ${withdrawn.state} one; keyturn key rotate --now lets another sign, ${withdrawn.state === "next" ? "twice until this one signs no more" : "then withdraw it"}.`,
        );
      case "withdrawn":
      case "withdrawn_already":
        return {
          outcome: "done",
          json: { outcome: withdrawn.outcome, key: id },
          text:
            withdrawn.outcome === "withdrawn"
              ? "The key is published no more. Restart guards in other processes, so that they forget it now."
              : "That key was published no more already.",
        };
    }
  });
}

function told(one: RotateOutcome): string {
  switch (one.outcome) {
    case "rotated":
      return `${one.to} signs now, ${one.next} is next; ${one.from} is published until its last token has expired.`;
    case "not_ready":
      return `not rotated: verifiers may not know the next key until ${readableTime(one.readyAt)}. Try again then; --now does not wait, and some verifiers will fail for a while.`;
    case "rotated_elsewhere":
      return "another process rotated it at this moment.";
    case "not_in_use":
      return "not in use.";
  }
}

const sinceWhen = (key: KeyRecord) => key.retiredAt ?? key.retiringAt ?? key.currentAt ?? key.createdAt;

function shownKey(key: KeyRecord) {
  return {
    id: key.id,
    algorithm: key.algorithm,
    state: key.state,
    createdAt: isoTime(key.createdAt),
    currentAt: isoTime(key.currentAt),
    retiringAt: isoTime(key.retiringAt),
    retiredAt: isoTime(key.retiredAt),
  };
}
