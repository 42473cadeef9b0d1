import assert from "node:assert/strict";
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
} from "node:crypto";
import { after, before, test } from "node:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import sql from "sql-template-tag";
import {
  assertRefusal,
  basic,
  startTestServer,
  stoppedClock,
  type TestServer,
  type Tokens,
} from "../test-server.ts";
import { signJwt } from "../tokens/jwt.ts";

/** What opens the API: an access token of ours, of a session that goes on, and nothing else. */
const clock = stoppedClock();
let server: TestServer;
let tokens: Tokens;

before(async () => {
  server = await startTestServer({ clock });
  await server.addUser("alice", { email: "alice@example.com" });
  tokens = await server.login("alice");
});
after(() => server.close());

const me = (authorization: string) => server.call("/me", { headers: { authorization } });
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const parts = () => tokens.accessToken.split(".") as [string, string, string];

async function assertInvalid(token: string): Promise<void> {
  const reply = await server.call("/me", { token });
  assertRefusal(reply, { status: 401, error: "invalid_token" });
  assert.match(reply.headers.get("www-authenticate") ?? "", /^Bearer error="invalid_token"/);
}

/** A token with the server's own signature, for what only its claims make wrong. */
function minted(change: Record<string, unknown>, type: "at+jwt" | "JWT" = "at+jwt"): string {
  const key = server.app.signingKeys.current("ES256");
  const token = signJwt({ key, type, claims: { ...decodeJwt(tokens.accessToken), ...change } });
  server.secrets.add(token);
  return token;
}

test("DESIGN §6: GET /me is answered with exactly the user", async () => {
  const reply = await server.call("/me", { token: tokens.accessToken });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get("cache-control"), "no-store");
  assert.deepEqual(reply.json, tokens.user);
  assert.equal((await me(`bearer  ${tokens.accessToken}`)).status, 200, "RFC 9110 §11.1: any case");
  assert.equal(
    (await server.call("/me", { token: minted({}) })).status,
    200,
    "what the next tests change is good",
  );
});

test("RFC 6750 §3: a bare challenge when no token came", async () => {
  const reply = await server.call("/me");
  assertRefusal(reply, { status: 401, error: "missing_token" });
  assert.equal(reply.headers.get("www-authenticate"), "Bearer");
});

test("the tutorial's bug: a refresh token, an ID token, a resource's secret, a password do not open the API", async () => {
  const { secret, id } = await server.addResource("Photos");
  for (const token of [tokens.refreshToken, tokens.idToken, secret, tokens.sessionId])
    await assertInvalid(token);
  const wrong = [basic(id, secret), basic("alice", "correct horse battery"), `Token ${tokens.accessToken}`];
  for (const header of [...wrong, tokens.accessToken, "Bearer", "Bearer ", "Bearer a b", "Bearer é"]) {
    assertRefusal(await me(header), { status: 401, error: "invalid_token" });
  }
});

test("a token in the query, in the body or in a cookie is not looked at", async () => {
  const { accessToken } = tokens;
  const places: [string, Record<string, string>][] = [
    [`/me?access_token=${accessToken}`, {}],
    ["/me", { cookie: `accessToken=${accessToken}; session=${accessToken}` }],
    ["/me", { "x-access-token": accessToken }],
  ];
  for (const [path, headers] of places) {
    assertRefusal(await server.call(path, { headers }), { status: 401, error: "missing_token" });
  }
  const asSession = await server.call("/me", { headers: { cookie: `keyturn=${accessToken}` } });
  assertRefusal(asSession, { status: 401, error: "invalid_session", reason: "unknown" });
});

test("RFC 8725 §3.1: alg none, in any case, with and without a signature", async () => {
  const [, payload, signature] = parts();
  for (const alg of ["none", "None", "NONE", "nOnE", "", null, undefined, 0, ["ES256"]]) {
    const header = encoded({ ...decodeProtectedHeader(tokens.accessToken), alg });
    for (const tail of ["", signature]) await assertInvalid(`${header}.${payload}.${tail}`);
  }
});

