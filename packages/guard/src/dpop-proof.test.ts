import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Algorithm, allAlgorithms } from "./algorithms.ts";
import { type Cryptography, findNodeCrypto, nodeCryptography, webCryptography } from "./cryptography.ts";
import { createProofVerifier, createProofVerifierWith, type ProofCheck } from "./dpop-proof.ts";
import type { CheckNonce, ProofOptions } from "./proof-options.ts";
import { nowSeconds, segment, signSegments } from "./test-issuer.ts";
import {
  newClient,
  type ProofChange,
  photos,
  proofClaims,
  proofHeader,
  prove,
  requestWith,
  sha256,
} from "./test-proof.ts";

const crypto = findNodeCrypto();
assert.ok(crypto);
const runtimes: readonly Cryptography[] = [nodeCryptography(crypto), webCryptography()];
const client = newClient();
const verifier = createProofVerifier();

const outcome = (check: ProofCheck) => (check.ok ? "ok" : check.reason);
/** What both runtimes say, which must be the same. */
async function reason(
  proof: Parameters<typeof requestWith>[0],
  change: Parameters<typeof requestWith>[1] = {},
  options: ProofOptions = {},
): Promise<string> {
  const said = await Promise.all(
    runtimes.map((one) => createProofVerifierWith(options, one)(requestWith(proof, change))),
  );
  const [first = "", ...others] = said.map(outcome);
  for (const other of others) assert.equal(other, first);
  return first;
}
const changed = (change: ProofChange, options: ProofOptions = {}) =>
  reason(prove(client, change), {}, options);

// The examples of the RFC: figures 2 and 13, and the thumbprint of figure 8.
const rfcHeader =
  "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19";
const rfcTokenProof = `${rfcHeader}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg`;
const rfcResourceProof = `${rfcHeader}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA`;
const rfcToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const rfcThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

for (const cryptography of runtimes) {
  test(`RFC 9449 §4.1, §7.1: the examples of the RFC verify with ${cryptography.name} crypto, in their time`, async () => {
    const at = (iat: number) => createProofVerifierWith({ now: () => (iat + 4) * 1000 }, cryptography);
    const token = { proof: rfcTokenProof, method: "POST", url: "https://server.example.com/token" };
    assert.deepEqual(await at(1562262616)(token), {
      ok: true,
      thumbprint: rfcThumbprint,
      jti: "-BwC3ESc6acc2lTc",
      issuedAt: 1562262616,
    });
    const resource = {
      proof: rfcResourceProof,
      method: "GET",
      url: "https://resource.example.org/protectedresource",
      accessToken: rfcToken,
      keyThumbprint: rfcThumbprint,
    };
    assert.equal(outcome(await at(1562262618)(resource)), "ok");
    assert.equal(outcome(await at(1562262618)({ ...resource, accessToken: "x" })), "proof_wrong_token");
    assert.equal(outcome(await at(1562262700)(resource)), "proof_out_of_time");
  });

  for (const algorithm of allAlgorithms) {
    test(`a ${algorithm} proof by jose verifies with ${cryptography.name} crypto under jose's thumbprint, where it is allowed`, async () => {
      const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
      const jwk = await exportJWK(publicKey);
      const make = () =>
        new SignJWT(proofClaims())
          .setProtectedHeader({ typ: "dpop+jwt", alg: algorithm, jwk })
          .sign(privateKey);
      const verify = createProofVerifierWith({ algorithms: [algorithm] }, cryptography);
      for (let use = 0; use < 2; use++) {
        const check = await verify(requestWith(await make()));
        assert.ok(check.ok, outcome(check));
        assert.equal(check.thumbprint, await calculateJwkThumbprint(jwk));
      }
      const others = allAlgorithms.filter((name) => name !== algorithm);
      const narrow = createProofVerifierWith({ algorithms: others }, cryptography);
      assert.equal(outcome(await narrow(requestWith(await make()))), "proof_algorithm_not_allowed");
    });
  }
}

