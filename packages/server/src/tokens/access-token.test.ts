import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import type { SigningAlgorithm } from "../config-schema.ts";
import { publicJwk } from "../keys/jwks.ts";
import { generatePrivateKey } from "../keys/key-pairs.ts";
import type { SigningKey } from "../keys/signing-key.ts";
import { newId } from "../primitives/id.ts";
import { type AccessTokenInput, createAccessTokens } from "./access-token.ts";

const START = 1_800_000_000_500;
const issuer = "https://id.example.com";

const input: AccessTokenInput = {
  subject: newId(START),
  sessionId: newId(START),
  clientId: "shop",
  audience: "https://api.example.com",
  scope: "openid orders",
  authenticatedAt: START - 60_000,
  amr: ["pwd"],
  sessionExpiresAt: START + 180 * 24 * 3600 * 1000,
};

async function makeKey(algorithm: SigningAlgorithm): Promise<SigningKey> {
  const privateKey = await generatePrivateKey(algorithm);
  return { id: publicJwk(privateKey, algorithm).kid, algorithm, privateKey };
}

async function setUp(algorithm: SigningAlgorithm = "ES256") {
  const key = await makeKey(algorithm);
  const clock = { time: START, now: () => clock.time };
  const warnings: Record<string, unknown>[] = [];
  const accessTokens = createAccessTokens({
    signingKeys: {
      current(asked) {
        assert.equal(asked, algorithm);
        return key;
      },
    },
    issuer,
    settings: { accessTokenSeconds: 600, accessTokenAlgorithm: algorithm },
    clock,
    log: { warn: (facts, text) => warnings.push({ ...facts, text }) },
  });
  return { accessTokens, clock, key, warnings };
}

test("RFC 9068 §2.1: typ is at+jwt, alg is the configured one and never none", async () => {
  for (const algorithm of ["ES256", "EdDSA", "ML-DSA-44"] as const) {
    const { accessTokens, key } = await setUp(algorithm);
    const header = decodeProtectedHeader(accessTokens.mint(input).token);
    assert.deepEqual(header, { alg: algorithm, typ: "at+jwt", kid: key.id });
  }
});

test("RFC 9068 §2.2: iss, exp, aud, sub, client_id, iat and jti are there; our sid, scope, auth_time and amr too", async () => {
  const { accessTokens } = await setUp();
  const { jti, ...claims } = decodeJwt(accessTokens.mint(input).token);
  assert.deepEqual(claims, {
    iss: issuer,
    sub: input.subject,
    aud: "https://api.example.com",
    client_id: "shop",
    iat: 1_800_000_000,
    exp: 1_800_000_600,
    sid: input.sessionId,
    scope: "openid orders",
    auth_time: 1_799_999_940,
    amr: ["pwd"],
  });
  assert.match(String(jti), /^[\w-]{22}$/);
});

test("the identity that was signed is the one that is read: the user's id is sub, and nothing else", async () => {
  const { accessTokens } = await setUp();
  const claims = decodeJwt(accessTokens.mint(input).token);
  assert.equal(claims.sub, input.subject);
  assert.ok(!("userId" in claims) && !("id" in claims));
});

test("RFC 9068 §2.2.1, §2.2.3: acr, roles and permissions only when there are any; an empty scope is left out", async () => {
  const { accessTokens } = await setUp();
  const rights = { roles: ["editor"], permissions: ["orders:read"], readAt: START, notBefore: 0 };
  const full = { ...input, acr: "2", rights, audience: ["a", "b"] };
  const claims = decodeJwt(accessTokens.mint(full).token);
  assert.deepEqual(
    [claims.acr, claims.roles, claims.permissions, claims.aud],
    ["2", ["editor"], ["orders:read"], ["a", "b"]],
  );
  const bare = decodeJwt(
    accessTokens.mint({ ...input, scope: "", rights: { ...rights, roles: [], permissions: [] } }).token,
  );
  for (const name of ["acr", "roles", "permissions", "scope"]) assert.ok(!(name in bare), name);
});

