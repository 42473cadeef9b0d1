/** Strict base64url (RFC 4648 §5, RFC 7515 §2): one text for one value, so that a token has one spelling. */

const notADigit = 255;
const digits = new Uint8Array(128).fill(notADigit);
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
for (let value = 0; value < alphabet.length; value++) digits[alphabet.charCodeAt(value)] = value;

function digitAt(text: string, position: number): number {
  const code = text.charCodeAt(position);
  return code < 128 ? (digits[code] as number) : notADigit;
}

/**
 * Decodes base64url without padding. Undefined for padding, whitespace, any foreign character, an impossible
 * length, or trailing bits that are not zero (two texts would otherwise decode to the same bytes).
 */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> | undefined {
  const length = text.length;
  const remainder = length & 3;
  // One character alone holds six bits: no byte.
  if (remainder === 1) return undefined;
  const bytes = new Uint8Array((length * 3) >> 2);
  const wholeEnd = length - remainder;
  let out = 0;
  let seen = 0;
  let position = 0;
  for (; position < wholeEnd; position += 4) {
    const a = digitAt(text, position);
    const b = digitAt(text, position + 1);
    const c = digitAt(text, position + 2);
    const d = digitAt(text, position + 3);
    seen |= a | b | c | d;
    bytes[out++] = (a << 2) | (b >> 4);
    bytes[out++] = ((b & 15) << 4) | (c >> 2);
    bytes[out++] = ((c & 3) << 6) | d;
  }
  if (remainder >= 2) {
    const a = digitAt(text, position);
    const b = digitAt(text, position + 1);
    const c = remainder === 3 ? digitAt(text, position + 2) : 0;
    seen |= a | b | c;
    bytes[out++] = (a << 2) | (b >> 4);
    if (remainder === 3) bytes[out++] = ((b & 15) << 4) | (c >> 2);
    if (remainder === 2 ? (b & 15) !== 0 : (c & 3) !== 0) return undefined;
  }
  // A digit is below 64, so either of the two upper bits betrays a foreign character.
  return (seen & 0xc0) === 0 ? bytes : undefined;
}
