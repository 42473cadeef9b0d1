import assert from "node:assert/strict";
import { test } from "node:test";
import { calculateJwkThumbprint, importJWK } from "jose";
import { signingAlgorithms } from "../config-schema.ts";
import { makeJwks, parsePublicJwk, publicJwk } from "./jwks.ts";
import { decodePrivateKey, encodePrivateKey, generatePrivateKey } from "./key-pairs.ts";

const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const expectedMembers = {
  ES256: ["alg", "crv", "kid", "kty", "use", "x", "y"],
  RS256: ["alg", "e", "kid", "kty", "n", "use"],
  EdDSA: ["alg", "crv", "kid", "kty", "use", "x"],
  "ML-DSA-44": ["alg", "kid", "kty", "pub", "use"],
  "ML-DSA-65": ["alg", "kid", "kty", "pub", "use"],
  "ML-DSA-87": ["alg", "kid", "kty", "pub", "use"],
};
/** RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2, RFC 9964: bytes of x, n, x, pub. */
const publicBytes = {
  ES256: 32,
  RS256: 256,
  EdDSA: 32,
  "ML-DSA-44": 1312,
  "ML-DSA-65": 1952,
  "ML-DSA-87": 2592,
};

for (const algorithm of signingAlgorithms) {
  test(`${algorithm}: RFC 7517 §9.2: no private member is published, whichever half is given`, async () => {
    const key = await generatePrivateKey(algorithm);
    const jwk = publicJwk(key, algorithm);
    assert.deepEqual(Object.keys(jwk).sort(), expectedMembers[algorithm]);
    for (const member of privateMembers) assert.ok(!(member in jwk));
    const secrets = Object.entries(key.export({ format: "jwk" })).filter(([name]) =>
      privateMembers.includes(name),
    );
    assert.ok(secrets.length > 0);
    const { body } = makeJwks([jwk]);
    for (const [name, value] of secrets) assert.ok(!body.includes(String(value)), `${name} leaked`);
    assert.equal(Buffer.from(jwk.pub ?? jwk.n ?? jwk.x ?? "", "base64url").length, publicBytes[algorithm]);
  });

  test(`${algorithm}: RFC 7638: kid is the thumbprint, and verifiers can import the key`, async () => {
    const jwk = publicJwk(await generatePrivateKey(algorithm), algorithm);
    assert.equal(jwk.kid, await calculateJwkThumbprint({ ...jwk }));
    await importJWK({ ...jwk });
  });

  test(`${algorithm}: a stored key is the same key again; a damaged one is none`, async () => {
    const key = await generatePrivateKey(algorithm);
    const jwk = publicJwk(key, algorithm);
    const text = JSON.stringify(jwk);
    assert.deepEqual(parsePublicJwk(text, { id: jwk.kid, algorithm }), jwk);
    const other = publicJwk(await generatePrivateKey(algorithm), algorithm);
    for (const damaged of [
      "",
      "null",
      "7",
      "{",
      "[]",
      "{}",
      '{"kty":"oct"}',
      '{"kty":"EC"}',
      JSON.stringify(other),
    ]) {
      assert.equal(parsePublicJwk(damaged, { id: jwk.kid, algorithm }), undefined);
    }
    const again = decodePrivateKey(encodePrivateKey(key));
    assert.ok(again?.equals(key));
    assert.equal(decodePrivateKey(Buffer.from("not a key")), undefined);
  });
}

test("RFC 7638 §3.1: the thumbprint of the example key", () => {
  const n =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
  const id = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
  const text = JSON.stringify({ kty: "RSA", n, e: "AQAB", alg: "RS256", kid: "2011-04-29" });
  assert.equal(parsePublicJwk(text, { id, algorithm: "RS256" })?.kid, id);
});

test("the etag changes with the keys and with nothing else", async () => {
  const [a, b] = [
    publicJwk(await generatePrivateKey("ES256"), "ES256"),
    publicJwk(await generatePrivateKey("EdDSA"), "EdDSA"),
  ];
  assert.equal(makeJwks([a, b]).etag, makeJwks([a, b]).etag);
  assert.notEqual(makeJwks([a, b]).etag, makeJwks([a]).etag);
  assert.match(makeJwks([a]).etag, /^"[\w-]{22}"$/);
  assert.deepEqual(JSON.parse(makeJwks([a, b]).body), { keys: [a, b] });
});
