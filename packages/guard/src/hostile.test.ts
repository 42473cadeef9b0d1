import assert from "node:assert/strict";
import { createHmac, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { createGuard } from "./guard.ts";
import type { PublicJsonWebKey } from "./json-web-key.ts";
import type { GuardOptions } from "./options.ts";
import {
  audience,
  goodClaims,
  inProcess,
  mint,
  newKey,
  nowSeconds,
  reasonOf,
  segment,
  signSegments,
  staticIssuer,
} from "./test-issuer.ts";

const key = newKey("k1");
const reason = async (token: string, options: Partial<GuardOptions> = {}) => {
  const guard = createGuard(inProcess([key], options));
  const first = reasonOf(await guard.verify(token));
  // The second time comes from the cache, where the first was let through: the answer must be the same.
  assert.equal(reasonOf(await guard.verify(token)), first);
  return first;
};
const withKeys = (keys: readonly PublicJsonWebKey[]) => ({ source: { jwks: () => ({ keys }) } });

test("RFC 7515 §3.1: a token has three parts; a JWE of five is refused by its name", async () => {
  const good = mint(key);
  assert.equal(await reason(good), "ok");
  for (const bad of ["", ".", "..", "a.b", `${good}.x`, good.replaceAll(".", ""), `${good}.`, `.${good}`]) {
    assert.equal(await reason(bad), "malformed", bad);
  }
  assert.equal(await reason(`${good}.a.b`), "encrypted");
  assert.equal(await reason(undefined as unknown as string), "malformed");
});

test("RFC 7515 §2: another spelling of a good token is refused", async () => {
  const good = mint(key);
  const [header, payload, signature] = good.split(".") as [string, string, string];
  const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const loose = last[last.indexOf(signature.at(-1)!) + 1] as string;
  const spellings = [
    `${good}=`,
    `${good}==`,
    `${good}\n`,
    ` ${good}`,
    `${header}.${payload}.${signature.slice(0, -1)}${loose}`,
  ];
  for (const spelling of spellings) assert.equal(await reason(spelling), "malformed", spelling);
});

test("a token longer than 16 KB is not looked at", async () => {
  assert.equal(await reason(mint(key, { pad: "x".repeat(13_000) })), "too_long");
  assert.equal(await reason(mint(key, { pad: "x".repeat(9000) })), "ok");
});

test("RFC 8725 §3.1: none, HS256 and unknown algorithms are refused, whatever the secret is made of", async () => {
  const input = `${segment({ alg: "HS256", typ: "at+jwt", kid: "k1" })}.${segment(goodClaims())}`;
  const pem = createPublicKey({ key: key.jwk as never, format: "jwk" }).export({
    type: "spki",
    format: "pem",
  });
  for (const secret of [pem, JSON.stringify(key.jwk), key.jwk.x as string]) {
    const mac = createHmac("sha256", secret).update(input).digest("base64url");
    assert.equal(await reason(`${input}.${mac}`), "algorithm_not_allowed");
  }
  for (const alg of [
    "none",
    "None",
    "NONE",
    "nOnE",
    "",
    "es256",
    "ES256K",
    "constructor",
    "__proto__",
    null,
    1,
    ["ES256"],
  ]) {
    const head = segment({ alg, typ: "at+jwt", kid: "k1" });
    assert.equal(await reason(`${head}.${segment(goodClaims())}.AAAA`), "algorithm_not_allowed", String(alg));
    assert.match(await reason(`${head}.${segment(goodClaims())}.`), /malformed|algorithm_not_allowed/);
  }
});

test("RFC 7515 §4.1.11: crit is refused, understood by nobody, and so is b64 (RFC 7797)", async () => {
  for (const header of [
    { crit: ["exp"], exp: 1 },
    { crit: [] },
    { crit: ["b64"], b64: false },
    { b64: false },
    { crit: "x" },
  ]) {
    assert.equal(await reason(mint(key, {}, header)), "critical_header");
  }
});

test("RFC 8725 §3.10: keys that the token brings along (jwk, jku, x5u, x5c) are never used", async () => {
  const thief = newKey("k1");
  const headers = [
    { jwk: thief.jwk },
    { jku: "http://127.0.0.1:1/jwks" },
    { x5u: "http://127.0.0.1:1/c" },
    { x5c: ["AA"] },
  ];
  for (const header of headers) {
    assert.equal(await reason(mint(thief, {}, header)), "bad_signature");
    assert.equal(await reason(mint(key, {}, header)), "ok");
  }
});

test("RFC 7515 §4: header and payload are JSON objects, the payload valid UTF-8", async () => {
  const good = segment(goodClaims());
  for (const head of ["null", "[]", "1", '"x"', "{", "", '{"alg":"ES256"} x']) {
    assert.equal(
      await reason(signSegments(key, Buffer.from(head).toString("base64url"), good)),
      "malformed",
      head,
    );
  }
  const head = segment({ alg: "ES256", typ: "at+jwt", kid: "k1" });
  for (const body of ["null", "[]", "1", "{", "", "{}x"]) {
    assert.equal(
      await reason(signSegments(key, head, Buffer.from(body).toString("base64url"))),
      "malformed",
      body,
    );
  }
  assert.equal(
    await reason(signSegments(key, head, Buffer.of(0x22, 0xff, 0x22).toString("base64url"))),
    "malformed",
  );
  assert.equal(await reason(mint(key, {}, { kid: 1 })), "malformed");
});

test("RFC 7518 §3.4: a signature of the wrong length, of zeros, or in DER is refused", async () => {
  const input = mint(key).split(".").slice(0, 2).join(".");
  const der = sign("sha256", Buffer.from(input), key.privateKey);
  const signatures = [
    Buffer.alloc(64),
    Buffer.alloc(63, 1),
    Buffer.alloc(65, 1),
    Buffer.alloc(64, 0xff),
    Buffer.alloc(1),
    der,
  ];
  for (const signature of signatures) {
    assert.equal(await reason(`${input}.${signature.toString("base64url")}`), "bad_signature");
  }
});

test("RFC 8725 §3.1: a key works only with its own algorithm, use and operations", async () => {
  const token = mint(key);
  const { alg: _alg, ...bare } = key.jwk;
  assert.equal(await reason(token, withKeys([bare])), "ok");
  const unfit = [
    { ...key.jwk, alg: "ES384" },
    { ...key.jwk, alg: "HS256" },
    { ...key.jwk, use: "enc" },
    { ...key.jwk, key_ops: ["sign"] },
    { ...key.jwk, kty: "RSA" },
    { ...key.jwk, kty: "oct", k: "c2VjcmV0" },
    { ...key.jwk, crv: "P-384" },
    { ...key.jwk, d: "AAAA" },
  ];
  for (const jwk of unfit)
    assert.equal(await reason(token, withKeys([jwk])), "unknown_key", JSON.stringify(jwk));
  assert.equal(await reason(token, withKeys([{ ...key.jwk, x: "AAAA" }])), "bad_signature");
});

test("RFC 7518 §3.3: an RSA key below 2048 bits is refused", async () => {
  for (const [modulusLength, expected] of [
    [1024, "unknown_key"],
    [2040, "unknown_key"],
    [2048, "ok"],
  ] as const) {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength });
    const jwk = { ...publicKey.export({ format: "jwk" }), kid: "rsa" } as PublicJsonWebKey;
    const input = `${segment({ alg: "RS256", typ: "at+jwt", kid: "rsa" })}.${segment(goodClaims())}`;
    const token = `${input}.${sign("sha256", Buffer.from(input), privateKey).toString("base64url")}`;
    assert.equal(await reason(token, withKeys([jwk])), expected, String(modulusLength));
  }
});