test("RFC 8725 §2.1: HS256 with the public key as the secret, in each of its spellings", async () => {
  const { keys } = server.app.signingKeys.jwks();
  const [, payload] = parts();
  for (const jwk of keys) {
    const key = createPublicKey({ key: { ...jwk } as JsonWebKey, format: "jwk" });
    const pem = key.export({ type: "spki", format: "pem" }) as string;
    const spellings = [pem, pem.trim(), key.export({ type: "spki", format: "der" }), JSON.stringify(jwk), ""];
    for (const secret of spellings) {
      const input = `${encoded({ alg: "HS256", typ: "at+jwt", kid: jwk.kid })}.${payload}`;
      const mac = createHmac("sha256", secret).update(input).digest("base64url");
      await assertInvalid(`${input}.${mac}`);
    }
  }
});

const attacker = generateKeyPairSync("ec", { namedCurve: "P-256" });
const es256 = (input: string, key: KeyObject) =>
  sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");

test("RFC 8725 §3.10: keys that a token brings along, or names by an address or a path, are not used", async () => {
  const jwk = attacker.publicKey.export({ format: "jwk" });
  const { kid } = decodeProtectedHeader(tokens.accessToken);
  const [, payload] = parts();
  const headers: Record<string, unknown>[] = [
    { kid },
    { kid, jwk },
    { jwk },
    { jwk: { ...jwk, kid } },
    { kid: "https://attacker.example/jwks.json", jku: "https://attacker.example/jwks.json" },
    { kid, jku: `${server.issuer}/.well-known/jwks.json` },
    { kid, x5u: "https://attacker.example/cert.pem" },
    { kid, x5c: [attacker.publicKey.export({ type: "spki", format: "der" }).toString("base64")] },
    { kid: "../../../../dev/null" },
    { kid: "' OR 1=1 --" },
    { kid: "\0" },
    { kid: "__proto__" },
    { kid: null },
    { kid: 1 },
    { kid: [kid] },
    { kid, crit: ["b64"], b64: false },
    { kid, crit: [] },
    {},
  ];
  for (const more of headers) {
    const input = `${encoded({ alg: "ES256", typ: "at+jwt", ...more })}.${payload}`;
    await assertInvalid(`${input}.${es256(input, attacker.privateKey)}`);
  }
});

test("CVE-2022-21449: r and s of zero, of the order of the curve, and other bytes that are no signature", async () => {
  const [header, payload, signature] = parts();
  const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
  const real = Buffer.from(signature, "base64url");
  const forged = [
    Buffer.alloc(64),
    Buffer.alloc(64, 0xff),
    Buffer.concat([order, order]),
    Buffer.concat([Buffer.alloc(32), order]),
    Buffer.concat([Buffer.alloc(31), Buffer.of(1), Buffer.alloc(31), Buffer.of(1)]),
    Buffer.alloc(0),
    real.subarray(0, 63),
    real.subarray(1),
    Buffer.concat([real, Buffer.of(0)]),
    Buffer.concat([real.subarray(32), real.subarray(0, 32)]),
    // ASN.1, as other formats have it.
    sign("sha256", Buffer.from(`${header}.${payload}`), attacker.privateKey),
  ];
  for (const bytes of forged) await assertInvalid(`${header}.${payload}.${bytes.toString("base64url")}`);
});

