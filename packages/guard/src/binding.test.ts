import assert from "node:assert/strict";
import { test } from "node:test";
import type { Presentation } from "./binding.ts";
import { type Cryptography, findNodeCrypto, nodeCryptography, webCryptography } from "./cryptography.ts";
import type { GuardEvent } from "./events.ts";
import { createGuard, createGuardWith, type Verification } from "./guard.ts";
import type { GuardOptions } from "./options.ts";
import { createProofNonces } from "./proof-nonces.ts";
import type { Requirement } from "./requirement.ts";
import { inProcess, mint, newKey, nowSeconds, reasonOf } from "./test-issuer.ts";
import { newClient, type ProofChange, photos, prove } from "./test-proof.ts";

const crypto = findNodeCrypto();
assert.ok(crypto);
const runtimes: readonly Cryptography[] = [nodeCryptography(crypto), webCryptography()];
const key = newKey("k1");
const client = newClient();
const cnf = { jkt: client.thumbprint };
const bound = mint(key, { cnf });
const plain = mint(key);

function presented(change: ProofChange = {}, by = client, token = bound): Presentation {
  return { scheme: "DPoP", proof: prove(by, { token, ...change }), method: "GET", url: photos };
}

type Ask = {
  token?: string;
  presented?: Presentation;
  requirement?: Requirement;
  options?: Partial<GuardOptions>;
};

/** What guards of both runtimes say, twice each: the second time the token comes from the cache. */
async function verify({
  token = bound,
  presented: how,
  requirement,
  options = {},
}: Ask): Promise<Verification> {
  const said: Verification[] = [];
  for (const cryptography of runtimes) {
    const guard = createGuardWith(inProcess([key], { dpopReplayMax: 0, ...options }), { cryptography });
    for (let use = 0; use < 2; use++) said.push(await guard.verify(token, requirement, how));
  }
  for (const other of said) assert.equal(reasonOf(other), reasonOf(said[0]!));
  return said[0]!;
}
const reason = async (ask: Ask) => reasonOf(await verify(ask));
async function refusal(ask: Ask) {
  const verification = await verify(ask);
  assert.ok(!verification.ok);
  const { status, error, headers, reason: why } = verification.refusal;
  return { why, status, error, challenge: headers["WWW-Authenticate"] ?? "" };
}

test("RFC 9449 §6.1: a bound token passes with the DPoP scheme and a proof of its key, and the identity names the key", async () => {
  const verification = await verify({ presented: presented() });
  assert.ok(verification.ok);
  assert.equal(verification.identity.keyThumbprint, client.thumbprint);
  const other = await verify({ token: plain });
  assert.ok(other.ok && !("keyThumbprint" in other.identity));
});

test("RFC 9449 §7.2: a bound token sent as Bearer is refused, whatever comes with it", async () => {
  const ways: (Presentation | undefined)[] = [
    undefined,
    { scheme: "Bearer" },
    { ...presented(), scheme: "Bearer" },
    { ...presented(), scheme: "dpop" as never },
  ];
  for (const dpop of ["accept", "require", "off"] as const) {
    for (const way of ways) {
      const ask = { options: { dpop }, ...(way !== undefined && { presented: way }) };
      assert.equal(await reason(ask), "token_bound");
    }
  }
  const { status, error, challenge } = await refusal({});
  assert.deepEqual([status, error], [401, "invalid_token"]);
  assert.match(
    challenge,
    /^DPoP algs="ES256 EdDSA Ed25519", error="invalid_token", error_description="[^"]+", Bearer$/,
  );
});

test("a token that is bound to no key is refused with the DPoP scheme, however good the proof", async () => {
  const ask = { token: plain, presented: presented({}, client, plain) };
  assert.deepEqual(await refusal(ask), {
    why: "token_not_bound",
    status: 401,
    error: "invalid_token",
    challenge:
      'DPoP algs="ES256 EdDSA Ed25519", error="invalid_token", error_description="The access token is bound to no key. Get one that is, or send it where Bearer is taken.", Bearer',
  });
  assert.equal(await reason({ token: plain, presented: { scheme: "Bearer" } }), "ok");
});

