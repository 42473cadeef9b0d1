import assert from "node:assert/strict";
import { generateKeyPairSync, sign, verify } from "node:crypto";
import { test } from "node:test";
import { derBytesMax, ecdsaSignatureToDer, isEcdsaSignature } from "./ecdsa-signature.ts";

const curves = [
  {
    namedCurve: "P-256",
    hash: "sha256",
    half: 32,
    order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  },
  {
    namedCurve: "P-384",
    hash: "sha384",
    half: 48,
    order: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  },
  {
    namedCurve: "P-521",
    hash: "sha512",
    half: 66,
    order:
      "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
  },
] as const;

for (const { namedCurve, hash, half, order } of curves) {
  test(`RFC 7518 §3.4: a ${namedCurve} signature turned into DER verifies, leading zeros and all`, () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve });
    let shortNumbers = 0;
    // One number in 256 is short: that none is met among 10,000 has the odds of 10 to the minus 17.
    for (let i = 0; i < 5000 && (i < 100 || shortNumbers === 0); i++) {
      const data = Buffer.from(`message ${i}`);
      const signature = sign(hash, data, { key: privateKey, dsaEncoding: "ieee-p1363" });
      if (signature[0] === 0 || signature[half] === 0) shortNumbers++;
      assert.ok(isEcdsaSignature(signature));
      const der = ecdsaSignatureToDer(signature, new Uint8Array(derBytesMax));
      assert.ok(verify(hash, data, publicKey, der));
    }
    assert.ok(shortNumbers > 0);
  });

  test(`CVE-2022-21449: r or s of ${namedCurve} that is 0 or not below n is no signature`, () => {
    const n = Buffer.from(order, "hex");
    const one = Buffer.alloc(half);
    one[half - 1] = 1;
    const below = Buffer.from(n);
    below[half - 1]!--;
    const above = Buffer.from(n);
    above[half - 1]!++;
    const bad = [Buffer.alloc(half), n, above, Buffer.alloc(half, 0xff)];
    for (const number of bad) {
      assert.equal(isEcdsaSignature(Buffer.concat([number, one])), false);
      assert.equal(isEcdsaSignature(Buffer.concat([one, number])), false);
    }
    assert.equal(isEcdsaSignature(Buffer.concat([one, below])), true);
    assert.equal(isEcdsaSignature(Buffer.concat([below, one])), true);
    assert.equal(isEcdsaSignature(Buffer.concat([one, one, Buffer.alloc(1)])), false);
  });
}