test("with node:crypto a proof is decided at once", () => {
  const check = verifier(requestWith(prove(client)));
  assert.ok(!(check instanceof Promise) && check.ok);
  assert.equal(check.thumbprint, client.thumbprint);
});

test("RFC 9449 §4.3: refuses more than one DPoP header, kept apart or joined", async () => {
  const proof = prove(client);
  for (const header of [[proof, proof], [proof, ""], `${proof}, ${proof}`, `${proof},`, ["", ""]]) {
    assert.equal(await reason(header), "proof_repeated");
  }
  assert.equal(await reason([proof]), "ok");
  for (const nothing of [undefined, "", [], [""]]) assert.equal(await reason(nothing), "proof_missing");
});

test("RFC 9449 §4.3: refuses what is no well-formed JWT, and does not look at one that is too long", async () => {
  const proof = prove(client);
  const [header = "", payload = "", signature = ""] = proof.split(".");
  for (const bad of [
    "x",
    "..",
    "a.b.c",
    `${proof}.`,
    `${proof}.a.b`,
    `${header}.${payload}`,
    `${header}.${payload}.`,
  ]) {
    assert.equal(await reason(bad), "proof_malformed", bad);
  }
  for (const bad of [`${proof}=`, ` ${proof}`, `${proof} `, `${header}.${payload} .${signature}`]) {
    assert.match(await reason(bad), /proof_malformed|proof_bad_signature/);
  }
  assert.equal(await reason(7 as never), "proof_malformed");
  assert.equal(await reason([7] as never), "proof_malformed");
  assert.equal(await changed({ claims: { pad: "x".repeat(9000) } }), "proof_too_long");
  assert.equal(await changed({ claims: { pad: "x".repeat(8000) } }), "ok");
});

test("RFC 9449 §4.3: typ is dpop+jwt and nothing else", async () => {
  for (const typ of ["JWT", "at+jwt", "application/dpop+jwt", "DPOP+JWT", "dpop+jwt ", "", undefined]) {
    assert.equal(await changed({ header: { typ } }), "proof_wrong_type", String(typ));
  }
  assert.equal(await changed({ header: { typ: 1 } }), "proof_malformed");
});

test("RFC 9449 §4.3: none, HS256 with the jwk for a secret, and unknown algorithms are refused", async () => {
  const input = `${segment(proofHeader(client, { alg: "HS256" }))}.${segment(proofClaims())}`;
  for (const secret of [JSON.stringify(client.jwk), client.jwk.x ?? "", ""]) {
    const mac = createHmac("sha256", secret).update(input).digest("base64url");
    assert.equal(await reason(`${input}.${mac}`), "proof_algorithm_not_allowed");
  }
  for (const alg of [
    "none",
    "None",
    "",
    "ES256K",
    "es256",
    "constructor",
    "__proto__",
    null,
    1,
    ["ES256"],
    undefined,
  ]) {
    assert.equal(await changed({ header: { alg } }), "proof_algorithm_not_allowed", String(alg));
  }
  const unsigned = `${segment(proofHeader(client, { alg: "none" }))}.${segment(proofClaims())}.`;
  assert.equal(await reason(unsigned), "proof_algorithm_not_allowed");
  assert.throws(
    () => createProofVerifier({ algorithms: ["HS256" as Algorithm] }),
    /algorithms takes .*got HS256/,
  );
});

test("RFC 7515 §4.1.11: crit and b64 are refused", async () => {
  for (const header of [{ crit: ["exp"] }, { crit: [] }, { b64: false }]) {
    assert.equal(await changed({ header }), "proof_malformed");
  }
});

test("RFC 9449 §4.3: refuses a jwk that holds anything private", async () => {
  const whole = client.privateKey.export({ format: "jwk" });
  assert.equal(await changed({ header: { jwk: whole } }), "proof_bad_key");
  for (const name of ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]) {
    assert.equal(
      await changed({ header: { jwk: { ...client.jwk, [name]: "AAAA" } } }),
      "proof_bad_key",
      name,
    );
  }
});

