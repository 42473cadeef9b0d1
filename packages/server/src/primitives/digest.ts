import { createHmac, hash, type KeyObject } from "node:crypto";

/**
 * SHA-256. By way of a string of 32 characters: as a buffer the digest would get memory of its own outside the heap,
 * and a refresh makes eight of them; a Buffer from a string is cut from a pool.
 */
export function sha256(data: string | Uint8Array): Buffer {
  return Buffer.from(hash("sha256", data, "binary"), "binary");
}

const BLOCK_BYTES = 64;
const DATA_BYTES_MAX = 1024;

// Filled and read without a pause in between.
const innerSpace = Buffer.allocUnsafeSlow(BLOCK_BYTES + DATA_BYTES_MAX);
const outerSpace = Buffer.allocUnsafeSlow(BLOCK_BYTES + 32);
const padsByKey = new WeakMap<KeyObject, { inner: Buffer; outer: Buffer }>();

/**
 * HMAC-SHA-256, RFC 2104 §2: H(K xor opad, H(K xor ipad, text)).
 *
 * By two one-shot hashes, because `createHmac` makes a stream for each call: three of them in every refresh were a
 * tenth of its time, and as much again of the garbage collector's. Long texts go to `createHmac` all the same.
 */
export function hmacSha256(key: KeyObject, data: string | Uint8Array): Buffer {
  const bytes = typeof data === "string" ? Buffer.byteLength(data) : data.byteLength;
  if (bytes > DATA_BYTES_MAX) return createHmac("sha256", key).update(data).digest();
  const { inner, outer } = padsOf(key);
  inner.copy(innerSpace);
  if (typeof data === "string") innerSpace.write(data, BLOCK_BYTES);
  else innerSpace.set(data, BLOCK_BYTES);
  outer.copy(outerSpace);
  sha256(innerSpace.subarray(0, BLOCK_BYTES + bytes)).copy(outerSpace, BLOCK_BYTES);
  return sha256(outerSpace);
}

function padsOf(key: KeyObject): { inner: Buffer; outer: Buffer } {
  const known = padsByKey.get(key);
  if (known !== undefined) return known;
  const given = key.export();
  // RFC 2104 §2: a key longer than a block is hashed first; a shorter one is filled up with zeros.
  const block = Buffer.alloc(BLOCK_BYTES);
  (given.length > BLOCK_BYTES ? sha256(given) : given).copy(block);
  const pads = { inner: block.map((byte) => byte ^ 0x36), outer: block.map((byte) => byte ^ 0x5c) };
  const made = { inner: Buffer.from(pads.inner), outer: Buffer.from(pads.outer) };
  padsByKey.set(key, made);
  return made;
}
