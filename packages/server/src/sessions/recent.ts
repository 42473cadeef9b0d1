/** One generation that was replaced: when, under which key its successor was derived, and by which attempt. */
export interface Supersession {
  readonly generation: number;
  readonly keyId: number;
  /** Milliseconds since 1970. */
  readonly supersededAt: number;
  /** 16 bytes: a keyed digest of the client's attempt key (`Idempotency-Key`). Undefined when none was sent. */
  readonly attempt: Buffer | undefined;
}

/**
 * What a row remembers of the last replacements, as it is stored, newest first:
 * generation 4 | key id 1 | superseded at 6 | attempt digest 16 (zeros: none).
 * Nearly every turn adds one and looks at none, so nothing is taken apart before somebody asks.
 */
export type Recent = Buffer;

/** How many supersessions a row remembers. The row's size is bounded by this. */
export const RECENT_MAX = 4;

const ENTRY_BYTES = 27;
const NO_ATTEMPT = Buffer.alloc(16);

export const noneRecent: Recent = Buffer.alloc(0);

export const countRecent = (recent: Recent): number => Math.floor(recent.length / ENTRY_BYTES);

/** With one more in front, and without the oldest when they are too many. */
export function remember(newest: Supersession, recent: Recent): Recent {
  const kept = Math.min(countRecent(recent), RECENT_MAX - 1) * ENTRY_BYTES;
  const bytes = Buffer.allocUnsafe(ENTRY_BYTES + kept);
  bytes.writeUInt32BE(newest.generation, 0);
  bytes[4] = newest.keyId;
  bytes.writeUIntBE(newest.supersededAt, 5, 6);
  (newest.attempt ?? NO_ATTEMPT).copy(bytes, 11);
  recent.copy(bytes, ENTRY_BYTES, 0, kept);
  return bytes;
}

/** When and how this generation was replaced, if that is remembered. */
export function replacementOf(generation: number, recent: Recent): Supersession | undefined {
  for (let index = 0; index < countRecent(recent); index++) {
    if (recent.readUInt32BE(index * ENTRY_BYTES) === generation) return entryAt(index, recent);
  }
  return undefined;
}

/** All of them. */
export const listRecent = (recent: Recent): Supersession[] =>
  Array.from({ length: countRecent(recent) }, (_, index) => entryAt(index, recent));

function entryAt(index: number, recent: Recent): Supersession {
  const at = index * ENTRY_BYTES;
  const attempt = recent.subarray(at + 11, at + ENTRY_BYTES);
  return {
    generation: recent.readUInt32BE(at),
    keyId: recent[at + 4] ?? 0,
    supersededAt: recent.readUIntBE(at + 5, 6),
    attempt: attempt.equals(NO_ATTEMPT) ? undefined : attempt,
  };
}