test("RFC 7517 §4.5: two keys of one name, and tokens that name none, find the key that fits", async () => {
  const twin = newKey("k1");
  const keys = withKeys([twin.jwk, { kty: "OKP", crv: "Ed25519", kid: "k1", x: "AAAA" }, key.jwk]);
  assert.equal(await reason(mint(key), keys), "ok");
  assert.equal(await reason(mint(twin), keys), "ok");
  assert.equal(await reason(mint(key, {}, { kid: undefined }), keys), "ok");
  assert.equal(await reason(mint(newKey("k1")), keys), "bad_signature");
  assert.equal(await reason(mint(newKey("x"), {}, { kid: undefined }), keys), "bad_signature");
  assert.equal(await reason(mint(newKey("x")), keys), "unknown_key");
});

test("RFC 9068 §4: typ is at+jwt, with or without application/, in any case", async () => {
  for (const typ of ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"]) {
    assert.equal(await reason(mint(key, {}, { typ })), "ok", typ);
  }
  for (const typ of ["JWT", undefined, "logout+jwt", "dpop+jwt", "application/jwt", "", "at+jwt "]) {
    assert.equal(await reason(mint(key, {}, { typ })), "wrong_type", String(typ));
  }
});

test("tokenType any: takes JWT and no typ, but neither ID tokens nor logout tokens", async () => {
  const any = { tokenType: "any" } as const;
  for (const typ of ["at+jwt", "JWT", "jwt", undefined])
    assert.equal(await reason(mint(key, {}, { typ }), any), "ok");
  assert.equal(await reason(mint(key, {}, { typ: "logout+jwt" }), any), "wrong_type");
  for (const claim of ["nonce", "at_hash", "c_hash", "s_hash", "events"]) {
    assert.equal(await reason(mint(key, { [claim]: "x" }, { typ: "JWT" }), any), "wrong_type", claim);
  }
  assert.equal(await reason(mint(key, { iat: undefined }, { typ: "JWT" }), any), "ok");
});

