import { randomBytes as nodeRandomBytes, randomFillSync } from "node:crypto";

// One system call fills a pool; small requests are cut from it. A slice is handed out once and the pool is
// never written again while slices of it are alive: a new pool is allocated instead.
const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);
let used = 0;

/** `length` bytes from the operating system's generator. The only source of randomness in the server. */
export function randomBytes(length: number): Buffer {
  if (length > 64) return nodeRandomBytes(length);
  if (used + length > pool.length) {
    pool = Buffer.allocUnsafeSlow(POOL_BYTES);
    randomFillSync(pool);
    used = 0;
  }
  const slice = pool.subarray(used, used + length);
  used += length;
  return slice;
}

/** A secret a person or a program keeps: 32 random bytes, base64url, with a prefix that scanners can find. */
export function randomSecret(prefix: string): string {
  return `${prefix}${randomBytes(32).toString("base64url")}`;
}
