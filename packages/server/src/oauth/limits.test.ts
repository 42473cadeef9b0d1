import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { parseSettings } from "../config.ts";
import { limits } from "../primitives/limits.ts";
import { exchange as rawExchange, startTestServer, stoppedClock } from "../test-server.ts";
import {
  addClient,
  answerOf,
  authorizePath,
  codeFor,
  exchange,
  type Parameters,
  pkce,
  postForm,
  query,
  requestOf,
  signedIn,
} from "./test-oauth.ts";

/** Each bound of OAuth's in primitives/limits.ts: what is just within it goes, what is just beyond is refused, and no 5xx. */

const clock = stoppedClock();
/** Of characters of which each takes three in a form. */
const secret = "+".repeat(limits.givenSecretCharactersMax);
const longId = `a${"-".repeat(63)}`;
const server = await startTestServer({
  clock,
  settings: {
    dynamicRegistration: "open",
    clients: [{ id: longId, name: "The longest", type: "service", secret }],
  },
});
server.secrets.add(secret);
after(server.close);
beforeEach(server.forgetLimits);
await server.addUser("alice");
const alice = await signedIn(server, "alice");
const web = await addClient(server, { metadata: { keyturn_trusted: true } });
const operator = { actor: "operator" } as const;

const push = async (more: Parameters) =>
  postForm(server, "/oauth/par", requestOf(web, pkce().challenge, more), { headers: web.headers });
const ofLength = (length: number) => "x".repeat(length);

describe("what a request may say", () => {
  test("formFieldsMax: so many parameters", async () => {
    const said = Object.keys(requestOf(web, pkce().challenge)).length;
    const extra = (count: number) =>
      Object.fromEntries(Array.from({ length: count - said }, (_, index) => [`p${index}`, "1"]));
    assert.equal((await push(extra(limits.formFieldsMax))).status, 201);
    const beyond = await push(extra(limits.formFieldsMax + 1));
    assert.deepEqual([beyond.status, beyond.json.error], [400, "invalid_request"]);
    const path = authorizePath(requestOf(web, pkce().challenge, extra(limits.formFieldsMax + 1)));
    assert.deepEqual((await alice.open(path)).status, 400);
  });

  test("parameterCharactersMax: so long a parameter", async () => {
    const { parameterCharactersMax: most } = limits;
    assert.equal((await push({ state: ofLength(most) })).status, 201);
    const beyond = await push({ state: ofLength(most + 1) });
    assert.deepEqual([beyond.status, beyond.json.error], [400, "invalid_request"]);
    const open = async (state: string) =>
      alice.open(authorizePath(requestOf(web, pkce().challenge, { state })));
    assert.equal(answerOf(await open(ofLength(most)), web.redirectUri).state?.length, most);
    assert.equal((await open(ofLength(most + 1))).status, 400);
  });

  test("bodyBytesMax: so large a form", async () => {
    const parameters = requestOf(web, pkce().challenge, { a: ofLength(5000), b: ofLength(5000), c: "" });
    const room = limits.bodyBytesMax - query(parameters).length;
    assert.equal((await push({ ...parameters, code_challenge: undefined, c: ofLength(room) })).status, 400);
    const within = { headers: web.headers };
    const at = await postForm(server, "/oauth/par", { ...parameters, c: ofLength(room) }, within);
    assert.equal(at.status, 201);
    const beyond = await postForm(server, "/oauth/par", { ...parameters, c: ofLength(room + 1) }, within);
    assert.deepEqual([beyond.status, beyond.json.error], [413, "body_too_large"]);
  });

  test("authorizationQueryCharactersMax: so long a form is led on as an address", async () => {
    const parameters = { client_id: web.client.id, a: "" };
    const room = limits.authorizationQueryCharactersMax - query(parameters).length;
    const post = (length: number) =>
      postForm(server, "/oauth/authorize", { ...parameters, a: ofLength(length) });
    const within = await post(room);
    assert.equal(within.status, 303);
    // What it is led on to is an address that this server takes, as far as it gets.
    const next = await server.call(within.headers.get("location") ?? "");
    assert.equal(answerOf(next, web.redirectUri).error, "invalid_request");
    assert.equal((await post(room + 1)).status, 413);
  });

  test("headerBytesMax: so long an address", async () => {
    const ask = (length: number) =>
      rawExchange(
        server.port,
        `GET /oauth/authorize?a=${ofLength(length)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      );
    assert.equal((await ask(limits.headerBytesMax + 1)).status, 431);
    assert.equal((await ask(8000)).status, 400);
  });

  test("resourcesPerRequestMax: so many resources", async () => {
    const resource = (count: number) =>
      Array.from({ length: count }, (_, index) => `https://api${index}.example`);
    const within = await push({ resource: resource(limits.resourcesPerRequestMax) });
    assert.deepEqual([within.status, within.json.error], [400, "invalid_target"]);
    const beyond = await push({ resource: resource(limits.resourcesPerRequestMax + 1) });
    assert.deepEqual([beyond.status, beyond.json.error], [400, "invalid_request"]);
  });

  test("loginHintCharactersMax: so long a hint stands in the form, a longer one is none", async () => {
    const { loginHintCharactersMax: most } = limits;
    const shown = async (login_hint: string) => {
      const more = { login_hint, prompt: "login" };
      const reply = await alice.open(authorizePath(requestOf(web, pkce().challenge, more)));
      return (await alice.follow(reply)).text.includes(login_hint);
    };
    assert.ok(await shown(ofLength(most)));
    assert.ok(!(await shown(ofLength(most + 1))));
  });

  test("basicHeaderCharactersMax, givenSecretCharactersMax: the longest id and secret fit, encoded", async () => {
    const header = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });
    const grant = { grant_type: "client_credentials" };
    const full = `${longId}:${encodeURIComponent(secret)}`;
    const within = await postForm(server, "/oauth/token", grant, { headers: header(full) });
    assert.equal(within.status, 200, within.text);
    const beyond = header(`${longId}:${ofLength(limits.basicHeaderCharactersMax)}`);
    assert.equal((await postForm(server, "/oauth/token", grant, { headers: beyond })).status, 401);
  });

  test("authorizationCodeSeconds: so long a code is good", async () => {
    for (const [seconds, status] of [
      [limits.authorizationCodeSeconds - 1, 200],
      [limits.authorizationCodeSeconds, 400],
    ] as const) {
      const { code, verifier } = await codeFor(server, { test: web, browser: alice });
      clock.pass(seconds);
      assert.equal((await exchange(server, web, { code, code_verifier: verifier })).status, status);
    }
  });

  test("pushedRequestSeconds: so long a pushed request is good", async () => {
    for (const [seconds, isGood] of [
      [limits.pushedRequestSeconds - 1, true],
      [limits.pushedRequestSeconds, false],
    ] as const) {
      const { request_uri, expires_in } = (await push({})).json;
      assert.equal(expires_in, limits.pushedRequestSeconds);
      clock.pass(seconds);
      const parameters = { client_id: web.client.id, request_uri: String(request_uri) };
      assert.equal((await alice.open(authorizePath(parameters))).status, isGood ? 303 : 400);
    }
  });
});

