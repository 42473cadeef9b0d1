import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../primitives/limits.ts";
import type { Client } from "./client.ts";
import { createClientKeys } from "./client-keys.ts";
import { answered } from "./test-clients.ts";

const ES256 = { kid: "1", alg: "ES256" } as const;
const key = { kty: "EC", crv: "P-256", x: "x", y: "y", kid: "1" };

function open(keys: unknown) {
  const asked: string[] = [];
  const fetchDocument = async (url: string) => {
    asked.push(url);
    return answered({ keys });
  };
  const room = createClientKeys({
    clock: { now: () => 1_800_000_000_000 },
    fetchDocument,
    fetchForStrangers: fetchDocument,
  });
  const of = (index: number, header: Parameters<typeof room.of>[1] = ES256) =>
    room.of(
      { origin: "operator", metadata: { jwks_uri: `https://app.example/${index}` } as Client["metadata"] },
      header,
    );
  return { of, asked };
}

test("bounded: of so many key sets the one that came first is forgotten, and fetched again", async () => {
  const { of, asked } = open([key]);
  for (let index = 0; index <= limits.clientKeySetsKnownMax; index++) {
    assert.equal((await of(index)).length, 1);
  }
  const before = asked.length;
  await of(limits.clientKeySetsKnownMax);
  await of(1);
  assert.equal(asked.length, before);
  await of(0);
  assert.equal(asked.length, before + 1);
});

test("bounded: of a key set only the first so many keys count", async () => {
  const many = Array.from({ length: limits.clientKeysMax + 1 }, (_, index) => ({ ...key, kid: `${index}` }));
  const { of } = open(many);
  assert.equal((await of(1, { ...ES256, kid: `${limits.clientKeysMax - 1}` })).length, 1);
  assert.equal((await of(2, { ...ES256, kid: `${limits.clientKeysMax}` })).length, 0);
  assert.equal((await of(3, { ...ES256, kid: undefined })).length, limits.clientKeysMax);
});

test("RFC 9864 §2.2: a key for EdDSA is one for Ed25519, by either name", async () => {
  for (const alg of ["EdDSA", "Ed25519", undefined]) {
    const { of } = open([{ kty: "OKP", crv: "Ed25519", x: "x", alg }]);
    for (const asked of ["EdDSA", "Ed25519"]) {
      assert.equal((await of(1, { kid: undefined, alg: asked })).length, 1, `${alg} ${asked}`);
    }
    assert.equal((await of(2)).length, 0);
  }
});