test("RFC 9449 §4.2: the jwk is a public key that fits the algorithm, in the one spelling it has", async () => {
  const { jwk } = client;
  const short = Buffer.concat([Buffer.of(0), Buffer.from(jwk.x ?? "", "base64url")]).toString("base64url");
  const odd = [
    undefined,
    null,
    "x",
    [jwk],
    {},
    { ...jwk, kty: "RSA" },
    { ...jwk, kty: "oct", k: "AAAA" },
    { ...jwk, crv: "P-384" },
    { ...jwk, crv: "Ed25519" },
    { ...jwk, crv: ["P-256"] },
    { ...jwk, x: undefined },
    { ...jwk, x: 7 },
    { ...jwk, x: [jwk.x] },
    { ...jwk, x: `${jwk.x}=` },
    { ...jwk, x: short },
    { ...jwk, x: "AAAA" },
    // A point that is on no curve: the runtime's word.
    { ...jwk, x: jwk.y },
    { ...jwk, use: "enc" },
    { ...jwk, key_ops: ["sign"] },
    { ...jwk, alg: "ES384" },
    { ...jwk, kid: 7 },
  ];
  for (const one of odd) {
    assert.equal(await changed({ header: { jwk: one } }), "proof_bad_key", JSON.stringify(one));
  }
  const fine = { ...jwk, use: "sig", key_ops: ["verify"], alg: "ES256", kid: "a", ext: true };
  const check = await verifier(requestWith(prove(client, { header: { jwk: fine } })));
  assert.ok(
    check.ok && check.thumbprint === client.thumbprint,
    "only the required members make the thumbprint",
  );
});

test("RFC 7518 §3.3: an RSA key below 2048 bits, with a zero in front, or with a long exponent is refused", async () => {
  const proofBy = (modulusLength: number, change: (jwk: Record<string, string>) => object = (jwk) => jwk) => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength });
    const jwk = change(publicKey.export({ format: "jwk" }) as Record<string, string>);
    const input = `${segment({ typ: "dpop+jwt", alg: "RS256", jwk })}.${segment(proofClaims())}`;
    return `${input}.${sign("sha256", Buffer.from(input), privateKey).toString("base64url")}`;
  };
  const rs256 = (proof: string) => reason(proof, {}, { algorithms: ["RS256"] });
  const padded = (text = "") =>
    Buffer.concat([Buffer.of(0), Buffer.from(text, "base64url")]).toString("base64url");
  assert.equal(await rs256(proofBy(2048)), "ok");
  assert.equal(await rs256(proofBy(1024)), "proof_bad_key");
  assert.equal(await rs256(proofBy(2048, (jwk) => ({ ...jwk, n: padded(jwk.n) }))), "proof_bad_key");
  assert.equal(await rs256(proofBy(2048, (jwk) => ({ ...jwk, e: padded(jwk.e) }))), "proof_bad_key");
  assert.equal(await rs256(proofBy(2048, (jwk) => ({ ...jwk, e: "AQAAAAE" }))), "proof_bad_key");
  assert.equal(await rs256(proofBy(2048, (jwk) => ({ ...jwk, e: "AQ" }))), "proof_bad_key");
});

test("RFC 9449 §4.3: the signature is by the key in the header", async () => {
  const thief = newClient();
  const input = `${segment(proofHeader(client))}.${segment(proofClaims())}`;
  assert.equal(
    await reason(signSegments(thief, ...(input.split(".") as [string, string]))),
    "proof_bad_signature",
  );
  const der = sign("sha256", Buffer.from(input), client.privateKey);
  for (const signature of [
    Buffer.alloc(64),
    Buffer.alloc(64, 0xff),
    Buffer.alloc(63, 1),
    Buffer.alloc(65, 1),
    der,
  ]) {
    assert.equal(await reason(`${input}.${signature.toString("base64url")}`), "proof_bad_signature");
  }
  const [header = "", payload = "", signature = ""] = prove(client).split(".");
  assert.equal(await reason(`${header}.${segment(proofClaims())}.${signature}`), "proof_bad_signature");
  const other = segment(proofHeader(client, { jwk: thief.jwk }));
  assert.equal(await reason(`${other}.${payload}.${signature}`), "proof_bad_signature");
});

