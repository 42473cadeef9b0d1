import assert from "node:assert/strict";
import { verify } from "node:crypto";
import { before, test } from "node:test";
import fc from "fast-check";
import { compactVerify, importJWK } from "jose";
import { type SigningAlgorithm, signingAlgorithms } from "../config-schema.ts";
import { type PublicJwk, publicJwk } from "../keys/jwks.ts";
import { generatePrivateKey } from "../keys/key-pairs.ts";
import type { SigningKey } from "../keys/signing-key.ts";
import { fixedLengthSignature, signJwt } from "./jwt.ts";

const keys = new Map<SigningAlgorithm, { key: SigningKey; jwk: PublicJwk }>();

before(async () => {
  for (const algorithm of signingAlgorithms) {
    const privateKey = await generatePrivateKey(algorithm);
    const jwk = publicJwk(privateKey, algorithm);
    keys.set(algorithm, { key: { id: jwk.kid, algorithm, privateKey }, jwk });
  }
});

const decode = (segment = "") => JSON.parse(Buffer.from(segment, "base64url").toString());

for (const algorithm of signingAlgorithms) {
  test(`${algorithm}: RFC 7515 §5.2: another implementation verifies every token and reads the same claims`, async () => {
    const { key, jwk } = keys.get(algorithm)!;
    const imported = await importJWK({ ...jwk });
    const slow = algorithm === "ES256" || algorithm === "EdDSA" ? 200 : 25;
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()), async (claims) => {
        const token = signJwt({ key, type: "at+jwt", claims });
        const { payload, protectedHeader } = await compactVerify(token, imported, {
          algorithms: [algorithm],
        });
        assert.equal(Buffer.from(payload).toString(), JSON.stringify(claims));
        assert.deepEqual(protectedHeader, { alg: algorithm, typ: "at+jwt", kid: key.id });
      }),
      { numRuns: slow },
    );
  });

  test(`${algorithm}: a changed token does not verify`, async () => {
    const { key, jwk } = keys.get(algorithm)!;
    const imported = await importJWK({ ...jwk });
    const [header, payload, signature = ""] = signJwt({ key, type: "JWT", claims: { sub: "alice" } }).split(
      ".",
    );
    const other = Buffer.from(JSON.stringify({ sub: "mallory" })).toString("base64url");
    await assert.rejects(compactVerify(`${header}.${other}.${signature}`, imported));
    const damaged = Buffer.from(signature, "base64url");
    damaged[5]! ^= 1;
    await assert.rejects(compactVerify(`${header}.${payload}.${damaged.toString("base64url")}`, imported));
  });
}

test("RFC 7515 §4.1: the header is of the key and the type given, whatever was signed before", () => {
  const seen = new Set<string>();
  for (let round = 0; round < 2; round++) {
    for (const { key } of keys.values()) {
      for (const type of ["at+jwt", "JWT"] as const) {
        const [header] = signJwt({ key, type, claims: {} }).split(".");
        assert.deepEqual(decode(header), { alg: key.algorithm, typ: type, kid: key.id });
        seen.add(header!);
      }
    }
  }
  assert.equal(seen.size, 2 * signingAlgorithms.length);
});

test("members that are undefined are left out", () => {
  const token = signJwt({ key: keys.get("ES256")!.key, type: "JWT", claims: { a: undefined, b: 1 } });
  assert.deepEqual(decode(token.split(".")[1]), { b: 1 });
});

/** A DER integer written by hand: as short as it can be, with a zero in front when the first bit is set. */
function derInteger(value: Buffer): Buffer {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start++;
  const digits = value.subarray(start);
  const content = digits[0]! & 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits;
  return Buffer.concat([Buffer.from([0x02, content.length]), content]);
}

function derSignature(r: Buffer, s: Buffer): Buffer {
  const body = Buffer.concat([derInteger(r), derInteger(s)]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

/** For each length from 1 to 32 bytes: values with the first bit clear and set, all ones, and zeros behind. */
function integersOfAllLengths(): Buffer[] {
  const values = [Buffer.alloc(32)];
  for (let length = 1; length <= 32; length++) {
    for (const [head, tail] of [
      [0x01, 0xab],
      [0x7f, 0xff],
      [0x80, 0x00],
      [0xff, 0xff],
      [0x01, 0x00],
    ] as const) {
      const value = Buffer.alloc(32);
      value.fill(tail, 32 - length);
      value[32 - length] = head;
      values.push(value);
    }
  }
  return values;
}

test("RFC 7518 §3.4: r and s of every length become 32 bytes each", () => {
  const values = integersOfAllLengths();
  for (const r of values) {
    for (const s of values) {
      assert.deepEqual(fixedLengthSignature(derSignature(r, s)), Buffer.concat([r, s]));
    }
  }
});

test("RFC 7518 §3.4: real signatures verify after the change, the short ones among them too", () => {
  const { key, jwk } = keys.get("ES256")!;
  const publicKey = { key: { ...jwk }, format: "jwk", dsaEncoding: "ieee-p1363" } as const;
  let short = 0;
  for (let i = 0; i < 1500; i++) {
    const [header, payload, signature = ""] = signJwt({ key, type: "JWT", claims: { i } }).split(".");
    const bytes = Buffer.from(signature, "base64url");
    assert.equal(bytes.length, 64);
    if (bytes[0] !== 0 && bytes[32] !== 0) continue;
    short++;
    assert.ok(verify("sha256", Buffer.from(`${header}.${payload}`), publicKey, bytes));
  }
  assert.ok(short > 0, "1500 signatures without a leading zero: one in 128 has one");
});

test("what is not a DER signature is a bug that is noticed, never half a signature", () => {
  const good = derSignature(Buffer.alloc(32, 1), Buffer.alloc(32, 2));
  const tooLong = derSignature(Buffer.alloc(33, 1), Buffer.alloc(32, 2));
  const set = (at: number, value: number) => Buffer.from(good).fill(value, at, at + 1);
  const bad = [Buffer.alloc(0), good.subarray(0, 40), Buffer.concat([good, Buffer.alloc(1)]), tooLong];
  for (const der of [
    ...bad,
    set(0, 0x31),
    set(1, 3),
    set(2, 3),
    set(3, 0),
    set(3, 33),
    set(3, 255),
    set(37, 31),
  ]) {
    assert.throws(() => fixedLengthSignature(der), /Bug in Keyturn/);
  }
});
