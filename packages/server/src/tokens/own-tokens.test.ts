import assert from "node:assert/strict";
import { before, test } from "node:test";
import { type SigningAlgorithm, signingAlgorithms } from "../config-schema.ts";
import { type PublicJwk, publicJwk } from "../keys/jwks.ts";
import { generatePrivateKey } from "../keys/key-pairs.ts";
import type { SigningKey } from "../keys/signing-key.ts";
import { newId } from "../primitives/id.ts";
import { type JwtType, signJwt } from "./jwt.ts";
import { createOwnTokens } from "./own-tokens.ts";

const NOW = 1_800_000_000_000;
const issuer = "https://id.example.com";
const keys = new Map<SigningAlgorithm, SigningKey>();
const published: PublicJwk[] = [];
const jwks = () => ({ keys: published, body: "", etag: "" });
const tokens = createOwnTokens({ signingKeys: { jwks }, issuer, clock: { now: () => NOW } });

before(async () => {
  for (const algorithm of signingAlgorithms) {
    const privateKey = await generatePrivateKey(algorithm);
    const jwk = publicJwk(privateKey, algorithm);
    keys.set(algorithm, { id: jwk.kid, algorithm, privateKey });
    published.push(jwk);
  }
});

const claims = {
  iss: issuer,
  sub: "somebody",
  client_id: "shop",
  sid: newId(NOW),
  aud: ["one", "two"],
  scope: "read write",
  iat: NOW / 1000,
  exp: NOW / 1000 + 600,
  cnf: { jkt: "x".repeat(43) },
  act: { sub: "api" },
};

function signed(change: object = {}, type: JwtType = "at+jwt", algorithm: SigningAlgorithm = "ES256") {
  const key = keys.get(algorithm);
  assert.ok(key);
  return signJwt({ key, type, claims: { ...claims, ...change } });
}

test("reads what a token of ours says, whatever algorithm signed it", () => {
  for (const algorithm of signingAlgorithms) {
    const { claims: all, ...read } = tokens.read(signed({}, "at+jwt", algorithm)) ?? {};
    assert.deepEqual(all, claims, algorithm);
    assert.deepEqual(read, {
      subject: "somebody",
      clientId: "shop",
      sessionId: claims.sid,
      audience: ["one", "two"],
      scope: "read write",
      issuedAt: claims.iat,
      expiresAt: claims.exp,
      keyThumbprint: claims.cnf.jkt,
      actor: { sub: "api" },
    });
  }
});

test("RFC 8725 §3.11: another type of ours is no access token, though it is signed and says the same", () => {
  for (const type of ["JWT", "token-introspection+jwt"] as const) {
    assert.equal(tokens.read(signed({}, type)), undefined);
  }
});

test("RFC 7519 §4.1.4: from the second of its exp on it is none; nor is another issuer's, or one that lacks what ours have", () => {
  const changes = [
    { exp: NOW / 1000 },
    { exp: undefined },
    { exp: "1900000000" },
    { iat: undefined },
    { iss: "https://other.example" },
    { sub: undefined },
    { client_id: undefined },
    { sid: undefined },
    { sid: "no id" },
  ];
  for (const change of changes) assert.equal(tokens.read(signed(change)), undefined, JSON.stringify(change));
  assert.ok(tokens.read(signed({ exp: NOW / 1000 + 1 })));
});

test("RFC 8725 §3.1: the header chooses neither algorithm nor key; what is not published verifies nothing", () => {
  const token = signed();
  const [head = "", payload = "", seal = ""] = token.split(".");
  const header = JSON.parse(Buffer.from(head, "base64url").toString());
  const of = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const other = keys.get("EdDSA")?.id;
  const heads = [
    { ...header, alg: "none" },
    { ...header, alg: "HS256" },
    { ...header, kid: other },
    { ...header, kid: other, alg: "EdDSA" },
    { ...header, kid: undefined },
    { ...header, kid: "unknown" },
  ];
  for (const one of heads) assert.equal(tokens.read(`${of(one)}.${payload}.${seal}`), undefined);
  for (const one of [
    `${head}.${payload}.`,
    `${head}..${seal}`,
    "..",
    "",
    token.slice(1),
    `${token}.x`,
    `${token}=`,
  ]) {
    assert.equal(tokens.read(one), undefined, one);
  }
});
