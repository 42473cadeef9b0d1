import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readable, testBrowser } from "../pages/test-browser.ts";
import {
  assertRefusal,
  basic,
  type Reply,
  startTestServer,
  stoppedClock,
  type TestServer,
} from "../test-server.ts";
import { proverFor } from "./test-dpop.ts";
import {
  addClient,
  answerOf,
  authorizePath,
  CALLBACK,
  claimsOf,
  decideByProgram,
  exchange,
  type Parameters,
  pkce,
  postForm,
  requestOf,
  signedIn,
  type TestClient,
} from "./test-oauth.ts";

/** RFC 9126: requests that clients push, and what binds them and their codes to a key (RFC 9449 §10). */

const clock = stoppedClock();
let server: TestServer;
let shop: TestClient;
before(async () => {
  server = await startTestServer({ clock });
  await server.addUser("alice");
  shop = await addClient(server, { metadata: { keyturn_trusted: true } });
});
after(() => server.close());

const { challenge, verifier } = pkce();

function push(test: TestClient, more: Parameters = {}, headers: Record<string, string> = {}) {
  const parameters = { ...requestOf(test, challenge), ...more };
  return postForm(server, "/oauth/par", parameters, { headers: { ...test.headers, ...headers } });
}

async function pushed(test: TestClient, more: Parameters = {}, headers: Record<string, string> = {}) {
  const reply = await push(test, more, headers);
  assert.equal(reply.status, 201, reply.text);
  return String(reply.json.request_uri);
}

const at = (test: TestClient, request_uri: string, more: Parameters = {}) =>
  authorizePath({ client_id: test.client.id, request_uri, ...more });

function codeIn(reply: Reply): string {
  const { code = "" } = answerOf(reply, CALLBACK);
  assert.notEqual(code, "", reply.headers.get("location") ?? "");
  server.secrets.add(code);
  return code;
}

test("RFC 9126 §2.2: a pushed request is answered with 201, a reference that is good for a minute, and no-store", async () => {
  const reply = await push(shop);
  assert.equal(reply.status, 201);
  assert.equal(reply.headers.get("cache-control"), "no-store");
  assert.match(String(reply.json.request_uri), /^urn:ietf:params:oauth:request_uri:[\w-]{43}$/);
  assert.equal(reply.json.expires_in, 60);
  const browser = await signedIn(server, "alice");
  const code = codeIn(await browser.open(at(shop, String(reply.json.request_uri))));
  assert.equal((await exchange(server, shop, { code, code_verifier: verifier })).status, 200);
});

test("RFC 9126 §7.3, §4: a reference is used once, by its own client, within its minute; what stands beside it counts for nothing", async () => {
  const other = await addClient(server, { metadata: { keyturn_trusted: true } });
  const browser = await signedIn(server, "alice");
  const uri = await pushed(shop, { state: "pushed" });
  assert.equal((await browser.open(at(other, uri))).status, 400);
  assert.equal(
    (await browser.open(at(shop, `${uri.slice(0, -1)}${uri.endsWith("A") ? "B" : "A"}`))).status,
    400,
  );
  const beside = {
    redirect_uri: "https://evil.example/",
    state: "beside",
    response_type: "token",
    scope: "write",
  };
  const answer = answerOf(await browser.open(at(shop, uri, beside)), CALLBACK);
  server.secrets.add(answer.code ?? "");
  assert.equal(answer.state, "pushed");
  assert.match(readable(await browser.open(at(shop, uri))), /Please begin again/);
  const late = await pushed(shop);
  clock.pass(60);
  assert.equal((await browser.open(at(shop, late))).status, 400);
});

test("of eight browsers at once with one reference, one gets a code", async () => {
  const browser = await signedIn(server, "alice");
  const uri = await pushed(shop);
  const replies = await Promise.all(Array.from({ length: 8 }, () => browser.open(at(shop, uri))));
  const won = replies.filter(({ status }) => status === 303);
  assert.equal(won.length, 1);
  codeIn(won[0] as Reply);
});

test("who has to sign in first comes back to it, though its minute is over: it waits under a reference of its own, which no client has seen", async () => {
  const test = await addClient(server);
  const uri = await pushed(test);
  const browser = testBrowser(server);
  const page = await browser.follow(await browser.open(at(test, uri)));
  clock.pass(120);
  const back = await browser.submit(page, "/sign-in", {
    username: "alice",
    password: "correct horse battery",
  });
  assert.doesNotMatch(back.headers.get("location") ?? "", new RegExp(uri.slice(-43)));
  codeIn(await decideByProgram(browser, await browser.follow(back), "allow"));
});