test("RFC 9449 §4.3: a high s is the same signature once more, and its jti is used up", async () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const proof = prove(client);
  const end = proof.lastIndexOf(".");
  const signature = Buffer.from(proof.slice(end + 1), "base64url");
  const s = order - BigInt(`0x${signature.subarray(32).toString("hex")}`);
  const mirrored = Buffer.concat([
    signature.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, "0"), "hex"),
  ]);
  const verify = createProofVerifier();
  assert.equal(outcome(await verify(requestWith(proof))), "ok");
  const again = `${proof.slice(0, end)}.${mirrored.toString("base64url")}`;
  assert.equal(outcome(await verify(requestWith(again))), "proof_replayed");
});

test("RFC 9449 §4.2: jti, htm, htu and iat are there, of the right types and bounded", async () => {
  const odd: Record<string, unknown>[] = [
    ...["jti", "htm", "htu", "iat"].flatMap((name) =>
      [undefined, null, {}, [], true].map((value) => ({ [name]: value })),
    ),
    { jti: "" },
    { jti: 7 },
    { jti: "x".repeat(257) },
    { htm: "" },
    { htu: "" },
    { iat: String(nowSeconds()) },
    { nonce: 7 },
    { nonce: "" },
    { nonce: "x".repeat(513) },
    { ath: 7 },
  ];
  for (const claims of odd)
    assert.equal(await changed({ claims }), "proof_bad_claims", JSON.stringify(claims));
  assert.equal(await changed({ claims: { jti: "x".repeat(256), more: { things: [1] } } }), "ok");
  for (const body of ["null", "[]", "1", "{", "", "{}x"]) {
    const payload = Buffer.from(body).toString("base64url");
    assert.equal(
      await reason(signSegments(client, segment(proofHeader(client)), payload)),
      "proof_bad_claims",
      body,
    );
  }
});

test("RFC 9449 §4.3: refuses a proof whose htm is another method, or another case of it", async () => {
  for (const htm of ["POST", "get", "Get", " GET", "GET "]) {
    assert.equal(await changed({ claims: { htm } }), "proof_wrong_method", htm);
  }
  assert.equal(await reason(prove(client, { claims: { htm: "PATCH" } }), { method: "PATCH" }), "ok");
});

test("RFC 9449 §4.3: the proof's time is within the window, before and behind", async () => {
  const now = nowSeconds();
  const at = (iat: number, options: ProofOptions = {}) =>
    changed({ claims: { iat } }, { now: () => now * 1000, ...options });
  assert.equal(await at(now - 60), "ok");
  assert.equal(await at(now + 60), "ok");
  assert.equal(await at(now - 61), "proof_out_of_time");
  assert.equal(await at(now + 61), "proof_out_of_time");
  assert.equal(await at(1e308), "proof_out_of_time");
  assert.equal(await at(now - 5, { windowSeconds: 5 }), "ok");
  assert.equal(await at(now - 6, { windowSeconds: 5 }), "proof_out_of_time");
});