test("RFC 7515 §2: one token has one spelling", async () => {
  const [header, payload, signature] = parts();
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(signature.at(-1) as string);
  // 64 bytes leave four bits of the last character unused.
  const strayBits = [1, 2, 4, 8].map((bit) => signature.slice(0, -1) + alphabet[last ^ bit]);
  const others = [
    ...strayBits.map((text) => `${header}.${payload}.${text}`),
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}.${signature}==`,
    `${header}.${payload}=.${signature}`,
    `${header}.${payload}.${Buffer.from(signature, "base64url").toString("base64")}`,
    `${header}.${payload}.${signature}.`,
    `.${header}.${payload}.${signature}`,
    `${header}..${signature}`,
    `${header}.${signature}`,
    `${tokens.accessToken}.x.y`,
    `${header}.${payload}.${signature}~`,
    tokens.accessToken.toLowerCase(),
  ];
  for (const token of others) await assertInvalid(token);
});

test("a token with any bit changed is refused", async () => {
  const { accessToken } = tokens;
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const altered = [...accessToken].flatMap((character, at) => {
    const value = alphabet.indexOf(character);
    const other = value < 0 ? "A" : (alphabet[value ^ (1 << (at % 6))] as string);
    return [accessToken.slice(0, at) + other + accessToken.slice(at + 1), accessToken.slice(0, at)];
  });
  for (let start = 0; start < altered.length; start += 50) {
    await Promise.all(
      altered.slice(start, start + 50).map(async (token) => {
        const reply = await server.callQuietly("/me", { token });
        assert.equal(reply.status, 401, token);
      }),
    );
  }
});

test("RFC 9068 §4: expired, from the future, of another issuer, for another audience, of another type", async () => {
  const seconds = Math.floor(clock.now() / 1000);
  const changes: Record<string, unknown>[] = [
    { exp: seconds - 6 },
    { exp: 0 },
    { exp: -1 },
    { exp: undefined },
    { exp: String(seconds + 600) },
    { iat: seconds + 60 },
    { nbf: seconds + 60 },
    { iss: "https://attacker.example" },
    { iss: `${server.issuer}/` },
    { iss: undefined },
    { aud: "https://other.example" },
    { aud: [] },
    { aud: undefined },
    { aud: { 0: server.issuer } },
    { sub: undefined },
    { sub: 1 },
  ];
  for (const change of changes) await assertInvalid(minted(change));
  await assertInvalid(minted({}, "JWT"));
});

test("a good signature is not enough: the session has to be there and to go on", async () => {
  const other = await server.login("alice");
  const { sid } = decodeJwt(other.accessToken);
  const changes = [{ sid: undefined }, { sid: "x" }, { sid: 1 }, { sid: null }, { sid: `${sid}x` }];
  for (const change of changes) await assertInvalid(minted(change));
  await assertInvalid(minted({ sid: "01a2091b-7f0f-7d30-bc99-dae8c5045318" }));
});

test("a token of an ended session is refused at once", async () => {
  const { accessToken, sessionId } = await server.login("alice");
  await server.app.sessions.end(sessionId, { actor: "operator", reason: "ended_by_operator" });
  await assertInvalid(accessToken);
});

test("a token of a disabled or a removed user is refused at once, and their refresh token too", async () => {
  for (const act of ["disable", "remove"] as const) {
    const user = await server.addUser(`user-to-${act}`);
    const { accessToken, refreshToken } = await server.login(user.username);
    assert.equal(await server.app.users[act](user.id, { actor: "operator" }), "done");
    await assertInvalid(accessToken);
    const reply = await server.call("/refresh", { json: { refreshToken } });
    assertRefusal(reply, { status: 401, error: "invalid_refresh_token", reason: "revoked" });
  }
});

test("a token whose user is gone without a trace is refused with a challenge, not with an error of ours", async () => {
  const user = await server.addUser("vanishing");
  const { accessToken } = await server.login("vanishing");
  await server.database.batch([
    sql`DELETE FROM users WHERE id = ${Buffer.from(user.id.replaceAll("-", ""), "hex")}`,
  ]);
  await assertInvalid(accessToken);
});

test("an access token ends with its time, and its session goes on", async () => {
  const { accessToken, refreshToken } = await server.login("alice");
  clock.pass(606);
  await assertInvalid(accessToken);
  const { json } = await server.call("/refresh", { json: { refreshToken } });
  assert.equal((await server.call("/me", { token: String(json.accessToken) })).status, 200);
});