test("RFC 9126 §2.1, §2.3: a client authenticates as at the token endpoint, and is told what is wrong with its request at once", async () => {
  const wrong = { authorization: basic(shop.client.id, "kts_wrong") };
  assertRefusal(await push(shop, {}, wrong), { status: 401, error: "invalid_client" });
  const refusals: readonly [Parameters, string][] = [
    [{ request_uri: "urn:x" }, "invalid_request"],
    [{ redirect_uri: "https://evil.example/" }, "invalid_request"],
    [{ redirect_uri: `${CALLBACK}/` }, "invalid_request"],
    [{ code_challenge_method: "plain" }, "invalid_request"],
    [{ code_challenge: undefined }, "invalid_request"],
    [{ state: ["one", "two"] }, "invalid_request"],
    [{ response_type: "token" }, "unsupported_response_type"],
    [{ scope: "nonsense" }, "invalid_scope"],
    [{ resource: "https://nowhere.example/" }, "invalid_target"],
    [{ request: "e30.e30." }, "request_not_supported"],
    [{ prompt: "none login" }, "invalid_request"],
  ];
  const before = await server.countRows("authorization_requests");
  for (const [more, error] of refusals) assertRefusal(await push(shop, more), { status: 400, error });
  const other = await push(shop, { client_id: "other" });
  assertRefusal(other, { status: 401, error: "invalid_client" });
  assert.equal(await server.countRows("authorization_requests"), before);
  const json = await server.call("/oauth/par", { json: {}, headers: shop.headers });
  assertRefusal(json, { status: 415, error: "unsupported_media_type" });
});

test("RFC 9126 §6: a client that must push cannot do otherwise", async () => {
  const test = await addClient(server, {
    metadata: { require_pushed_authorization_requests: true, keyturn_trusted: true },
  });
  const browser = await signedIn(server, "alice");
  const direct = await browser.open(authorizePath(requestOf(test, challenge)));
  assert.equal(answerOf(direct, CALLBACK).error, "invalid_request");
  codeIn(await browser.open(at(test, await pushed(test))));
});

test("nothing that a client has authenticated with is kept", async () => {
  const test = await addClient(server, { metadata: { token_endpoint_auth_method: "client_secret_post" } });
  const reply = await postForm(server, "/oauth/par", {
    ...requestOf(test, challenge),
    client_secret: test.secret,
  });
  assert.equal(reply.status, 201, reply.text);
  const kept = await server.app.oauth.kept.find(String(reply.json.request_uri), test.client.id);
  assert.deepEqual(
    kept?.pairs.filter(([name]) => name.startsWith("client_")),
    [["client_id", test.client.id]],
  );
});

test("RFC 9449 §10: a code that was asked for with dpop_jkt is good with a proof by that key alone", async () => {
  const spa = await addClient(server, {
    type: "spa",
    metadata: { keyturn_trusted: true, redirect_uris: ["https://spa.example/"] },
  });
  const browser = await signedIn(server, "alice");
  const [own, other] = [await proverFor(server, clock.now), await proverFor(server, clock.now)];
  const request = requestOf(spa, challenge, { dpop_jkt: own.thumbprint });
  const { code = "" } = answerOf(await browser.open(authorizePath(request)), spa.redirectUri);
  server.secrets.add(code);
  const send = async (prover?: typeof own) =>
    exchange(
      server,
      spa,
      { code, code_verifier: verifier },
      prover === undefined ? {} : { dpop: await prover.prove("/oauth/token") },
    );
  assertRefusal(await send(), { status: 400, error: "invalid_grant" });
  assertRefusal(await send(other), { status: 400, error: "invalid_grant" });
  const good = await send(own);
  assert.equal(good.status, 200, good.text);
  assert.equal(good.json.token_type, "DPoP");
  assert.deepEqual(claimsOf(good.json.access_token).cnf, { jkt: own.thumbprint });
  // RFC 9449 §5: of a public client the refresh token is bound too.
  const token = String(good.json.refresh_token);
  const turn = (dpopThumbprint?: string) =>
    server.app.turning.turn({ token, clientId: spa.client.id, dpopThumbprint });
  assert.equal((await turn()).outcome, "refused");
  assert.equal((await turn(own.thumbprint)).outcome, "turned");
});