test("RFC 9449 §8: a fresh nonce counts for the time, an old one leaves it to the clock, a needed one is asked for", async () => {
  const now = nowSeconds();
  const seen: unknown[] = [];
  const checkNonce: CheckNonce = (nonce, issuedAt) => {
    seen.push([nonce, issuedAt]);
    return nonce === "fresh"
      ? "good"
      : nonce === "forged"
        ? "bad"
        : nonce === "strict"
          ? "use_nonce"
          : "by_clock";
  };
  const at = (nonce: string | undefined, iat: number) => changed({ claims: { nonce, iat } }, { checkNonce });
  const hours = now - 7200;
  assert.equal(await at("fresh", hours), "ok", "a clock that is wrong by hours");
  assert.equal(await at("old", hours), "proof_nonce_needed");
  assert.equal(await at(undefined, hours), "proof_nonce_needed");
  assert.equal(await at("old", now), "ok");
  assert.equal(await at(undefined, now), "ok");
  assert.equal(await at("strict", now), "proof_nonce_needed");
  assert.equal(await at("forged", now), "proof_bad_nonce");
  assert.deepEqual(seen[0], ["fresh", hours]);
  assert.equal(
    await changed({ claims: { nonce: "anything" } }),
    "ok",
    "without the hook nonces are not looked at",
  );
  const count = seen.length;
  const forged = prove(newClient(), { header: { jwk: client.jwk }, claims: { nonce: "fresh" } });
  assert.equal(await reason(forged, {}, { checkNonce }), "proof_bad_signature");
  assert.equal(seen.length, count, "nobody is asked about the nonce of a forged proof");
  const odd = { checkNonce: () => "yes" as never };
  assert.equal(await changed({}, odd), "proof_bad_nonce", "a verdict that does not exist lets nobody in");
});

test("RFC 9449 §4.3: ath is the hash of the access token that came along, and of no other", async () => {
  const accessToken = "token.of.alice";
  assert.equal(await reason(prove(client, { token: accessToken }), { accessToken }), "ok");
  for (const claims of [
    {},
    { ath: sha256("token.of.bob") },
    { ath: `${sha256(accessToken)}=` },
    { ath: accessToken },
  ]) {
    assert.equal(await reason(prove(client, { claims }), { accessToken }), "proof_wrong_token");
  }
});

test("RFC 9449 §4.3: a proof by another key than the token's is refused", async () => {
  const thief = prove(newClient());
  assert.equal(await reason(thief, { keyThumbprint: client.thumbprint }), "proof_wrong_key");
  assert.equal(await reason(prove(client), { keyThumbprint: client.thumbprint }), "ok");
});

test("RFC 9449 §11.1: a proof is good once for its key, and what was refused is not used up", async () => {
  for (const cryptography of runtimes) {
    const verify = createProofVerifierWith({}, cryptography);
    const proof = prove(client, { claims: { jti: "one" } });
    const wrong = [{ method: "POST" }, { url: `${photos}/1` }, { accessToken: "x" }, { keyThumbprint: "x" }];
    for (const change of wrong) assert.notEqual(outcome(await verify(requestWith(proof, change))), "ok");
    assert.equal(outcome(await verify(requestWith(proof))), "ok");
    assert.equal(outcome(await verify(requestWith(proof))), "proof_replayed");
    assert.equal(
      outcome(await verify(requestWith(prove(client, { claims: { jti: "one" } })))),
      "proof_replayed",
    );
    assert.equal(outcome(await verify(requestWith(prove(newClient(), { claims: { jti: "one" } })))), "ok");
    assert.equal(outcome(await verify(requestWith(prove(client, { claims: { jti: "two" } })))), "ok");
    const lax = createProofVerifierWith({ replayMax: 0 }, cryptography);
    for (let use = 0; use < 3; use++) assert.equal(outcome(await lax(requestWith(proof))), "ok");
  }
});

test("RFC 9449 §11.1: of two uses of a proof at the same moment one passes", async () => {
  const verify = createProofVerifierWith({}, webCryptography());
  const request = requestWith(prove(client));
  const said = (await Promise.all(Array.from({ length: 8 }, () => verify(request)))).map(outcome);
  assert.deepEqual(said.toSorted(), ["ok", ...Array(7).fill("proof_replayed")]);
});

test("RFC 9449 §11.1: a proof stays used for as long as it would be good, even from the end of the window", () => {
  let now = nowSeconds();
  const verify = createProofVerifier({ now: () => now * 1000 });
  for (let proofs = 0; proofs < 20; proofs++) {
    const proof = requestWith(prove(client, { claims: { iat: now + 60 } }));
    assert.equal(outcome(verify(proof) as ProofCheck), "ok");
    for (let second = 0; second <= 120; second += 24) {
      assert.equal(outcome(verify(proof) as ProofCheck), "proof_replayed", `after ${second} s`);
      now += 24;
    }
    assert.equal(outcome(verify(proof) as ProofCheck), "proof_out_of_time");
    now += 17;
  }
});

