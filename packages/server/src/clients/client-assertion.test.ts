import assert from "node:assert/strict";
import { createSign, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { after, before, beforeEach, describe, test } from "node:test";
import sql from "sql-template-tag";
import { limits } from "../primitives/limits.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import type { ClientType } from "./client.ts";
import { createAssertionCheck } from "./client-assertion.ts";
import { createClientJwts } from "./client-jwt.ts";
import { createClientKeys } from "./client-keys.ts";
import type { NewClient } from "./clients.ts";
import { createSpentAssertions } from "./spent-assertions.ts";
import { answered, openTestClients } from "./test-clients.ts";

const ISSUER = "https://login.example";
const operator = { actor: "operator" } as const;
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ed = generateKeyPairSync("ed25519");
const publicJwk = (key: KeyObject, more: object = {}) => ({ ...key.export({ format: "jwk" }), ...more });

let now = 1_800_000_000_000;
const clock = { now: () => now };
const seconds = () => Math.floor(now / 1000);
let place: TestDatabase;
let room: ReturnType<typeof openTestClients>;
let check: ReturnType<typeof createAssertionCheck>;
const askedForStrangers: string[] = [];

before(async () => {
  place = await openTestDatabase({ clock });
  room = openTestClients({ database: place.database, clock });
});
after(() => place?.close());
beforeEach(() => {
  // Nothing is remembered from one test to the next.
  const { fetchDocument, clients } = room;
  const keys = createClientKeys({
    clock,
    fetchDocument,
    fetchForStrangers: async (url) => {
      askedForStrangers.push(url);
      return { outcome: "refused" };
    },
  });
  check = createAssertionCheck({
    settings: { issuer: ISSUER },
    clock,
    findClient: clients.find,
    jwts: createClientJwts({ keys }),
    spent: createSpentAssertions({ database: place.database, clock }),
  });
  now += 1000;
});

let made = 0;
async function addClient(metadata: NewClient["metadata"] = {}, type: ClientType = "web"): Promise<string> {
  const id = `client-${++made}`;
  const added = await room.clients.add(
    {
      id,
      name: "Client",
      type,
      metadata: {
        redirect_uris: ["https://app.example/cb"],
        token_endpoint_auth_method: "private_key_jwt",
        ...(metadata.jwks_uri === undefined && { jwks: { keys: [publicJwk(ec.publicKey, { kid: "1" })] } }),
        ...metadata,
      },
    },
    operator,
  );
  assert.equal(added.outcome, "added", JSON.stringify(added));
  return id;
}

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

const signers: Record<string, (text: string) => Buffer> = {
  ES256: (text) => sign("sha256", Buffer.from(text), { key: ec.privateKey, dsaEncoding: "ieee-p1363" }),
  other: (text) => sign("sha256", Buffer.from(text), { key: other.privateKey, dsaEncoding: "ieee-p1363" }),
  RS256: (text) => createSign("sha256").update(text).sign(rsa.privateKey),
  EdDSA: (text) => sign(null, Buffer.from(text), ed.privateKey),
  none: () => Buffer.alloc(0),
};

function assertion(
  id: string,
  claims: Record<string, unknown> = {},
  { header = {}, by = "ES256" }: { header?: Record<string, unknown>; by?: string } = {},
): string {
  const payload = {
    iss: id,
    sub: id,
    aud: ISSUER,
    exp: seconds() + 60,
    iat: seconds(),
    jti: `j-${++made}`,
    ...claims,
  };
  const head = { alg: "ES256", kid: "1", typ: "client-authentication+jwt", ...header };
  const signed = `${base64(head)}.${base64(payload)}`;
  return `${signed}.${signers[by]?.(signed).toString("base64url")}`;
}

const accepts = async (jwt: string, id: string, label = "") =>
  assert.equal((await check({ assertion: jwt, clientId: undefined }))?.id, id, label);
const refuses = async (jwt: string, label = "", clientId?: string) =>
  assert.equal(await check({ assertion: jwt, clientId }), undefined, label);

describe("private_key_jwt", () => {
  test("RFC 7523 §3: a JWT that the client's key has signed says who it is", async () => {
    const id = await addClient();
    await accepts(assertion(id), id);
    assert.equal((await check({ assertion: assertion(id), clientId: id }))?.id, id);
    await refuses(assertion(id, {}, { by: "other" }), "another key");
    const jwt = assertion(id);
    const [head, payload, signature] = jwt.split(".");
    await refuses(`${head}.${payload}.`, "no signature");
    await refuses(`${head}.${payload}`, "two parts");
    await refuses(`${jwt}.x`, "four parts");
    await refuses(
      `${head}.${base64({ ...JSON.parse(Buffer.from(payload ?? "", "base64url").toString()), jti: "x" })}.${signature}`,
      "changed",
    );
    await refuses("", "nothing");
    await refuses(`${head}.${"x".repeat(limits.parameterCharactersMax)}.x`, "too long");
    for (const junk of ["..", "a.b.c", "e30.e30.", `${base64([])}.${base64([])}.x`, "é.é.é", "\0"])
      await refuses(junk, junk);
    // None of these has spent it.
    await accepts(jwt, id);
  });

  test("RFC 7523 §3: iss and sub are the client, and so is client_id where it is sent", async () => {
    const id = await addClient();
    const second = await addClient();
    await refuses(assertion(id, { iss: second }));
    await refuses(assertion(id, { sub: second }));
    await refuses(assertion(id, { sub: undefined }));
    await refuses(assertion(id, { iss: undefined }));
    await refuses(assertion(id), "another client_id", second);
    await refuses(assertion("nobody"));
    for (const sub of [1, null, {}, [id]]) await refuses(assertion(id, { sub, iss: sub }));
  });

  test("RFC 10070 §4: the issuer is the sole audience; the token endpoint, and any second one, is refused", async () => {
    const id = await addClient();
    await accepts(assertion(id, { aud: [ISSUER] }), id, "an array of one is one");
    const wrong = [
      `${ISSUER}/oauth/token`,
      `${ISSUER}/`,
      ISSUER.toUpperCase(),
      [ISSUER, `${ISSUER}/oauth/token`],
      [ISSUER, "https://other.example"],
      ["https://other.example"],
      [],
      "",
      undefined,
      null,
      { 0: ISSUER, length: 1 },
    ];
    for (const aud of wrong) await refuses(assertion(id, { aud }), JSON.stringify(aud));
  });

  test("keyturn_assertion_audience: an older client may name the token endpoint; another server's is still refused", async () => {
    const id = await addClient({ keyturn_assertion_audience: "endpoint_too" });
    for (const aud of [
      ISSUER,
      `${ISSUER}/oauth/token`,
      `${ISSUER}/oauth/par`,
      [`${ISSUER}/oauth/token`, "x"],
    ]) {
      await accepts(assertion(id, { aud }), id, JSON.stringify(aud));
    }
    for (const aud of ["https://other.example", `${ISSUER}/oauth/tokenx`, undefined])
      await refuses(assertion(id, { aud }));
  });

  test("RFC 7523 §3: exp is required, past ones and those an hour ahead are refused; nbf and iat are not in the future", async () => {
    const id = await addClient();
    const at = seconds();
    for (const exp of [
      undefined,
      at - 1,
      at,
      at + limits.assertionSecondsMax + 11,
      `${at + 60}`,
      Number.MAX_VALUE,
      null,
    ]) {
      await refuses(assertion(id, { exp }), String(exp));
    }
    await accepts(assertion(id, { exp: at + 1 }), id);
    await accepts(assertion(id, { exp: at + limits.assertionSecondsMax }), id);
    for (const claims of [{ nbf: at + 11 }, { iat: at + 11 }, { nbf: "x" }, { iat: null }]) {
      await refuses(assertion(id, claims), JSON.stringify(claims));
    }
    await accepts(assertion(id, { nbf: at + 10, iat: undefined }), id);
  });

  test("jti is spent once: of 20 at once one is accepted, and none later, until it has expired", async () => {
    const id = await addClient();
    const jwt = assertion(id, { jti: "once" });
    const all = await Promise.all(
      Array.from({ length: 20 }, () => check({ assertion: jwt, clientId: undefined })),
    );
    assert.equal(all.filter((client) => client !== undefined).length, 1);
    await refuses(jwt);
    await refuses(assertion(id, { jti: "once", iat: seconds() - 1 }), "another with the same jti");
    const second = await addClient();
    await accepts(assertion(second, { jti: "once" }), second, "another client's is another");
    await createSpentAssertions({ database: place.database, clock }).deletePast();
    await refuses(jwt, "still spent after cleaning");
    for (const jti of ["", 1, "x".repeat(501), null])
      await refuses(assertion(id, { jti }), JSON.stringify(jti));
  });

  test("without jti, which RFC 7523 does not require, what was signed is spent, not the signature, of which there are two", async () => {
    const id = await addClient();
    const jwt = assertion(id, { jti: undefined });
    const [head, payload, signature = ""] = jwt.split(".");
    const bytes = Buffer.from(signature, "base64url");
    const n = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    const s = n - BigInt(`0x${bytes.subarray(32).toString("hex")}`);
    const twin = Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, "0"), "hex")]);
    await accepts(jwt, id);
    await refuses(jwt);
    await refuses(`${head}.${payload}.${twin.toString("base64url")}`);
  });

  test("RFC 8725 §3.1, §3.11: algorithms and types of a list; none, another kind of token, and unknown crit are refused", async () => {
    const id = await addClient({
      jwks: { keys: [ec, rsa, ed].map(({ publicKey }) => publicJwk(publicKey)) },
    });
    for (const by of ["ES256", "RS256", "EdDSA"]) {
      await accepts(assertion(id, {}, { by, header: { alg: by, kid: undefined } }), id, by);
    }
    await accepts(assertion(id, {}, { by: "EdDSA", header: { alg: "Ed25519", kid: undefined } }), id);
    for (const alg of ["none", "None", "HS256", "RS1", "ES512", "", 1]) {
      await refuses(assertion(id, {}, { by: "none", header: { alg, kid: undefined } }), String(alg));
    }
    for (const typ of [
      undefined,
      "JWT",
      "application/client-authentication+jwt",
      "Client-Authentication+JWT",
    ]) {
      await accepts(assertion(id, {}, { header: { typ, kid: undefined } }), id, typ);
    }
    for (const typ of ["at+jwt", "dpop+jwt", "oauth-authz-req+jwt", "logout+jwt", "x", 1]) {
      await refuses(assertion(id, {}, { header: { typ, kid: undefined } }), String(typ));
    }
    await refuses(assertion(id, {}, { header: { crit: ["x"], x: 1, kid: undefined } }));
    await refuses(assertion(id, {}, { header: { kid: 1 } }));
    // A key that comes along proves nothing.
    await refuses(
      assertion(id, {}, { by: "other", header: { kid: undefined, jwk: publicJwk(other.publicKey) } }),
    );
  });

  test("token_endpoint_auth_signing_alg is the only one; FAPI 2.0 §5.4.1 takes no RS256 and §5.3.2.1 a text for aud", async () => {
    const keys = { jwks: { keys: [ec, rsa].map(({ publicKey }) => publicJwk(publicKey)) } };
    const id = await addClient({ ...keys, token_endpoint_auth_signing_alg: "ES256" });
    await accepts(assertion(id, {}, { header: { kid: undefined } }), id);
    const byRsa = { by: "RS256", header: { alg: "RS256", kid: undefined } };
    await refuses(assertion(id, {}, byRsa));
    const strict = await addClient({ ...keys, keyturn_profile: "fapi2" });
    await accepts(assertion(strict, {}, { header: { kid: undefined } }), strict);
    await refuses(assertion(strict, {}, byRsa));
    await refuses(assertion(strict, { aud: [ISSUER] }, { header: { kid: undefined } }));
  });

  test("a client that is registered for another way does not get in by this one", async () => {
    const id = await addClient({ token_endpoint_auth_method: "client_secret_basic" });
    await refuses(assertion(id));
  });

  test("a key for encryption, or for another algorithm, has not signed it", async () => {
    for (const more of [{ use: "enc" }, { alg: "ES384" }, { kid: "2" }]) {
      const id = await addClient({ jwks: { keys: [publicJwk(ec.publicKey, { kid: "1", ...more })] } });
      await refuses(assertion(id), JSON.stringify(more));
    }
  });
});

