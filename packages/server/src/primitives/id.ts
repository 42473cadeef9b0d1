import { randomBytes } from "./random.ts";

/** The text form of an id: a UUID version 7 (RFC 9562 §5.7) in lower case. Stored as its 16 bytes. */
export type Id = string;

const ID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * A new id, ordered in time: rows made together lie together, so that an index with a million rows stays warm.
 * @param now milliseconds since 1970
 */
export function newId(now: number): Id {
  const bytes = Buffer.from(randomBytes(16));
  bytes.writeUIntBE(now, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return idFromBytes(bytes);
}

export function isId(text: unknown): text is Id {
  return typeof text === "string" && ID_PATTERN.test(text);
}

/** The 16 bytes of an id. The caller has checked the text with `isId`, or made it with `newId`. */
export function idToBytes(id: Id): Buffer {
  return Buffer.from(id.replaceAll("-", ""), "hex");
}

export function idFromBytes(bytes: Uint8Array): Id {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The smallest id that could have been made at `now`: for "everything older than" without an index on time. */
export function firstIdAt(now: number): Id {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.max(0, now), 0, 6);
  return idFromBytes(bytes);
}
