import type { RevocationEntry } from "./revocations.ts";

/** What a feed says: everything that is still alive, or one thing more. */
export type FeedEvent =
  | { readonly type: "snapshot"; readonly seq: number; readonly entries: readonly RevocationEntry[] }
  | { readonly type: "revocation"; readonly entry: RevocationEntry };

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isTime = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isId = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= 256;

function readEntry(value: unknown): RevocationEntry {
  const { seq, session, client, all, before, until, soft } = (value ?? {}) as Record<string, unknown>;
  const named = [isId(session), isId(client), all === true].filter(Boolean).length;
  const given = [session, client, all].filter((one) => one !== undefined).length;
  // An entry that cannot be applied is a token that would not be refused: better to say that the feed is broken.
  if (named !== 1 || given !== 1 || !isCount(seq) || !isTime(before) || !isTime(until)) {
    throw new Error(
      "the feed sent an entry that this version of the guard cannot read; update @keyturn/guard",
    );
  }
  return {
    seq,
    before,
    until,
    ...(isId(session) && { session }),
    ...(isId(client) && { client }),
    ...(all === true && { all }),
    ...(soft === true && { soft }),
  };
}

/**
 * Reads one server-sent event of the feed; undefined for a type that concerns somebody else.
 *
 * @throws Error when it should be understood and is not.
 */
export function readFeedEvent(type: string, data: string): FeedEvent | undefined {
  if (type !== "snapshot" && type !== "revocation") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new Error("the feed sent an event that is not JSON", { cause });
  }
  return checkFeedEvent(type === "revocation" ? { type, entry: value } : { ...(value as object), type });
}

/** @throws Error when the event is not a feed event. */
export function checkFeedEvent(event: object): FeedEvent {
  const { type, entry, seq, entries } = event as Record<string, unknown>;
  if (type === "revocation") return { type, entry: readEntry(entry) };
  if (type !== "snapshot" || !isCount(seq) || !Array.isArray(entries)) {
    throw new Error("the feed sent a snapshot without seq or entries");
  }
  return { type, seq, entries: entries.map(readEntry) };
}
