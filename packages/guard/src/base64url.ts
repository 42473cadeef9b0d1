/** Strict base64url (RFC 4648 §5, RFC 7515 §2): one text for one value, so that a token has one spelling. */

const foreign = 0xff;
// Every byte has an entry, so that no look-up needs a check of its own.
const digits = new Uint8Array(256).fill(foreign);
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
for (let value = 0; value < alphabet.length; value++) digits[alphabet.charCodeAt(value)] = value;

const encoder = new TextEncoder();
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// Working space that is filled and read without a pause in between. A buffer of its own for each token would live
// outside the heap, where making and freeing it costs as much as the decoding.
const scratchBytes = 16_384;
const characters = new Uint8Array(scratchBytes);
const decoded = new Uint8Array(scratchBytes);

const decodedLength = (text: string) => (text.length * 3) >> 2;

/** The text as bytes, good until the next call; undefined when it is not ASCII. */
function bytesOf(text: string): Uint8Array | undefined {
  const space = text.length <= scratchBytes ? characters : new Uint8Array(text.length);
  const { read, written } = encoder.encodeInto(text, space);
  return read === text.length && written === read ? space : undefined;
}

/** Decodes into `bytes`, which must be large enough; false as told at {@link decodeBase64url}. */
function decodeInto(bytes: Uint8Array, encoded: string): boolean {
  const { length } = encoded;
  const text = bytesOf(encoded);
  const remainder = length & 3;
  // One character alone holds six bits: no byte.
  if (text === undefined || remainder === 1) return false;
  const wholeEnd = length - remainder;
  let out = 0;
  let seen = 0;
  let at = 0;
  for (; at < wholeEnd; at += 4) {
    const a = digits[text[at] as number] as number;
    const b = digits[text[at + 1] as number] as number;
    const c = digits[text[at + 2] as number] as number;
    const d = digits[text[at + 3] as number] as number;
    seen |= a | b | c | d;
    bytes[out++] = (a << 2) | (b >> 4);
    bytes[out++] = (b << 4) | (c >> 2);
    bytes[out++] = (c << 6) | d;
  }
  if (remainder >= 2) {
    const a = digits[text[at] as number] as number;
    const b = digits[text[at + 1] as number] as number;
    const c = remainder === 3 ? (digits[text[at + 2] as number] as number) : 0;
    seen |= a | b | c;
    bytes[out++] = (a << 2) | (b >> 4);
    if (remainder === 3) bytes[out++] = (b << 4) | (c >> 2);
    if (remainder === 2 ? (b & 15) !== 0 : (c & 3) !== 0) return false;
  }
  // A digit is below 64, so either of the two upper bits betrays a foreign character.
  return (seen & 0xc0) === 0;
}

/**
 * Decodes base64url without padding. Undefined for padding, whitespace, any foreign character, an impossible
 * length, or trailing bits that are not zero (two texts would otherwise decode to the same bytes).
 */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(decodedLength(text));
  return decodeInto(bytes, text) ? bytes : undefined;
}

/** Decodes base64url that holds UTF-8; undefined when it does not. */
export function decodeBase64urlText(text: string): string | undefined {
  const length = decodedLength(text);
  const bytes = length <= scratchBytes ? decoded : new Uint8Array(length);
  if (!decodeInto(bytes, text)) return undefined;
  try {
    return utf8.decode(bytes.subarray(0, length));
  } catch {
    return undefined;
  }
}

/** Encodes bytes, few of them, as base64url without padding. */
export function encodeBase64url(bytes: Uint8Array): string {
  const padded = btoa(String.fromCharCode(...bytes));
  return padded.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
