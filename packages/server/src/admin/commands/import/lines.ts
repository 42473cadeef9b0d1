import { limits } from "../../../primitives/limits.ts";

/** A line of the file, counted from 1, without its end; undefined when it is longer than is read. */
export interface Line {
  readonly number: number;
  readonly bytes: Buffer | undefined;
}

const LF = 10;
const CR = 13;

/**
 * The lines of a stream of bytes, of which never more than one line and one chunk are held. A line that is too long is
 * read past.
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<Line> {
  let number = 0;
  let held: Buffer[] = [];
  let heldBytes = 0;

  const take = (): Line => {
    const isLong = heldBytes > limits.importLineBytesMax;
    const bytes = isLong ? undefined : withoutCr(Buffer.concat(held));
    held = [];
    heldBytes = 0;
    number += 1;
    return { number, bytes: number === 1 && bytes !== undefined ? withoutBom(bytes) : bytes };
  };
  const hold = (part: Buffer): void => {
    heldBytes += part.length;
    // What is too long already is counted and not kept.
    if (heldBytes <= limits.importLineBytesMax) held.push(part);
    else held = [];
  };

  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk as Uint8Array);
    let from = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, from)) {
      hold(bytes.subarray(from, end));
      from = end + 1;
      yield take();
    }
    if (from < bytes.length) hold(bytes.subarray(from));
  }
  if (heldBytes > 0) yield take();
}

const withoutCr = (line: Buffer) => (line.at(-1) === CR ? line.subarray(0, -1) : line);
const withoutBom = (line: Buffer) =>
  line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? line.subarray(3) : line;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Undefined when the bytes are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