test("RFC 9068 §4: iss is exact and aud holds this API", async () => {
  for (const iss of [`${staticIssuer}/`, "https://LOGIN.example.com", undefined, [staticIssuer], null]) {
    assert.equal(await reason(mint(key, { iss })), "wrong_issuer");
  }
  for (const aud of [
    "https://other",
    [],
    ["https://other"],
    undefined,
    7,
    { 0: audience },
    [[audience]],
    `${audience}/`,
  ]) {
    assert.equal(await reason(mint(key, { aud })), "wrong_audience");
  }
  assert.equal(await reason(mint(key, { aud: ["https://other", audience] })), "ok");
  assert.equal(await reason(mint(key, { aud: "b" }), { audience: ["a", "b"] }), "ok");
});

test("RFC 7519 §4.1: exp is required and past, nbf and iat not ahead, beyond the tolerance of 5 s", async () => {
  const now = nowSeconds();
  const guard = (claims: Record<string, unknown>) =>
    reason(mint(key, { iat: now - 100, exp: now + 100, ...claims }), { now: () => now * 1000 });
  assert.equal(await guard({ exp: now - 4 }), "ok");
  assert.equal(await guard({ exp: now - 5 }), "expired");
  assert.equal(await guard({ nbf: now + 5 }), "ok");
  assert.equal(await guard({ nbf: now + 6 }), "not_yet_valid");
  assert.equal(await guard({ iat: now + 5 }), "ok");
  assert.equal(await guard({ iat: now + 6 }), "not_yet_valid");
  for (const bad of [
    { exp: undefined },
    { exp: String(now + 100) },
    { exp: null },
    { nbf: "0" },
    { iat: undefined },
    { iat: {} },
  ]) {
    assert.equal(await guard(bad), "bad_claims", JSON.stringify(bad));
  }
  for (const bad of [{ sub: undefined }, { sub: "" }, { sub: 7 }, { sid: 7 }, { client_id: ["x"] }]) {
    assert.equal(await guard(bad), "bad_claims", JSON.stringify(bad));
  }
});

test("any change of any character of a good token is refused", () => {
  const guard = createGuard(inProcess([key]));
  const good = mint(key);
  assert.equal(reasonOf(guard.verify(good) as never), "ok");
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.constantFrom(..."Aaz09-_.=+ \u00e9"), (at, character) => {
      fc.pre(good[at] !== character);
      const changed = guard.verify(good.slice(0, at) + character + good.slice(at + 1));
      assert.ok(!(changed instanceof Promise) && !changed.ok);
    }),
    { numRuns: 1000 },
  );
});

test("no text at all makes the guard throw, or takes more than a refusal", () => {
  const guard = createGuard(inProcess([key]));
  const part = fc.oneof(
    fc.string(),
    fc.json().map((text) => Buffer.from(text).toString("base64url")),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const verification = guard.verify(parts.join("."));
      assert.ok(
        !(verification instanceof Promise) && !verification.ok && verification.refusal.status === 401,
      );
    }),
  );
});
