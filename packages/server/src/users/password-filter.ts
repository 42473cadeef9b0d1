import { assert } from "../primitives/assert.ts";
import { sha256 } from "../primitives/digest.ts";

/**
 * A set of texts as a Golomb-coded set, in a file that is small rather than secret. Each text is a number of
 * `valueBits` bits, the beginning of its SHA-256. The numbers are sorted, cut into buckets by their first bits, and in
 * a bucket the gap to the number before is written in Rice's code: the quotient by 2^riceBits as that many ones and a
 * zero, then the remainder. What is left of a bucket's last byte is ones, which end nowhere and so are no gap.
 *
 * A text of the set is always found. Another one is found with the chance count / 2^valueBits.
 *
 * The file: a head of 48 bytes (magic, version, the three widths, the count, zeros up to byte 16, the SHA-256 of all
 * else), the place of each bucket in the data and the end of it (32 bits each, big-endian), the data.
 */
const MAGIC = "KTPF";
const VERSION = 1;
const DIGEST_AT = 16;
export const HEAD_BYTES = 48;

export interface FilterShape {
  readonly riceBits: number;
  readonly bucketBits: number;
  readonly valueBits: number;
}

export interface PasswordFilter extends FilterShape {
  /** How many texts are in it. */
  readonly count: number;
  has(text: string): boolean;
}

/** Where a text is: its bucket, and its number there. */
export function placeOf(
  text: string,
  { bucketBits, valueBits }: FilterShape,
): [bucket: number, rest: number] {
  // Six bytes are the most that a number of JavaScript holds without loss.
  const value = Math.floor(sha256(text).readUIntBE(0, 6) / 2 ** (48 - valueBits));
  const restBits = valueBits - bucketBits;
  const bucket = Math.floor(value / 2 ** restBits);
  return [bucket, value - bucket * 2 ** restBits];
}

/** The digest that stands in the head: of the head's other bytes and of what follows it. */
function filterDigest(file: Buffer): Buffer {
  return sha256(Buffer.concat([file.subarray(0, DIGEST_AT), file.subarray(HEAD_BYTES)]));
}

export function writeHead(file: Buffer, shape: FilterShape & { readonly count: number }): void {
  file.write(MAGIC, 0, "latin1");
  file.set([VERSION, shape.riceBits, shape.bucketBits, shape.valueBits], 4);
  file.writeUInt32BE(shape.count, 8);
  filterDigest(file).copy(file, DIGEST_AT);
}

/** @returns undefined when the file is not such a set, or not as it was written */
export function openFilter(file: Buffer): PasswordFilter | undefined {
  if (file.length < HEAD_BYTES || file.toString("latin1", 0, 4) !== MAGIC || file[4] !== VERSION) {
    return undefined;
  }
  if (!filterDigest(file).equals(file.subarray(DIGEST_AT, HEAD_BYTES))) return undefined;
  const [riceBits = 0, bucketBits = 0, valueBits = 0] = file.subarray(5, 8);
  const shape = { riceBits, bucketBits, valueBits };
  const data = file.subarray(HEAD_BYTES + 4 * (2 ** bucketBits + 1));

  function has(text: string): boolean {
    const [bucket, wanted] = placeOf(text, shape);
    const start = file.readUInt32BE(HEAD_BYTES + 4 * bucket);
    const end = file.readUInt32BE(HEAD_BYTES + 4 * (bucket + 1));
    assert(start <= end && end <= data.length, "a bucket of the list lies outside of it");
    return isAmong(wanted, data.subarray(start, end), riceBits);
  }

  return { ...shape, count: file.readUInt32BE(8), has };
}

/** Reads a bucket's numbers until one is not below the wanted one. */
function isAmong(wanted: number, bucket: Buffer, riceBits: number): boolean {
  const bits = bucket.length * 8;
  const bitAt = (at: number) => ((bucket[at >>> 3] ?? 0) >>> (7 - (at & 7))) & 1;
  let at = 0;
  let number = -1;
  while (number < wanted) {
    let gap = 0;
    while (at < bits && bitAt(at) === 1) {
      gap++;
      at++;
    }
    at++;
    if (at + riceBits > bits) return false;
    for (const end = at + riceBits; at < end; at++) gap = gap * 2 + bitAt(at);
    number += gap + 1;
  }
  return number === wanted;
}