test("RFC 9449 §7.1: 401 invalid_dpop_proof when the proof is missing or wrong, and Bearer is offered too", async () => {
  const thief = newClient();
  const wrong: [Presentation, string][] = [
    [{ ...presented(), proof: undefined }, "proof_missing"],
    [{ scheme: "DPoP" }, "proof_missing"],
    [{ ...presented(), proof: ["a", "b"] }, "proof_repeated"],
    [presented({}, thief), "proof_wrong_key"],
    [presented({ header: { jwk: thief.jwk } }), "proof_wrong_key"],
    [{ ...presented({ header: { jwk: client.jwk } }, thief) }, "proof_bad_signature"],
    [{ ...presented(), method: "POST" }, "proof_wrong_method"],
    [{ ...presented(), method: undefined }, "proof_wrong_method"],
    [{ ...presented(), url: `${photos}/1` }, "proof_wrong_url"],
    [{ ...presented(), url: undefined }, "proof_wrong_url"],
    [{ ...presented(), url: "" }, "proof_wrong_url"],
    [presented({ token: plain }), "proof_wrong_token"],
    [{ ...presented(), proof: prove(client) }, "proof_wrong_token"],
    [{ ...presented(), proof: "x" }, "proof_malformed"],
    [presented({ claims: { jti: 7 } }), "proof_bad_claims"],
  ];
  for (const [way, why] of wrong) {
    const answer = await refusal({ presented: way });
    assert.deepEqual([answer.why, answer.status, answer.error], [why, 401, "invalid_dpop_proof"]);
    assert.match(
      answer.challenge,
      /^DPoP algs="[^"]+", error="invalid_dpop_proof", error_description="[^"]+", Bearer$/,
    );
  }
});

test("RFC 9449 §11.1: a proof is good once, and refused at the next use of a remembered token", async () => {
  for (const cryptography of runtimes) {
    const guard = createGuardWith(inProcess([key]), { cryptography });
    const way = presented();
    assert.equal(reasonOf(await guard.verify(bound, undefined, way)), "ok");
    assert.equal(reasonOf(await guard.verify(bound, undefined, way)), "proof_replayed");
    assert.equal(reasonOf(await guard.verify(bound, undefined, presented())), "ok");
    assert.equal(reasonOf(await guard.verify(bound)), "token_bound");
  }
});

test("require: tokens that are bound to no key do not pass, and the challenge names DPoP alone", async () => {
  const options = { dpop: "require" } as const;
  assert.equal(await reason({ presented: presented(), options }), "ok");
  const { why, challenge } = await refusal({ token: plain, options });
  assert.equal(why, "token_not_bound");
  assert.match(challenge, /^DPoP algs="[^"]+", error="invalid_token", error_description="[^"]+"$/);
  const guard = createGuard(inProcess([key], { ...options, dpopAlgorithms: ["ES384"] }));
  assert.equal(guard.refuse("missing").headers["WWW-Authenticate"], 'DPoP algs="ES384"');
});

test("a requirement of dpop asks it of one route only, and any word but false means it", async () => {
  const requirement = { dpop: true };
  assert.equal(await reason({ presented: presented(), requirement }), "ok");
  for (const dpop of [true, "yes" as never, null as never]) {
    const { why, status, challenge } = await refusal({ token: plain, requirement: { dpop } });
    assert.deepEqual([why, status], ["token_not_bound", 401]);
    assert.match(challenge, /^DPoP algs="[^"]+", error="invalid_token", error_description="[^"]+"$/);
  }
  assert.equal(await reason({ token: plain, requirement: { dpop: false } }), "ok");
  const guard = createGuard(inProcess([key]));
  assert.match(guard.refuse("missing", requirement).headers["WWW-Authenticate"] ?? "", /^DPoP algs="[^"]+"$/);
  assert.equal(guard.refuse("missing").headers["WWW-Authenticate"], "Bearer");
});

test("off: the DPoP scheme is not understood, and a bound token is still no Bearer token", async () => {
  const options = { dpop: "off" } as const;
  assert.deepEqual(await refusal({ presented: presented(), options }), {
    why: "wrong_scheme",
    status: 401,
    error: "missing_token",
    challenge: "Bearer",
  });
  assert.equal((await refusal({ options })).challenge.startsWith('Bearer error="invalid_token"'), true);
  assert.equal(await reason({ token: plain, options }), "ok");
});

