import assert from "node:assert/strict";
import { before, test } from "node:test";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { type SigningAlgorithm, signingAlgorithms } from "../config-schema.ts";
import { type PublicJwk, publicJwk } from "../keys/jwks.ts";
import { generatePrivateKey } from "../keys/key-pairs.ts";
import type { SigningKey } from "../keys/signing-key.ts";
import { newId } from "../primitives/id.ts";
import { createAccessTokens } from "./access-token.ts";
import { accessTokenHash, createIdTokens, type IdTokenInput } from "./id-token.ts";

const START = 1_800_000_000_500;
const issuer = "https://id.example.com";
const clock = { now: () => START };
const keys = new Map<SigningAlgorithm, SigningKey>();
const published: PublicJwk[] = [];

before(async () => {
  for (const algorithm of signingAlgorithms) {
    const privateKey = await generatePrivateKey(algorithm);
    const jwk = publicJwk(privateKey, algorithm);
    keys.set(algorithm, { id: jwk.kid, algorithm, privateKey });
    published.push(jwk);
  }
});

const signingKeys = { current: (algorithm: SigningAlgorithm) => keys.get(algorithm)! };
const idTokens = createIdTokens({ signingKeys, issuer, settings: { idTokenSeconds: 300 }, clock });
const accessTokens = createAccessTokens({
  signingKeys,
  issuer,
  settings: { accessTokenSeconds: 600, accessTokenAlgorithm: "ES256" },
  clock,
});

const input: IdTokenInput = {
  subject: newId(START),
  clientId: "shop",
  sessionId: newId(START),
  authenticatedAt: START - 60_000,
  amr: ["pwd", "otp"],
};

test("OIDC Core §2: iss, sub, aud, exp, iat, auth_time and amr; what is not known is left out", () => {
  assert.deepEqual(decodeJwt(idTokens.mint(input)), {
    iss: issuer,
    sub: input.subject,
    aud: "shop",
    exp: 1_800_000_300,
    iat: 1_800_000_000,
    auth_time: 1_799_999_940,
    amr: ["pwd", "otp"],
    sid: input.sessionId,
  });
});

test("OIDC Core §2, §5.1: nonce, acr and the profile come through unchanged", () => {
  const profile = {
    preferred_username: "alice",
    name: "Ålice 🔑",
    email: "alice@example.com",
    email_verified: false,
  };
  const claims = decodeJwt(idTokens.mint({ ...input, nonce: "n-0S6_WzA2Mj", acr: "2", profile }));
  const { nonce, acr, preferred_username, name, email, email_verified } = claims;
  assert.deepEqual({ preferred_username, name, email, email_verified }, profile);
  assert.deepEqual([nonce, acr], ["n-0S6_WzA2Mj", "2"]);
});

test("a profile cannot take the place of a claim that identifies", () => {
  const profile = { name: "Mallory", sub: "someone-else", aud: "other", iss: "https://evil.example" };
  const claims = decodeJwt(idTokens.mint({ ...input, profile }));
  assert.deepEqual([claims.sub, claims.aud, claims.iss], [input.subject, "shop", issuer]);
});

test("OIDC Core §2: signed with ES256, or with the algorithm that the client registered; typ is JWT", async () => {
  const set = createLocalJWKSet({ keys: published.map((jwk) => ({ ...jwk })) });
  assert.equal(decodeProtectedHeader(idTokens.mint(input)).alg, "ES256");
  for (const algorithm of signingAlgorithms) {
    const token = idTokens.mint({ ...input, algorithm });
    const { protectedHeader } = await jwtVerify(token, set, {
      issuer,
      audience: "shop",
      typ: "JWT",
      algorithms: [algorithm],
      currentDate: new Date(START),
    });
    assert.equal(protectedHeader.kid, keys.get(algorithm)?.id);
  }
});

test("OIDC Core §3.1.3.6: at_hash is the left half of the hash that the signature uses", () => {
  // OIDC Core Appendix A.3: the access token and the at_hash of its example, alg RS256.
  assert.equal(
    accessTokenHash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256"),
    "77QmUPtjPfzWtF2AnpK9RQ",
  );
  assert.equal(accessTokenHash("a", "ES256"), accessTokenHash("a", "RS256"));
  // SHA-512 of "abc" (FIPS 180-4) begins with ddaf35a1…, SHAKE256 of "" (FIPS 202) with 46b9dd2b….
  const half = (text: string, algorithm: SigningAlgorithm) =>
    Buffer.from(accessTokenHash(text, algorithm), "base64url").toString("hex");
  assert.equal(half("abc", "EdDSA"), "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a");
  for (const algorithm of ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const) {
    assert.equal(half("", algorithm), "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f");
  }
});

test("an ID token that comes with an access token is bound to it by at_hash", () => {
  const claims = decodeJwt(idTokens.mint({ ...input, algorithm: "EdDSA", accessToken: "abc" }));
  assert.equal(claims.at_hash, accessTokenHash("abc", "EdDSA"));
});

test("RFC 8725 §3.11, §3.12: an ID token never passes as an access token, nor an access token as an ID token", async () => {
  const set = createLocalJWKSet({ keys: published.map((jwk) => ({ ...jwk })) });
  const idToken = idTokens.mint(input);
  const accessToken = accessTokens.mint({
    ...input,
    audience: issuer,
    scope: "openid",
    sessionExpiresAt: START + 1e9,
  }).token;
  const currentDate = new Date(START);
  const asAccessToken = {
    issuer,
    audience: issuer,
    typ: "at+jwt",
    requiredClaims: ["client_id"],
    currentDate,
  };
  const asIdToken = { issuer, audience: "shop", typ: "JWT", currentDate };
  await jwtVerify(accessToken, set, asAccessToken);
  await jwtVerify(idToken, set, asIdToken);

  // Each difference is enough by itself: type, audience, and the claims that only an access token has.
  await assert.rejects(jwtVerify(idToken, set, { typ: "at+jwt", currentDate }), /typ/);
  await assert.rejects(jwtVerify(idToken, set, { audience: issuer, currentDate }), /aud/);
  await assert.rejects(jwtVerify(idToken, set, { requiredClaims: ["client_id"], currentDate }), /client_id/);
  await assert.rejects(jwtVerify(accessToken, set, { typ: "JWT", currentDate }), /typ/);
  await assert.rejects(jwtVerify(accessToken, set, { audience: "shop", currentDate }), /aud/);
  for (const name of ["client_id", "scope", "roles", "permissions", "jti"]) {
    assert.ok(!(name in decodeJwt(idToken)), `${name} in an ID token`);
  }
});
