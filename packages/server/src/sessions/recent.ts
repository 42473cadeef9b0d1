/** One generation that was replaced: when, under which key its successor was derived, and by which attempt. */
export interface Supersession {
  readonly generation: number;
  readonly keyId: number;
  /** Milliseconds since 1970. */
  readonly supersededAt: number;
  /** 16 bytes: a keyed digest of the client's attempt key (`Idempotency-Key`). Undefined when none was sent. */
  readonly attempt: Buffer | undefined;
}

/** How many supersessions a row remembers. The row's size is bounded by this. */
export const RECENT_MAX = 4;

const ENTRY_BYTES = 27;
const NO_ATTEMPT = Buffer.alloc(16);

/** Newest first: generation 4 | key id 1 | superseded at 6 | attempt digest 16 (zeros: none). */
export function encodeRecent(recent: readonly Supersession[]): Buffer {
  const bytes = Buffer.allocUnsafe(recent.length * ENTRY_BYTES);
  for (const [index, entry] of recent.entries()) {
    const at = index * ENTRY_BYTES;
    bytes.writeUInt32BE(entry.generation, at);
    bytes[at + 4] = entry.keyId;
    bytes.writeUIntBE(entry.supersededAt, at + 5, 6);
    (entry.attempt ?? NO_ATTEMPT).copy(bytes, at + 11);
  }
  return bytes;
}

export function decodeRecent(stored: Uint8Array): Supersession[] {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  const recent: Supersession[] = [];
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const attempt = bytes.subarray(at + 11, at + ENTRY_BYTES);
    recent.push({
      generation: bytes.readUInt32BE(at),
      keyId: bytes[at + 4] ?? 0,
      supersededAt: bytes.readUIntBE(at + 5, 6),
      attempt: attempt.equals(NO_ATTEMPT) ? undefined : attempt,
    });
  }
  return recent;
}