describe("what a client may be", () => {
  const addresses = (count: number) =>
    Array.from({ length: count }, (_, index) => `https://a.example/${index}`);
  const key = { kty: "EC", crv: "P-256", x: "x".repeat(43), y: "y".repeat(43) };
  const keys = (count: number) => ({
    keys: Array.from({ length: count }, (_, index) => ({ ...key, kid: String(index) })),
  });
  const members: Record<string, (bound: number) => object> = {
    redirectUrisMax: (count) => ({ redirect_uris: addresses(count) }),
    redirectUriCharactersMax: (length) => ({ redirect_uris: [`https://a.example/${ofLength(length - 18)}`] }),
    clientKeysMax: (count) => ({ jwks: keys(count) }),
    scopeCharactersMax: (length) => ({ scope: `${"s".repeat(length - 2)} t` }),
    nameCharactersMax: (length) => ({ software_id: ofLength(length) }),
    maxAgeSecondsMax: (seconds) => ({ default_max_age: seconds }),
  };
  for (const [name, member] of Object.entries(members)) {
    test(`${name}: in what it says of itself`, async () => {
      const bound = limits[name as keyof typeof limits];
      const register = (json: object) =>
        server.call("/oauth/register", {
          json: { redirect_uris: ["https://a.example/"], token_endpoint_auth_method: "none", ...json },
        });
      const within = await register(member(bound));
      assert.equal(within.status, 201, within.text.slice(0, 300));
      const beyond = await register(member(bound + 1));
      assert.equal(beyond.status, 400);
      assert.match(String(beyond.json.error), /^invalid_(redirect_uri|client_metadata)$/);
    });
  }

  test("resourcesPerClientMax, resourceCharactersMax: what it is known by as an API", async () => {
    const add = async (keyturn_resources: string[]) =>
      (
        await server.app.clients.add(
          { name: "An API", type: "resource", metadata: { keyturn_resources } },
          operator,
        )
      ).outcome;
    const many = (count: number, from: string) =>
      Array.from({ length: count }, (_, index) => `https://${from}${index}.example`);
    assert.equal(await add(many(limits.resourcesPerClientMax, "a")), "added");
    assert.equal(await add(many(limits.resourcesPerClientMax + 1, "b")), "invalid");
    const long = (length: number) => [`https://c.example/${ofLength(length - 18)}`];
    assert.equal(await add(long(limits.resourceCharactersMax)), "added");
    assert.equal(await add(long(limits.resourceCharactersMax + 1)), "invalid");
  });
});

describe("what the settings may say", () => {
  const accepts = (more: object) => {
    try {
      parseSettings({ issuer: "https://a.example", ...more });
      return true;
    } catch {
      return false;
    }
  };
  const client = (index: number, given = "s".repeat(32)) => ({
    ...{ id: `client-${index}`, name: "A client", type: "service", secret: given },
  });
  const clients = (count: number) => Array.from({ length: count }, (_, index) => client(index));
  const scopes = (count: number) => Array.from({ length: count }, (_, index) => `s${index}`);
  const bounds: Record<string, [within: object, beyond: object]> = {
    settingsClientsMax: [
      { clients: clients(limits.settingsClientsMax) },
      { clients: clients(limits.settingsClientsMax + 1) },
    ],
    scopesMax: [{ scopes: scopes(limits.scopesMax) }, { scopes: scopes(limits.scopesMax + 1) }],
    "scopesMax of registrations": [
      { registrationScopes: scopes(limits.scopesMax) },
      { registrationScopes: scopes(limits.scopesMax + 1) },
    ],
    givenSecretCharactersMax: [
      { clients: [client(1, ofLength(limits.givenSecretCharactersMax))] },
      { clients: [client(1, ofLength(limits.givenSecretCharactersMax + 1))] },
    ],
  };
  for (const [name, [within, beyond]] of Object.entries(bounds)) {
    test(name, () => {
      assert.ok(accepts(within));
      assert.ok(!accepts(beyond));
    });
  }
});
