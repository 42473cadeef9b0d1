import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { readable, testBrowser } from "../pages/test-browser.ts";
import { type Reply, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import {
  addClient,
  answerOf,
  authorizePath,
  CALLBACK,
  type Parameters,
  pkce,
  postForm,
  requestOf,
  signedIn,
  type TestClient,
} from "./test-oauth.ts";

/** What a request for authorization may say, and who is told when it says something else. */

let server: TestServer;
let shop: TestClient;
const { challenge } = pkce();
before(async () => {
  server = await startTestServer({ settings: { scopes: ["read", "write"] } });
  await server.addUser("alice");
  shop = await addClient(server);
});
after(() => server.close());

/** Of a stranger's browser: nobody is signed in, so a good request leads to the form for signing in. */
const send = (parameters: Parameters) => testBrowser(server).open(authorizePath(parameters));
const sendWith = (more: Parameters) => send(requestOf(shop, challenge, more));

function isAsked(reply: Reply): boolean {
  return reply.status === 303 && (reply.headers.get("location") ?? "").startsWith("/sign-in?");
}

async function refused(more: Parameters, error: string): Promise<Record<string, string>> {
  const answer = answerOf(await sendWith(more), CALLBACK);
  assert.equal(answer.error, error, JSON.stringify([more, answer]));
  // RFC 9207 §2: in errors, too.
  assert.equal(answer.iss, server.issuer);
  assert.match(answer.error_description ?? "", /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, "RFC 6749 §4.1.2.1");
  return answer;
}

async function troubled(reply: Reply): Promise<void> {
  assert.equal(reply.status, 400, reply.text.slice(0, 200));
  assert.equal(reply.headers.get("location"), null);
  assert.match(readable(reply), /Nothing was done|begin again/);
}

test("a good request of somebody who is not signed in leads to the form for signing in, and back by a short path", async () => {
  const reply = await sendWith({});
  assert.ok(isAsked(reply));
  const url = new URL(reply.headers.get("location") ?? "", server.url);
  const back = new URL(url.searchParams.get("return_to") ?? "", server.url);
  assert.equal(back.pathname, "/oauth/authorize");
  assert.deepEqual([...back.searchParams.keys()], ["client_id", "request_uri"]);
});

test("RFC 6749 §4.1.2.1: nothing is sent to an address that is not proven, whatever else is wrong", async () => {
  const nowhere = await addClient(server, {
    name: "Machine",
    type: "service",
    metadata: { redirect_uris: [] },
  });
  const requests: Parameters[] = [
    {},
    requestOf(shop, challenge, { client_id: undefined }),
    requestOf(shop, challenge, { client_id: "nobody" }),
    requestOf(shop, challenge, { client_id: "" }),
    requestOf(shop, challenge, { client_id: [shop.client.id, shop.client.id] }),
    requestOf(shop, challenge, { client_id: `${shop.client.id}\u0000` }),
    requestOf(shop, challenge, { client_id: "first-party" }),
    requestOf(shop, challenge, { client_id: nowhere.client.id }),
    requestOf(shop, challenge, { redirect_uri: [CALLBACK, CALLBACK] }),
    requestOf(shop, challenge, { redirect_uri: [CALLBACK, "https://evil.example/"] }),
    requestOf(shop, challenge, { redirect_uri: "https://evil.example/", response_type: "token" }),
    requestOf(shop, challenge, {
      redirect_uri: "https://evil.example/",
      request_uri: "https://evil.example/request",
    }),
    requestOf(shop, challenge, { request_uri: "urn:ietf:params:oauth:request_uri:x" }),
    requestOf(shop, challenge, { request_uri: `urn:ietf:params:oauth:request_uri:${"A".repeat(43)}` }),
  ];
  for (const parameters of requests) await troubled(await send(parameters));
});

test("RFC 9700 §4.1.3: redirect URIs compare byte for byte", async () => {
  const hostile = [
    `${CALLBACK}/`,
    `${CALLBACK}?`,
    `${CALLBACK}?x=1`,
    `${CALLBACK}#`,
    `${CALLBACK}#fragment`,
    `${CALLBACK}/../evil`,
    `${CALLBACK}/.`,
    `${CALLBACK}%2f`,
    `${CALLBACK}%00`,
    `${CALLBACK}\u0000`,
    `${CALLBACK} `,
    ` ${CALLBACK}`,
    `${CALLBACK}\t`,
    `${CALLBACK}\r\nLocation: https://evil.example`,
    "https://app.example/callbac%6b",
    "https://app.example/CALLBACK",
    "https://app.example//callback",
    "https://app.example/x/../callback",
    "https://app.example/%2e/callback",
    "https://app.example\\callback",
    "https:\\\\app.example\\callback",
    "https:/app.example/callback",
    "https:app.example/callback",
    "//app.example/callback",
    "/callback",
    "HTTPS://app.example/callback",
    "https://APP.example/callback",
    "http://app.example/callback",
    "https://app.example:443/callback",
    "https://app.example:8443/callback",
    "https://app.example./callback",
    "https://app.example.evil.example/callback",
    "https://evil.example/app.example/callback",
    "https://evil.example#app.example/callback",
    "https://evil.example?https://app.example/callback",
    "https://evil.example\\@app.example/callback",
    "https://evil.example%00.app.example/callback",
    "https://user@app.example/callback",
    "https://app.example@evil.example/callback",
    "https://app.example:x@evil.example/callback",
    "https://xn--pp-xja.example/callback",
    "https://\u0430pp.example/callback",
    "https://app\u3002example/callback",
    "https://app.ex\u00adample/callback",
    "javascript:alert(1)//https://app.example/callback",
    "data:text/html,<script>alert(1)</script>",
    "null",
    "https://",
    "x".repeat(3000),
  ];
  for (const redirect_uri of hostile) await troubled(await sendWith({ redirect_uri }));
  assert.ok(isAsked(await sendWith({})));
});

test("RFC 8252 §7.3: a native client's loopback address takes any port, and nothing else that differs", async () => {
  const native = await addClient(server, {
    name: "Desk",
    type: "native",
    metadata: { redirect_uris: ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.desk:/cb"] },
  });
  const send = (redirect_uri: string) =>
    testBrowser(server).open(authorizePath(requestOf(native, challenge, { redirect_uri })));
  for (const good of [
    "http://127.0.0.1/cb",
    "http://127.0.0.1:51234/cb",
    "http://[::1]:8/cb",
    "com.example.desk:/cb",
  ]) {
    assert.ok(isAsked(await send(good)), good);
  }
  for (const bad of [
    "http://localhost:51234/cb",
    "http://127.0.0.1:51234/cb/",
    "http://127.0.0.1:51234/cb?x",
    "http://127.0.0.1:99999/cb",
    "http://127.0.0.1:/cb",
    "http://127.0.0.1:80@evil.example/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://127.0.0.2:1/cb",
    "https://127.0.0.1:1/cb",
    "com.example.desk:/cb/",
    "com.example.desk.evil:/cb",
  ]) {
    await troubled(await send(bad));
  }
  // RFC 8252 is for native clients: of others the port is part of the address.
  await troubled(await sendWith({ redirect_uri: "http://127.0.0.1:51234/callback" }));
});

test("RFC 6749 §3.1.2.3: the redirect URI may be left out where one alone is registered", async () => {
  assert.ok(isAsked(await sendWith({ redirect_uri: undefined })));
  const two = await addClient(server, { metadata: { redirect_uris: [CALLBACK, "https://app.example/two"] } });
  await troubled(await send(requestOf(two, challenge, { redirect_uri: undefined })));
});

test("RFC 6749 §3.1.2: the query of a redirect URI is retained, and the answer stands beside it", async () => {
  const metadata = { redirect_uris: ["https://app.example/cb?tenant=7&x=%26"] };
  const test = await addClient(server, { metadata });
  const reply = await send(requestOf(test, challenge, { response_type: "token", state: "a&b=c#d" }));
  const location = reply.headers.get("location") ?? "";
  assert.ok(location.startsWith("https://app.example/cb?tenant=7&x=%26&error=unsupported_response_type&"));
  assert.equal(new URL(location).searchParams.get("state"), "a&b=c#d");
});

test("RFC 6749 §4.1.2.1: a proven client is told what is wrong, with its state and with iss", async () => {
  const answer = await refused({ response_type: "token" }, "unsupported_response_type");
  assert.equal(answer.state, "a-state");
  for (const type of ["code token", "id_token", "code id_token", "none", "CODE", "code code"]) {
    await refused({ response_type: type }, "unsupported_response_type");
  }
  await refused({ response_type: undefined }, "invalid_request");
  await refused({ response_mode: "fragment" }, "invalid_request");
  await refused({ response_mode: "jwt" }, "invalid_request");
});

test("RFC 7636, RFC 9700 §2.1.1: every client sends a challenge of S256; there is nothing to fall back to", async () => {
  const bad: Parameters[] = [
    { code_challenge: undefined, code_challenge_method: undefined },
    { code_challenge: undefined },
    { code_challenge: "" },
    { code_challenge_method: undefined },
    { code_challenge_method: "plain" },
    { code_challenge_method: "s256" },
    { code_challenge_method: "S512" },
    { code_challenge: challenge.slice(1) },
    { code_challenge: `${challenge}A` },
    { code_challenge: `${challenge.slice(1)}=` },
    { code_challenge: `${challenge.slice(1)}+` },
    { code_challenge: "~".repeat(43) },
  ];
  for (const more of bad) await refused(more, "invalid_request");
});

test("RFC 6749 §3.1: a parameter that is repeated is refused, one without a value is none, an unknown one is ignored", async () => {
  const refusal = await refused({ scope: ["openid", "openid"] }, "invalid_request");
  assert.equal(refusal.state, "a-state");
  const twice = answerOf(await sendWith({ state: ["one", "two"] }), CALLBACK);
  assert.equal(twice.error, "invalid_request");
  assert.equal(twice.state, undefined, "which of the two is nobody's to choose");
  await refused({ code_challenge: [challenge, challenge] }, "invalid_request");
  assert.ok(isAsked(await sendWith({ nonce: "", max_age: "", prompt: "", claims: "", response_mode: "" })));
  assert.ok(isAsked(await sendWith({ colour: ["blue", "red"], toString: ["x", "y"] })));
  assert.ok(isAsked(await sendWith({ colour: "blue", __proto__: "x", constructor: "y" })));
});

test("RFC 6749 §3.3: scopes that there are not are left out, and a request that is left with none is refused", async () => {
  const test = await addClient(server, { metadata: { scope: "openid read" } });
  const asked = requestOf(test, challenge, { scope: "email write nonsense" });
  assert.equal(answerOf(await send(asked), CALLBACK).error, "invalid_scope");
  assert.ok(isAsked(await send(requestOf(test, challenge, { scope: "openid write" }))));
  assert.ok(isAsked(await send(requestOf(test, challenge, { scope: undefined }))));
});

test("RFC 8707 §2: a resource that is unknown, relative or has a fragment is refused; more than one may be asked for", async () => {
  for (const resource of [
    "https://api.example/none",
    "api",
    "https://api.example/#x",
    "\u0000",
    "https://api.example/\u0000",
  ]) {
    await refused({ resource }, "invalid_target");
  }
  const { audience } = server.app.settings;
  assert.ok(isAsked(await sendWith({ resource: [audience, audience] })));
  await refused({ resource: Array.from({ length: 11 }, (_, n) => `${audience}${n}`) }, "invalid_request");
});

test("OpenID Connect Core §3.1.2.1: prompt, max_age and claims have their form", async () => {
  await refused({ prompt: "none login" }, "invalid_request");
  await refused({ prompt: "none none consent" }, "invalid_request");
  await refused({ prompt: "maybe" }, "invalid_request");
  await refused({ prompt: "LOGIN" }, "invalid_request");
  for (const max_age of ["-1", "1.5", "soon", "1e3", "99999999999"]) {
    await refused({ max_age }, "invalid_request");
  }
  for (const claims of ["x", "[]", "null", "1", '{"id_token":']) await refused({ claims }, "invalid_request");
  assert.ok(isAsked(await sendWith({ claims: '{"id_token":{"acr":null},"userinfo":{"email":null}}' })));
  assert.ok(isAsked(await sendWith({ claims: '{"id_token":[1],"__proto__":{"x":1}}' })));
  await refused({ dpop_jkt: "x" }, "invalid_request");
  await refused({ id_token_hint: "a.b.c" }, "invalid_request");
});

test("OpenID Connect Core §6.1: a request object is not taken, and the client is told so", async () => {
  await refused({ request: "e30.e30." }, "request_not_supported");
});

test("a client that is not registered for codes gets none", async () => {
  const test = await addClient(server, {
    metadata: { grant_types: ["client_credentials"], response_types: [], redirect_uris: [CALLBACK] },
  });
  assert.equal(answerOf(await send(requestOf(test, challenge)), CALLBACK).error, "unauthorized_client");
});

test("OpenID Connect Core §3.1.2.1: a form of another site is led on to an address that says the same", async () => {
  const parameters = requestOf(shop, challenge, { resource: [server.app.settings.audience] });
  const headers = { "sec-fetch-site": "cross-site", origin: "https://app.example" };
  const reply = await postForm(server, "/oauth/authorize", parameters, { headers });
  assert.equal(reply.status, 303);
  const location = reply.headers.get("location") ?? "";
  assert.equal(location, authorizePath(parameters));
  assert.ok(isAsked(await testBrowser(server).open(location)));
  const long = { ...parameters, x: "y".repeat(8100) };
  assert.equal((await postForm(server, "/oauth/authorize", long)).status, 413);
  const json = await server.call("/oauth/authorize", { json: {} });
  assert.equal(json.status, 415);
});

test("bytes that are no text, too many parameters and other methods are answered, and never with a 500", async () => {
  const browser = testBrowser(server);
  for (const query of ["%", "client_id=%ff", "a=b&".repeat(40), `x=${"y".repeat(9000)}`, "=&&==&"]) {
    assert.equal((await browser.open(`/oauth/authorize?${query}`)).status, 400, query.slice(0, 20));
  }
  for (const method of ["PUT", "DELETE", "PATCH"]) {
    const reply = await browser.send("/oauth/authorize", { method });
    assert.equal(reply.status, 405);
    assert.equal(reply.headers.get("allow"), "GET, HEAD, POST");
  }
});

test("a stranger cannot fill the table of requests that wait", async () => {
  // However slow this machine is: nothing comes back to the limit meanwhile.
  const own = await startTestServer({ clock: stoppedClock(Date.now()) });
  try {
    const test = await addClient(own);
    const path = authorizePath(requestOf(test, challenge));
    const replies = await Promise.all(Array.from({ length: 230 }, () => own.call(path)));
    const limited = replies.filter(({ status }) => status === 429);
    assert.ok(limited.length > 0, "the limit is reached");
    assert.ok((await own.countRows("authorization_requests")) <= 215);
    const spa = await addClient(own, { type: "spa" });
    const pushed = await postForm(own, "/oauth/par", requestOf(spa, challenge));
    assert.equal(pushed.status, 429);
    const known = await postForm(own, "/oauth/par", requestOf(test, challenge), { headers: test.headers });
    assert.equal(known.status, 201, "a client that authenticates answers for itself");
  } finally {
    await own.close();
  }
});

test("what is asked of somebody who has agreed costs nothing that waits: no row is written but the code", async () => {
  const browser = await signedIn(server, "alice");
  const trusted = await addClient(server, { metadata: { keyturn_trusted: true } });
  const before = await server.countRows("authorization_requests");
  const answer = answerOf(await browser.open(authorizePath(requestOf(trusted, challenge))), CALLBACK);
  assert.ok(answer.code);
  server.secrets.add(answer.code);
  assert.equal(answer.iss, server.issuer);
  assert.equal(answer.state, "a-state");
  assert.equal(await server.countRows("authorization_requests"), before);
});
