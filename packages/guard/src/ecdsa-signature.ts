/** ECDSA signatures as JOSE writes them (r and s of fixed length, RFC 7518 §3.4) and as OpenSSL reads them (DER). */

const fromHex = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** The order n of each curve (SEC 2 §2.4.2, §2.5.1, §2.6.1), as long as r and s are. */
const orders: Readonly<Record<number, Uint8Array>> = {
  64: fromHex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
  96: fromHex(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  ),
  132: fromHex(
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa" +
      "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
  ),
};

/** Whether 1 <= number < n, for big-endian bytes of equal length. Signatures are public: no constant time needed. */
function isInRange(signature: Uint8Array, offset: number, order: Uint8Array): boolean {
  let isZero = true;
  let difference = 0;
  for (let i = 0; i < order.length; i++) {
    const byte = signature[offset + i] as number;
    if (byte !== 0) isZero = false;
    if (difference === 0) difference = byte - (order[i] as number);
  }
  return !isZero && difference < 0;
}

/**
 * Whether r and s both lie between 1 and n - 1. Verifiers that skipped this took (0, 0) for a signature of anything
 * ("psychic signatures", CVE-2022-21449); no runtime is trusted with it here.
 */
export function isEcdsaSignature(signature: Uint8Array): boolean {
  const order = orders[signature.length];
  if (order === undefined) return false;
  return isInRange(signature, 0, order) && isInRange(signature, order.length, order);
}

/** Length of the longest signature in DER, in bytes. */
export const derBytesMax = 3 + 2 * (2 + 67);

/** Where the number from `start` to `end` really begins: DER writes no leading zeros. */
function significantStart(signature: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end - 1 && signature[at] === 0) at++;
  return at;
}

/**
 * r and s side by side turned into the DER of X9.62 ECDSA-Sig-Value. By hand, because node:crypto does it slower:
 * on Node 24 verifying with `dsaEncoding: "ieee-p1363"` reaches 60 % of the rate of verifying DER. The result
 * lies in `space`, which takes {@link derBytesMax}.
 */
export function ecdsaSignatureToDer(
  signature: Uint8Array,
  space: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const half = signature.length / 2;
  const rStart = significantStart(signature, 0, half);
  const sStart = significantStart(signature, half, signature.length);
  // A number whose first bit is set would be negative without a zero byte in front.
  const rPad = (signature[rStart] as number) >> 7;
  const sPad = (signature[sStart] as number) >> 7;
  const rLength = half - rStart + rPad;
  const sLength = signature.length - sStart + sPad;
  const bodyLength = rLength + sLength + 4;
  // The two numbers of P-521 need up to 138 bytes: then the length takes a byte of its own.
  const headLength = bodyLength < 0x80 ? 2 : 3;
  const der = space.subarray(0, headLength + bodyLength);
  der[0] = 0x30;
  if (headLength === 3) der[1] = 0x81;
  der[headLength - 1] = bodyLength;
  let out = headLength;
  der[out++] = 0x02;
  der[out++] = rLength;
  if (rPad === 1) der[out++] = 0;
  for (let at = rStart; at < half; at++) der[out++] = signature[at] as number;
  der[out++] = 0x02;
  der[out++] = sLength;
  if (sPad === 1) der[out++] = 0;
  for (let at = sStart; at < signature.length; at++) der[out++] = signature[at] as number;
  return der;
}