describe("keys at jwks_uri", () => {
  const uri = () => `https://app.example/jwks-${made}`;
  const times = (address: string) => room.asked.filter((one) => one === address).length;
  const set = (...kids: string[]) => answered({ keys: kids.map((kid) => publicJwk(ec.publicKey, { kid })) });

  test("are fetched once and kept; an unknown key id is looked for after a pause, so that keys can be rotated", async () => {
    const address = uri();
    const id = await addClient({ jwks_uri: address });
    room.documents.set(address, set("1"));
    await accepts(assertion(id), id);
    await accepts(assertion(id), id);
    assert.equal(times(address), 1);
    room.documents.set(address, set("2"));
    await refuses(assertion(id, {}, { header: { kid: "2" } }), "within the pause");
    assert.equal(times(address), 1);
    now += limits.clientKeysPauseSeconds * 1000;
    await accepts(assertion(id, {}, { header: { kid: "2" } }), id);
    assert.equal(times(address), 2);
    await refuses(assertion(id), "the old key is gone");
  });

  test("however many ids strangers name at once, the address is asked once in a pause", async () => {
    const address = uri();
    const id = await addClient({ jwks_uri: address });
    room.documents.set(address, set("1"));
    await Promise.all(
      Array.from({ length: 30 }, (_, index) => refuses(assertion(id, {}, { header: { kid: `x-${index}` } }))),
    );
    assert.equal(times(address), 1);
  });

  test("while the address is away its keys are good for a day, and no longer", async () => {
    const address = uri();
    const id = await addClient({ jwks_uri: address });
    room.documents.set(address, set("1"));
    await accepts(assertion(id), id);
    room.documents.set(address, { outcome: "outage" });
    now += limits.clientKeysFreshSeconds * 1000;
    await accepts(assertion(id), id);
    assert.equal(times(address), 2);
    now += limits.clientKeysStaleSeconds * 1000;
    await refuses(assertion(id));
  });

  test("for a client that registered itself another way out is taken, which trusts no private host", async () => {
    const address = uri();
    room.documents.set(address, set("1"));
    const operators = await addClient({ jwks_uri: address });
    await accepts(assertion(operators), operators);
    const stranger = await addClient({ jwks_uri: address });
    await place.database.batch([sql`UPDATE clients SET origin = 'dynamic' WHERE id = ${stranger}`]);
    await refuses(assertion(stranger));
    assert.deepEqual(askedForStrangers, [address]);
  });

  test("what is no key set gives no key", async () => {
    const address = uri();
    const id = await addClient({ jwks_uri: address });
    const bad = [
      { outcome: "refused" } as const,
      answered([]),
      answered({ keys: {} }),
      answered({ keys: [null, 1, "x"] }),
      answered("", { text: "{" }),
      answered({ keys: [publicJwk(ec.publicKey, { kid: "1" })] }, { status: 500 }),
    ];
    for (const document of bad) {
      room.documents.set(address, document);
      await refuses(assertion(id), JSON.stringify(document));
      now += limits.clientKeysPauseSeconds * 1000;
    }
  });
});
