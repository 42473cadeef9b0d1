import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { compactVerify, exportJWK, generateKeyPair, importJWK, SignJWT } from "jose";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { createLoading } from "./loading.ts";
import { createRequestObjects, type VerifyClientJwt } from "./request-objects.ts";
import { addClient, CALLBACK, pkce, requestOf, type TestClient } from "./test-oauth.ts";

/** RFC 9101: requests that their client has signed. */

const clock = stoppedClock();
const { challenge } = pkce();
let server: TestServer;
let own: Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];
let shop: TestClient;
let load: ReturnType<typeof createLoading>;
before(async () => {
  server = await startTestServer({ clock });
  const pair = await generateKeyPair("ES256");
  own = pair.privateKey;
  const jwk = { ...(await exportJWK(pair.publicKey)), alg: "ES256" };
  shop = await addClient(server, { metadata: { jwks: { keys: [jwk] } } });
  const { requests, kept } = server.app.oauth;
  load = createLoading({ requests, kept, requestObjects: objects(verify) });
});
after(() => server.close());

const objects = (check: VerifyClientJwt | undefined) =>
  createRequestObjects({ verify: check, clock, settings: server.app.settings });

/** What the server has for assertions, in short. */
const verify: VerifyClientJwt = async (jwt, client, { types }) => {
  try {
    const key = await importJWK({ ...client.metadata.jwks?.keys[0] }, "ES256");
    const { payload, protectedHeader } = await compactVerify(jwt, key, { algorithms: ["ES256"] });
    return types.includes(protectedHeader.typ?.toLowerCase())
      ? JSON.parse(new TextDecoder().decode(payload))
      : undefined;
  } catch {
    return undefined;
  }
};

type Claims = Record<string, unknown>;

function sign(more: Claims = {}, { key = own, typ = "oauth-authz-req+jwt" } = {}): Promise<string> {
  const claims = {
    ...requestOf(shop, challenge),
    iss: shop.client.id,
    aud: server.issuer,
    exp: clock.now() / 1000 + 60,
    ...more,
  };
  return new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ }).sign(key);
}

const send = async (request: string, more: Record<string, string> = {}) =>
  load(Object.entries({ client_id: shop.client.id, ...more, request }));

async function refusedWith(request: string, more: Record<string, string> = {}): Promise<string> {
  const { checked } = await send(request, more);
  assert.equal(checked.outcome, "refused_there", JSON.stringify(checked));
  return checked.outcome === "refused_there" ? checked.refusal.code : "";
}

test("RFC 9101 §6.3: what is signed counts, and nothing that stands beside it", async () => {
  const request = await sign({
    max_age: 30,
    resource: [server.app.settings.audience],
    claims: { id_token: { sub: { value: "x" } } },
  });
  const { checked, pairs } = await send(request, {
    state: "beside",
    redirect_uri: "https://evil.example/",
    scope: "write",
  });
  assert.ok(checked.outcome === "good", JSON.stringify(checked));
  assert.equal(checked.request.to.state, "a-state");
  assert.equal(checked.request.to.redirectUri, CALLBACK);
  assert.equal(checked.request.maxAgeSeconds, 30);
  assert.equal(checked.request.subject, "x");
  assert.deepEqual(checked.request.resources, [server.app.settings.audience]);
  // What is kept for the person is what it said, so that it does not expire while they sign in.
  assert.ok(!pairs.some(([name]) => ["request", "exp", "iss", "aud"].includes(name)));
});

test("a request object that is forged, another's, expired, or not one is refused", async () => {
  const { privateKey: other } = await generateKeyPair("ES256");
  const good = await sign();
  const [head, , tail] = good.split(".");
  const changed = Buffer.from(JSON.stringify({ ...requestOf(shop, challenge), scope: "write" })).toString(
    "base64url",
  );
  const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${changed}.`;
  const bad = [
    await sign({}, { key: other }),
    `${head}.${changed}.${tail}`,
    unsigned,
    "x",
    `${good}.x.y`,
    await sign({ iss: "somebody" }),
    await sign({ aud: "https://elsewhere.example" }),
    await sign({ aud: [] }),
    await sign({ exp: clock.now() / 1000 }),
    await sign({ exp: "soon" }),
    await sign({ nbf: clock.now() / 1000 + 1000 }),
    await sign({ client_id: "somebody" }),
    await sign({ client_id: undefined }),
    await sign({ request: good }),
    await sign({ request_uri: "https://evil.example/" }),
    // §10.8: what a client authenticates with.
    await sign({ sub: shop.client.id }),
    await sign({}, { typ: "client-authentication+jwt" }),
  ];
  for (const request of bad) assert.equal(await refusedWith(request), "invalid_request_object", request);
});

test("a refusal goes to no address that is not proven, whatever the object says", async () => {
  const { checked } = await send("x", { redirect_uri: "https://evil.example/" });
  assert.deepEqual(checked, { outcome: "trouble", trouble: "redirect_uri_unknown" });
  const inside = await send(await sign({ redirect_uri: "https://evil.example/" }));
  assert.deepEqual(inside.checked, { outcome: "trouble", trouble: "redirect_uri_unknown" });
});

test("what is signed keeps all other rules", async () => {
  assert.equal(await refusedWith(await sign({ code_challenge_method: "plain" })), "invalid_request");
  assert.equal(await refusedWith(await sign({ response_type: "token" })), "unsupported_response_type");
  assert.equal(await refusedWith(await sign({ scope: ["openid", "openid"] })), "invalid_request");
});

test("RFC 9101 §10.5: a client that must sign its requests cannot do otherwise; one without keys cannot sign", async () => {
  const keyless = await addClient(server);
  const strict = await addClient(server, {
    metadata: { require_signed_request_object: true, jwks: shop.client.metadata.jwks as { keys: Claims[] } },
  });
  const plain = await objects(verify).open(strict.client, [["client_id", strict.client.id]]);
  assert.deepEqual([plain.outcome, "code" in plain && plain.code], ["refused", "invalid_request"]);
  const unsupported = await objects(verify).open(keyless.client, [["request", await sign()]]);
  assert.deepEqual(
    [unsupported.outcome, "code" in unsupported && unsupported.code],
    ["refused", "request_not_supported"],
  );
  const off = await objects(undefined).open(shop.client, [["request", await sign()]]);
  assert.deepEqual([off.outcome, "code" in off && off.code], ["refused", "request_not_supported"]);
});