test("RFC 7519 §4.1.7: no two tokens share a jti", async () => {
  const { accessTokens } = await setUp();
  const ids = Array.from({ length: 500 }, () => decodeJwt(accessTokens.mint(input).token).jti);
  assert.equal(new Set(ids).size, 500);
});

test("no token outlives the absolute end of its session", async () => {
  const { accessTokens } = await setUp();
  const long = accessTokens.mint(input);
  assert.deepEqual([long.expiresIn, long.expiresAt], [600, 1_800_000_600]);
  const near = accessTokens.mint({ ...input, sessionExpiresAt: START + 90_400 });
  assert.deepEqual([near.expiresIn, near.expiresAt], [90, 1_800_000_090]);
  assert.equal(decodeJwt(near.token).exp, 1_800_000_090);
  assert.equal(accessTokens.mint({ ...input, sessionExpiresAt: START - 5000 }).expiresIn, 0);
});

test("a token of more than 2 KB is told to the log, once an hour at most, without the token", async () => {
  const { accessTokens, clock, warnings } = await setUp();
  accessTokens.mint(input);
  assert.equal(warnings.length, 0);
  const roles = Array.from({ length: 50 }, (_, i) => `department-${i}-with-a-long-name-of-its-own`);
  const mint = () =>
    accessTokens.mint({
      ...input,
      rights: { roles, permissions: [], readAt: clock.time, notBefore: 0 },
    });
  const { token } = mint();
  mint();
  clock.time += 60 * 60 * 1000 - 1;
  mint();
  assert.equal(warnings.length, 1);
  assert.deepEqual([warnings[0]?.bytes, warnings[0]?.roles], [token.length, 50]);
  assert.ok(!JSON.stringify(warnings).includes(token.slice(-40)));
  clock.time += 1;
  mint();
  assert.equal(warnings.length, 2);
});

test("permissions that no token can carry are all left out, the token says so, and the log does each time", async () => {
  const { accessTokens, warnings } = await setUp();
  const permissions = Array.from({ length: 80 }, (_, i) => `${i}:${"x".repeat(60)}`);
  const rights = { roles: ["all"], permissions, readAt: START, notBefore: 0 };
  const claims = decodeJwt(accessTokens.mint({ ...input, rights }).token);
  assert.deepEqual(
    [claims.roles, claims.permissions, claims.permissions_omitted],
    [["all"], undefined, true],
  );
  accessTokens.mint({ ...input, rights });
  assert.equal(warnings.length, 2);
  assert.deepEqual([warnings[0]?.userId, warnings[0]?.permissions], [input.subject, 80]);
  const most = permissions.slice(0, 60);
  assert.deepEqual(
    decodeJwt(accessTokens.mint({ ...input, rights: { ...rights, permissions: most } }).token).permissions,
    most,
  );
});

test("a token counts as issued when its rights were read, and never before what the feed refuses", async () => {
  const { accessTokens, clock } = await setUp();
  clock.time = START + 5000;
  const rights = { roles: [], permissions: [], readAt: START + 499, notBefore: 0 };
  const seconds = Math.floor(START / 1000);
  const early = accessTokens.mint({ ...input, rights });
  assert.deepEqual(
    [decodeJwt(early.token).iat, decodeJwt(early.token).exp, early.expiresIn],
    [seconds, seconds + 600, 600],
  );
  const late = accessTokens.mint({ ...input, rights: { ...rights, notBefore: seconds + 2 } });
  assert.deepEqual(
    [decodeJwt(late.token).iat, decodeJwt(late.token).exp, late.expiresIn],
    [seconds + 2, seconds + 600, 600],
    "postdated, and no longer alive for it",
  );
});

test("after a rotation the next token is signed by the new key", async () => {
  const [old, fresh] = [await makeKey("ES256"), await makeKey("ES256")];
  let current = old;
  const accessTokens = createAccessTokens({
    signingKeys: { current: () => current },
    issuer,
    settings: { accessTokenSeconds: 600, accessTokenAlgorithm: "ES256" },
    clock: { now: () => START },
  });
  assert.equal(decodeProtectedHeader(accessTokens.mint(input).token).kid, old.id);
  current = fresh;
  assert.equal(decodeProtectedHeader(accessTokens.mint(input).token).kid, fresh.id);
});