test("a forged proof neither throws nor passes, whatever it is made of", async () => {
  const part = fc.oneof(
    fc.string(),
    fc.json().map((text) => Buffer.from(text).toString("base64url")),
    fc.constant(segment(proofHeader(client))),
    fc.constant(segment(proofClaims())),
    fc.uint8Array({ minLength: 64, maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString("base64url")),
  );
  const web = createProofVerifierWith({}, webCryptography());
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
      for (const verify of [verifier, web]) assert.ok(!(await verify(requestWith(parts.join(".")))).ok);
    }),
    { numRuns: 500 },
  );
});

test("no claims and no header of a proof, well signed, make the verifier throw", async () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom(client.jwk, photos, "GET", nowSeconds(), "dpop+jwt", "ES256"),
  );
  const members = fc.dictionary(
    fc.constantFrom(
      "typ",
      "alg",
      "jwk",
      "jti",
      "htm",
      "htu",
      "iat",
      "ath",
      "nonce",
      "crit",
      "kty",
      "x",
      "__proto__",
    ),
    value,
  );
  await fc.assert(
    fc.asyncProperty(members, members, members, async (header, claims, jwk) => {
      const change = { header: { ...header, jwk: { ...client.jwk, ...jwk } }, claims };
      assert.match(await changed(change), /^ok$|^proof_/);
      assert.match(await changed({ claims }), /^ok$|^proof_/);
    }),
    { numRuns: 300 },
  );
});

test("any change of any character of a good proof is refused", () => {
  const lax = createProofVerifier({ replayMax: 0 });
  const good = prove(client);
  assert.equal(outcome(lax(requestWith(good)) as ProofCheck), "ok");
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.constantFrom(..."Aaz09-_.=+, é"), (at, character) => {
      fc.pre(good[at] !== character);
      const check = lax(requestWith(good.slice(0, at) + character + good.slice(at + 1)));
      assert.ok(!(check instanceof Promise) && !check.ok);
    }),
    { numRuns: 1000 },
  );
});

test("a client's key is imported once, and the keys of forged proofs push nobody's out", async () => {
  for (const cryptography of runtimes) {
    let imports = 0;
    const counting: Cryptography = {
      ...cryptography,
      makeVerifier(key, algorithm) {
        imports++;
        return cryptography.makeVerifier(key, algorithm);
      },
    };
    const verify = createProofVerifierWith({ keysMax: 4 }, counting);
    const use = async (proof: string) => outcome(await verify(requestWith(proof)));
    for (let proofs = 0; proofs < 3; proofs++) assert.equal(await use(prove(client)), "ok");
    assert.equal(imports, 1);
    for (let forged = 0; forged < 20; forged++) {
      const header = { jwk: newClient().jwk };
      assert.equal(await use(prove(client, { header })), "proof_bad_signature");
    }
    assert.equal(imports, 21);
    assert.equal(await use(prove(client)), "ok");
    assert.equal(imports, 21);
  }
});

test("an option that is wrong stops createProofVerifier with what it takes", () => {
  const wrong: [ProofOptions, RegExp][] = [
    [{ windowSeconds: 3601 }, /createProofVerifier: windowSeconds takes a number from 0 to 3600/],
    [{ windowSeconds: Number.NaN }, /windowSeconds/],
    [{ replayMax: -1 }, /replayMax/],
    [{ keysMax: "1" as never }, /keysMax/],
    [{ nonceSeconds: 86_401 }, /nonceSeconds/],
    [{ algorithms: [] }, /empty list/],
  ];
  for (const [options, message] of wrong) assert.throws(() => createProofVerifier(options), message);
});