test("RFC 9449 §7.1: a right that is missing is told in the scheme that was used, and only to the holder of the key", async () => {
  const requirement = { scopes: ["admin"] };
  const { status, challenge } = await refusal({ presented: presented(), requirement });
  assert.equal(status, 403);
  assert.match(
    challenge,
    /^DPoP algs="[^"]+", error="insufficient_scope", error_description="[^"]+", scope="admin"$/,
  );
  assert.equal(await reason({ presented: presented({}, newClient()), requirement }), "proof_wrong_key");
  assert.equal(await reason({ requirement }), "token_bound");
});

test("a bound token that has expired, is revoked or has a foreign signature is refused before its proof is looked at", async () => {
  const over = mint(key, { cnf, iat: 1, exp: 2 });
  for (const by of [client, newClient()]) {
    assert.equal(await reason({ token: over, presented: presented({}, by, over) }), "expired");
  }
  let now = Date.now();
  const later = createGuard(inProcess([key], { now: () => now }));
  assert.equal(reasonOf(later.verify(bound, undefined, presented()) as Verification), "ok");
  now += 3_600_000;
  const thief = presented({}, newClient());
  assert.equal(reasonOf(later.verify(bound, undefined, thief) as Verification), "expired");
  const foreign = mint(newKey("k1"), { cnf });
  const { why, challenge } = await refusal({ token: foreign, presented: presented({}, client, foreign) });
  assert.equal(why, "bad_signature");
  assert.match(challenge, /^DPoP algs="[^"]+", error="invalid_token", error_description="[^"]+", Bearer$/);
  let tell = (_event: never) => {};
  const source = {
    jwks: () => ({ keys: [key.jwk] }),
    follow(listener: (event: never) => void) {
      tell = listener;
      listener({ type: "snapshot", seq: 0, entries: [] } as never);
      return () => {};
    },
  };
  const guard = createGuard(inProcess([key], { source }));
  const token = mint(key, { cnf, sid: "s1" });
  const way = presented({}, client, token);
  tell({
    type: "revocation",
    entry: { seq: 1, session: "s1", before: 0, until: nowSeconds() + 900 },
  } as never);
  assert.equal(reasonOf((await guard.verify(token, undefined, way)) as Verification), "revoked");
});

test("an issuer's key that is taken back while a proof is looked at takes the token with it", async () => {
  let keys = [key.jwk];
  let changed = () => {};
  const source = {
    jwks: () => ({ keys }),
    onKeysChanged(listener: () => void) {
      changed = listener;
      return () => {};
    },
  };
  const guard = createGuardWith(inProcess([key], { source }), { cryptography: webCryptography() });
  assert.equal(reasonOf(await guard.verify(bound, undefined, presented())), "ok");
  const pending = guard.verify(bound, undefined, presented());
  keys = [newKey("k2").jwk];
  changed();
  assert.equal(reasonOf(await pending), "unknown_key");
});

test("RFC 7800 §3.1: a cnf that cannot be read makes no unbound token of a bound one", async () => {
  const jkt = client.thumbprint;
  const odd = [
    null,
    "x",
    7,
    [],
    [{ jkt }],
    true,
    { jkt: 7 },
    { jkt: null },
    { jkt: "" },
    { jkt: [jkt] },
    { jkt: `${jkt}=` },
    { jkt: jkt.slice(1) },
  ];
  for (const one of odd) {
    const token = mint(key, { cnf: one });
    assert.equal(await reason({ token }), "bad_claims", JSON.stringify(one));
    assert.equal(await reason({ token, presented: presented({}, client, token) }), "bad_claims");
  }
  // RFC 7800 §3.1: members "that are not understood by implementations MUST be ignored".
  for (const one of [{}, { "x5t#S256": "x" }])
    assert.equal(await reason({ token: mint(key, { cnf: one }) }), "ok");
});