test("RFC 9449 §10.1: a proof at the pushed request binds the code to its key, and dpop_jkt must agree with it", async () => {
  const browser = await signedIn(server, "alice");
  const [own, other] = [await proverFor(server, clock.now), await proverFor(server, clock.now)];
  const dpop = await own.prove("/oauth/par");
  const mismatch = await push(shop, { dpop_jkt: other.thumbprint }, { dpop });
  assertRefusal(mismatch, { status: 400, error: "invalid_dpop_proof" });
  const bad = await push(shop, {}, { dpop: await own.prove("/oauth/token") });
  assertRefusal(bad, { status: 400, error: "invalid_dpop_proof" });
  const uri = await pushed(shop, {}, { dpop: await own.prove("/oauth/par") });
  const code = codeIn(await browser.open(at(shop, uri)));
  const send = async (prover: typeof own) =>
    exchange(server, shop, { code, code_verifier: verifier }, { dpop: await prover.prove("/oauth/token") });
  assertRefusal(await send(other), { status: 400, error: "invalid_grant" });
  const good = await send(own);
  assert.equal(good.json.token_type, "DPoP");
  // RFC 9449 §5: the refresh token of a client that authenticates is bound to that, and not to the key.
  const turned = await server.app.turning.turn({
    token: String(good.json.refresh_token),
    clientId: shop.client.id,
  });
  assert.equal(turned.outcome, "turned");
});

test("RFC 9449 §5.2: a client that is registered for DPoP gets no tokens without a proof, and keeps its code", async () => {
  const test = await addClient(server, {
    metadata: { dpop_bound_access_tokens: true, keyturn_trusted: true },
  });
  const browser = await signedIn(server, "alice");
  const prover = await proverFor(server, clock.now);
  const code = codeIn(await browser.open(authorizePath(requestOf(test, challenge))));
  assertRefusal(await exchange(server, test, { code, code_verifier: verifier }), {
    status: 400,
    error: "invalid_dpop_proof",
  });
  const dpop = await prover.prove("/oauth/token");
  assert.equal((await exchange(server, test, { code, code_verifier: verifier }, { dpop })).status, 200);
});

test("FAPI 2.0 §5.3.2.2: only pushed requests, with their redirect URI, S256, and a code of at most a minute", async () => {
  const jwk = {
    kty: "EC",
    crv: "P-256",
    x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  };
  const fapi = await addClient(server, {
    metadata: { keyturn_profile: "fapi2", jwks: { keys: [jwk] }, keyturn_trusted: true },
  });
  const browser = await signedIn(server, "alice");
  const direct = await browser.open(authorizePath(requestOf(fapi, challenge)));
  assert.equal(answerOf(direct, CALLBACK).error, "invalid_request");
  const { requests, kept, codes } = server.app.oauth;
  const { parametersOf } = await import("../http/parameters.ts");
  const check = async (more: Parameters) => {
    const parameters = { ...requestOf(fapi, challenge), ...more };
    const pairs = Object.entries(parameters).filter(
      (pair): pair is [string, string] => pair[1] !== undefined,
    );
    const checked = await requests.checkFor(fapi.client, { parameters: parametersOf(pairs), repeated: [] });
    return { pairs, outcome: checked.outcome };
  };
  assert.equal((await check({ redirect_uri: undefined })).outcome, "trouble");
  const good = await check({});
  assert.equal(good.outcome, "good");
  const { uri } = await kept.push({ clientId: fapi.client.id, pairs: good.pairs });
  const answer = answerOf(await browser.open(at(fapi, uri)), CALLBACK);
  server.secrets.add(answer.code ?? "");
  assert.equal(answer.iss, server.issuer);
  const found = await codes.find(answer.code ?? "");
  const by = { client: fapi.client, keyThumbprint: undefined, ip: undefined, userAgent: undefined };
  assert.ok(found);
  clock.pass(60);
  assert.equal(await codes.start(found, by), undefined);
});

test("discovery names what there is of this", async () => {
  const { json } = await server.call("/.well-known/openid-configuration");
  assert.equal(json.authorization_endpoint, `${server.issuer}/oauth/authorize`);
  assert.equal(json.pushed_authorization_request_endpoint, `${server.issuer}/oauth/par`);
  assert.deepEqual(json.response_types_supported, ["code"]);
  assert.deepEqual(json.response_modes_supported, ["query", "form_post"]);
  assert.deepEqual(json.code_challenge_methods_supported, ["S256"]);
  assert.equal(json.authorization_response_iss_parameter_supported, true);
  assert.equal(json.request_uri_parameter_supported, false);
  assert.ok((json.grant_types_supported as string[]).includes("authorization_code"));
});
