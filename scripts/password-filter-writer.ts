import {
  type FilterShape,
  HEAD_BYTES,
  placeOf,
  writeHead,
} from "../packages/server/src/users/password-filter.ts";

/** Widths that give about 48 texts a bucket, and a wrong hit in 2^riceBits or more. */
export function shapeFor(count: number, riceBits: number): FilterShape {
  const countBits = Math.ceil(Math.log2(Math.max(2, count)));
  return { riceBits, bucketBits: Math.max(0, countBits - 6), valueBits: countBits + riceBits };
}

/** The file of a set of texts, the same for the same set in any order. */
export function writeFilter(texts: Iterable<string>, shape: FilterShape): Buffer {
  const buckets = Array.from({ length: 2 ** shape.bucketBits }, () => new Set<number>());
  let count = 0;
  for (const text of new Set(texts)) {
    const [bucket, rest] = placeOf(text, shape);
    buckets[bucket]?.add(rest);
    count++;
  }
  const places = Buffer.alloc(4 * (buckets.length + 1));
  const data: Buffer[] = [];
  let end = 0;
  for (const [index, rests] of buckets.entries()) {
    const written = writeBucket(rests, shape.riceBits);
    data.push(written);
    end += written.length;
    places.writeUInt32BE(end, 4 * (index + 1));
  }
  const file = Buffer.concat([Buffer.alloc(HEAD_BYTES), places, ...data]);
  writeHead(file, { ...shape, count });
  return file;
}

function writeBucket(rests: ReadonlySet<number>, riceBits: number): Buffer {
  const bits: number[] = [];
  let before = -1;
  for (const rest of [...rests].sort((a, b) => a - b)) {
    const gap = rest - before - 1;
    before = rest;
    for (let ones = Math.floor(gap / 2 ** riceBits); ones > 0; ones--) bits.push(1);
    bits.push(0);
    for (let bit = riceBits - 1; bit >= 0; bit--) bits.push(Math.floor(gap / 2 ** bit) % 2);
  }
  while (bits.length % 8 !== 0) bits.push(1);
  const bytes = Buffer.alloc(bits.length / 8);
  for (const [at, bit] of bits.entries()) bytes[at >>> 3] = ((bytes[at >>> 3] ?? 0) << 1) | bit;
  return bytes;
}