test("origin: the proof is for what the outside sees, whatever Host and scheme arrive here", async () => {
  const inside = (url: string, options: Partial<GuardOptions>, htu = photos) =>
    reason({ presented: { ...presented({ claims: { htu } }), url }, options });
  const origin = "https://api.example.com";
  assert.equal(await inside("http://10.0.0.7:8080/photos?x=1", { origin }), "ok");
  assert.equal(await inside("http://10.0.0.7:8080/photos", { origin: `${origin}/` }), "ok");
  assert.equal(await inside("http://10.0.0.7:8080/photos", { origin: `${origin}:443` }), "ok");
  assert.equal(await inside("http://10.0.0.7:8080/photos", {}), "proof_wrong_url");
  assert.equal(await inside(photos, { origin: "https://other.example" }), "proof_wrong_url");
  const prefixed = "https://example.com/api/photos";
  assert.equal(await inside("http://10.0.0.7/photos", { origin: "https://example.com/api" }, prefixed), "ok");
  assert.equal(
    await inside("http://10.0.0.7/api/photos", { origin: "https://example.com/api" }, prefixed),
    "proof_wrong_url",
  );
  for (const url of ["", "/photos", "api.example.com/photos"]) {
    assert.equal(await inside(url, { origin }), "proof_wrong_url");
  }
});

test("a client whose clock is wrong by a minute gets in as it is, by hours with a nonce of the guard's", async () => {
  const now = nowSeconds();
  const guard = createGuard(inProcess([key]));
  const at = (iat: number, nonce?: string) =>
    guard.verify(bound, undefined, presented({ claims: { iat, nonce } })) as Verification;
  assert.equal(reasonOf(at(now - 60)), "ok");
  assert.equal(reasonOf(at(now + 60)), "ok");
  const refused = at(now - 7200);
  assert.ok(!refused.ok);
  const { status, error, headers } = refused.refusal;
  assert.deepEqual([status, error], [401, "use_dpop_nonce"]);
  assert.match(headers["WWW-Authenticate"] ?? "", /^DPoP algs="[^"]+", error="use_dpop_nonce", .*, Bearer$/);
  const nonce = headers["DPoP-Nonce"];
  assert.match(nonce ?? "", /^[\w-]{22}$/);
  assert.equal(reasonOf(at(now - 7200, nonce)), "ok");
  assert.equal(reasonOf(at(now - 7200, "of another process")), "proof_nonce_needed");
  assert.equal(reasonOf(at(now, "of another process")), "ok");
});

test("RFC 9449 §9: a nonce is good for 150 seconds at least and 300 at most, and nobody guesses one", () => {
  let now = 1_790_000_000;
  const nonces = createProofNonces(() => now * 1000);
  assert.equal(nonces.check("", now), "by_clock");
  for (let round = 0; round < 50; round++) {
    now += round * 7;
    const nonce = nonces.current();
    const givenAt = now;
    now += 149;
    assert.equal(nonces.check(nonce, 0), "good", `given at ${givenAt}`);
    assert.equal(nonces.check("", 0), "by_clock");
    now += 151;
    assert.equal(nonces.check(nonce, 0), "by_clock", `given at ${givenAt}`);
  }
  const before = nonces.current();
  now -= 10_000;
  assert.notEqual(nonces.current(), before, "the clock was set back");
});

test("nonces of one's own: theirs is the last word, and one that fails lets nobody in", async () => {
  const dpopNonces = {
    current: () => "n1",
    check: (nonce: string | undefined) => (nonce === "n1" ? "good" : "use_nonce"),
  } as const;
  const { why } = await refusal({ presented: presented(), options: { dpopNonces } });
  assert.equal(why, "proof_nonce_needed");
  assert.equal(
    await reason({ presented: presented({ claims: { nonce: "n1", iat: 1 } }), options: { dpopNonces } }),
    "ok",
  );
  const broken = {
    current: () => "n1",
    check() {
      throw new Error("no database");
    },
  };
  assert.equal(
    (await refusal({ presented: presented(), options: { dpopNonces: broken } })).why,
    "internal_error",
  );
});

test("the log gets the reason and whose token it was, and nothing of the proof", () => {
  const events: GuardEvent[] = [];
  const guard = createGuard(inProcess([key], { onEvent: (event) => events.push(event) }));
  const way = presented({ claims: { jti: "secret-jti", nonce: "secret-nonce" } }, newClient());
  void guard.verify(bound, undefined, way);
  const event = events.find(({ type }) => type === "refused");
  assert.ok(event?.type === "refused" && event.reason === "proof_wrong_key" && event.subject === "alice");
  assert.doesNotMatch(JSON.stringify(events), /secret|eyJ/);
});
