import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { raw } from "sql-template-tag";
import { limits } from "../primitives/limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import {
  assertRefusal,
  type Call,
  type Reply,
  startTestServer,
  stoppedClock,
  type TestServer,
} from "../test-server.ts";

const clock = stoppedClock();
const TOKEN = "an-initial-access-token-of-the-operator";
let server: TestServer;
let guarded: TestServer;
let closed: TestServer;

before(async () => {
  [server, guarded, closed] = await Promise.all([
    startTestServer({ clock, settings: { dynamicRegistration: "open" } }),
    startTestServer({
      settings: { dynamicRegistration: "token", registrationToken: TOKEN, registrationScopes: "notes.read" },
    }),
    startTestServer(),
  ]);
  guarded.secrets.add(TOKEN);
});
after(async () => {
  await Promise.all([server?.close(), guarded?.close(), closed?.close()]);
});
beforeEach(() => server.forgetLimits());

const app = { redirect_uris: ["https://app.example/cb"], client_name: "An application" };

interface Information extends Record<string, unknown> {
  readonly client_id: string;
  readonly client_secret?: string;
  readonly registration_access_token: string;
  readonly registration_client_uri: string;
}

function noted(reply: Reply, at = server): Information {
  const information = reply.json as Information;
  at.secrets.add(information.registration_access_token);
  if (information.client_secret !== undefined) at.secrets.add(information.client_secret);
  return information;
}

async function register(json: unknown, at = server, more: Call = {}): Promise<Information> {
  const reply = await at.call("/oauth/register", { json, ...more });
  assert.equal(reply.status, 201, reply.text);
  return noted(reply, at);
}

const at = (information: Information, options: Call = {}) =>
  server.call(new URL(information.registration_client_uri).pathname, {
    token: information.registration_access_token,
    ...options,
  });

/** Whether the token endpoint knows the client: it gets as far as the grant. */
async function isKnown(parameters: Record<string, string>, on = server): Promise<boolean> {
  const reply = await on.call("/oauth/token", {
    body: new URLSearchParams({ grant_type: "urn:example:none", ...parameters }).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  if (reply.json.error === "invalid_client") return false;
  assert.equal(reply.json.error, "unsupported_grant_type", reply.text);
  return true;
}

describe("RFC 7591: a client registers itself", () => {
  test("§3.2.1: gets an id, a secret once, a token for its registration, and all that was registered", async () => {
    const made = await register({ ...app, scope: "openid notes.read", tos_uri: "https://app.example/tos" });
    assert.match(made.client_id, /^c-[0-9a-f]{32}$/);
    assert.match(made.client_secret ?? "", /^kts_/);
    assert.match(made.registration_access_token, /^ktr_[\w-]{43}$/);
    assert.equal(made.client_secret_expires_at, 0);
    assert.equal(made.client_id_issued_at, clock.now() / 1000);
    assert.equal(made.registration_client_uri, `${server.issuer}/oauth/register/${made.client_id}`);
    assert.equal(made.client_name, "An application");
    assert.deepEqual(made.redirect_uris, app.redirect_uris);
    assert.equal(made.scope, "openid notes.read");
    assert.equal(made.token_endpoint_auth_method, "client_secret_basic");
    assert.deepEqual(made.grant_types, ["authorization_code", "refresh_token"]);
    assert.deepEqual(made.response_types, ["code"]);
    assert.ok(!Object.keys(made).some((name) => name.startsWith("keyturn_")));
    assert.ok(await isKnown({ client_id: made.client_id, client_secret: made.client_secret ?? "" }));
    const dump = JSON.stringify(await server.database.all(raw("SELECT * FROM clients")));
    assert.ok(!dump.includes(made.registration_access_token) && !dump.includes(made.client_secret ?? "x"));
  });

  test("as MCP clients do it: no secret, an address on the device with a port, no application_type, more than is known here", async () => {
    const made = await register({
      client_name: "An MCP client",
      redirect_uris: ["http://127.0.0.1:33418/callback"],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
      scope: "mcp:tools offline_access",
      client_uri: "",
      logo_uri: null,
      "client_name#ja": "x",
      software_version: "1.0",
      something: { else: 1 },
    });
    assert.equal(made.client_secret, undefined);
    assert.equal(made.client_secret_expires_at, undefined);
    assert.equal(made.scope, "mcp:tools offline_access");
    assert.equal(made.application_type, "native");
    assert.equal(made.something, undefined);
    assert.equal((await server.app.clients.find(made.client_id))?.type, "native");
    assert.ok(await isKnown({ client_id: made.client_id }));
  });

  test("what it is follows from what it says", async () => {
    const none = { token_endpoint_auth_method: "none" };
    const cases: [input: object, type: string][] = [
      [app, "web"],
      [{ ...app, ...none }, "spa"],
      [{ ...app, ...none, application_type: "native" }, "native"],
      [{ ...none, redirect_uris: ["http://localhost:3000/cb"] }, "native"],
      [{ ...none, redirect_uris: ["http://localhost:3000/cb"], application_type: "web" }, "spa"],
      [{ ...none, redirect_uris: ["cursor://anysphere.cursor-mcp/oauth/callback"] }, "native"],
      [{ redirect_uris: ["http://localhost:3000/cb"] }, "web"],
      [{ ...none, grant_types: ["urn:ietf:params:oauth:grant-type:device_code"] }, "native"],
    ];
    for (const [input, type] of cases) {
      await server.forgetLimits();
      const { client_id } = await register(input);
      assert.equal((await server.app.clients.find(client_id))?.type, type, JSON.stringify(input));
    }
    const unnamed = await register({ redirect_uris: app.redirect_uris });
    assert.equal(unnamed.client_name, "app.example");
  });

  test("§3.2.2: what is wrong has its code; nothing is registered", async () => {
    const before = await server.countRows("clients");
    const wrong: [input: unknown, error: string][] = [
      [{ ...app, redirect_uris: ["javascript:alert(1)"] }, "invalid_redirect_uri"],
      [{ ...app, redirect_uris: ["http://evil.example/"] }, "invalid_redirect_uri"],
      [{ ...app, redirect_uris: [] }, "invalid_redirect_uri"],
      [{ client_name: "x" }, "invalid_redirect_uri"],
      [{ ...app, token_endpoint_auth_method: "client_secret_jwt" }, "invalid_client_metadata"],
      [{ ...app, jwks: { keys: [{ kty: "oct", k: "x" }] } }, "invalid_client_metadata"],
      [{ ...app, client_name: "a\u202eb" }, "invalid_client_metadata"],
      [{ ...app, client_name: { en: "x" } }, "invalid_client_metadata"],
      [{ ...app, logo_uri: "javascript:alert(1)" }, "invalid_client_metadata"],
      [{ ...app, grant_types: ["implicit"] }, "invalid_client_metadata"],
      [{ ...app, grant_types: ["client_credentials"] }, "invalid_client_metadata"],
      [
        { ...app, sector_identifier_uri: "https://127.0.0.1/x", subject_type: "pairwise" },
        "invalid_client_metadata",
      ],
      [[], "invalid_request"],
      ["x", "invalid_request"],
    ];
    for (const [input, error] of wrong) {
      await server.forgetLimits();
      assertRefusal(await server.call("/oauth/register", { json: input }), { status: 400, error });
    }
    const form = { body: "client_name=x", headers: { "content-type": "application/x-www-form-urlencoded" } };
    assertRefusal(await server.call("/oauth/register", { method: "POST", ...form }), { status: 415 });
    assertRefusal(await server.call("/oauth/register", { json: { x: "x".repeat(17_000) } }), { status: 413 });
    assert.equal(await server.countRows("clients"), before);
  });

  test("§3.1.1: a software statement, which nobody here would check, is refused", async () => {
    const reply = await server.call("/oauth/register", {
      json: { ...app, software_statement: "eyJh.e30.x" },
    });
    assertRefusal(reply, { status: 400, error: "unapproved_software_statement" });
  });

  test("strangers act not for themselves, trust not themselves, and claim no API", async () => {
    const made = await register({
      ...app,
      grant_types: [
        "authorization_code",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "implicit",
      ],
      response_types: ["code", "id_token"],
      keyturn_trusted: true,
      keyturn_resources: [server.issuer],
      keyturn_profile: "fapi2",
    });
    assert.deepEqual(made.grant_types, ["authorization_code"]);
    assert.deepEqual(made.response_types, ["code"]);
    const client = await server.app.clients.find(made.client_id);
    assert.equal(client?.metadata.keyturn_trusted, false);
    assert.deepEqual(client?.metadata.keyturn_resources, []);
    assert.equal(client?.metadata.keyturn_profile, "default");
  });

  test("off by default, and then there is nothing; discovery names it where it is on", async () => {
    assertRefusal(await closed.call("/oauth/register", { json: app }), { status: 404, error: "not_found" });
    const discovery = async (on: TestServer) =>
      (await on.call("/.well-known/oauth-authorization-server")).json;
    assert.equal((await discovery(closed)).registration_endpoint, undefined);
    assert.equal((await discovery(closed)).client_id_metadata_document_supported, false);
    assert.equal((await discovery(server)).registration_endpoint, `${server.issuer}/oauth/register`);
    assert.equal((await discovery(guarded)).registration_endpoint, `${guarded.issuer}/oauth/register`);
  });

  test("§3: with an initial access token; who has it may let a client act for itself", async () => {
    const client = {
      ...app,
      grant_types: ["client_credentials"],
      response_types: [],
      scope: "notes.read admin",
    };
    for (const token of [undefined, "x", TOKEN.slice(0, -1), `${TOKEN}x`, TOKEN.toUpperCase()]) {
      assertRefusal(await guarded.call("/oauth/register", { json: client, token }), {
        status: 401,
        error: "invalid_token",
      });
    }
    const made = await register(client, guarded, { token: TOKEN });
    assert.deepEqual(made.grant_types, ["client_credentials"]);
    assert.equal((await guarded.app.clients.find(made.client_id))?.type, "service");
    assert.ok(await isKnown({ client_id: made.client_id, client_secret: made.client_secret ?? "" }, guarded));
  });

  test("registrationScopes: what clients may ask for that registered themselves", async () => {
    const scopeOf = async (scope: string | undefined) =>
      (await register({ ...app, scope }, guarded, { token: TOKEN })).scope;
    assert.equal(await scopeOf("openid notes.read notes.write"), "openid notes.read");
    assert.equal(await scopeOf(undefined), "openid profile email offline_access notes.read");
    const reply = await guarded.call("/oauth/register", { json: { ...app, scope: "admin" }, token: TOKEN });
    assertRefusal(reply, { status: 400, error: "invalid_client_metadata" });
  });

  test("pages of any origin may register a client, and look after it", async () => {
    for (const [path, method] of [
      ["/oauth/register", "POST"],
      ["/oauth/register/c-0", "PUT"],
    ] as const) {
      const reply = await server.callQuietly(path, {
        method: "OPTIONS",
        headers: {
          origin: "https://inspector.example",
          "access-control-request-method": method,
          "access-control-request-headers": "authorization,content-type,mcp-protocol-version",
        },
      });
      assert.equal(reply.headers.get("access-control-allow-origin"), "*");
      assert.match(reply.headers.get("access-control-allow-methods") ?? "", new RegExp(method));
    }
  });

  test("limited by address", async () => {
    const { burst } = rateRules.clientRegistration;
    const all = await Promise.all(
      Array.from({ length: burst + 1 }, () => server.call("/oauth/register", { json: app })),
    );
    for (const reply of all) if (reply.status === 201) noted(reply);
    const refused = all.filter(({ status }) => status === 429);
    assert.equal(refused.length, 1);
    assert.ok(Number(refused[0]?.headers.get("retry-after")) > 0);
    // Changes count too, for whoever has a token; reading does not.
    const made = all.find(({ status }) => status === 201)?.json as Information;
    const json = { ...app, client_id: made.client_id };
    assertRefusal(await at(made, { method: "PUT", json }), { status: 429, error: "too_many_attempts" });
    assert.equal((await at(made)).status, 200);
  });

  test("one that nobody used in a day is forgotten; one that is used stays, and then as long as nobody forgets it", async () => {
    const unused = await register(app);
    const used = await register({ ...app, token_endpoint_auth_method: "none" });
    const forget = () => server.app.forgetClients();
    clock.pass(limits.clientNeverUsedSeconds - 1);
    assert.ok(await isKnown({ client_id: used.client_id }));
    await forget();
    assert.ok((await at(unused)).status === 200);
    clock.pass(1);
    await forget();
    assertRefusal(await at(unused), { status: 401, error: "invalid_token" });
    assert.ok(await isKnown({ client_id: used.client_id }));
    // A use is noted once a day, and a row is not written at every one.
    const { expiresAt = 0, lastUsedAt } = (await server.app.clients.find(used.client_id)) ?? {};
    assert.equal(expiresAt, (lastUsedAt ?? 0) + limits.clientUnusedSeconds * 1000);
    clock.pass((expiresAt - clock.now()) / 1000);
    await forget();
    assert.equal(await isKnown({ client_id: used.client_id }), false);
    // The operator's are never forgotten.
    assert.equal(
      (await server.app.clients.add({ name: "API", type: "resource" }, { actor: "operator" })).outcome,
      "added",
    );
    clock.pass(1000 * 24 * 60 * 60);
    const before = await server.countRows("clients");
    await forget();
    assert.equal(await server.countRows("clients"), before);
  });
});

describe("RFC 7592: a client looks after its registration", () => {
  test("§2.1: reads it; the token stays good, the secret is not shown again", async () => {
    const made = await register(app);
    const { client_secret: _, client_secret_expires_at: __, ...shown } = made;
    for (let times = 0; times < 2; times++) {
      const reply = await at(made);
      assert.equal(reply.status, 200);
      assert.deepEqual(reply.json, shown);
    }
  });

  test("§2.1: without its token nobody reads, changes or deletes it; the same answer for a client that is not there", async () => {
    const made = await register(app);
    const other = await register(app);
    const path = new URL(made.registration_client_uri).pathname;
    for (const method of ["GET", "PUT", "DELETE"]) {
      const json = method === "PUT" ? { json: { ...app, client_id: made.client_id } } : {};
      assertRefusal(await server.call(path, { method, ...json }), { status: 401, error: "missing_token" });
      for (const token of [other.registration_access_token, "x", `${made.registration_access_token}x`]) {
        const reply = await server.call(path, { method, token, ...json });
        assertRefusal(reply, { status: 401, error: "invalid_token" });
        const missing = await server.call("/oauth/register/c-0", { method, token, ...json });
        assert.deepEqual(missing.json, reply.json);
      }
    }
    const operators = await server.addResource("API");
    assertRefusal(await server.call(`/oauth/register/${operators.id}`, { token: operators.secret }), {
      status: 401,
    });
    assert.equal((await at(made)).status, 200);
  });

  test("§2.2: replaces it, and what is left out goes", async () => {
    const made = await register({ ...app, tos_uri: "https://app.example/tos", scope: "openid" });
    const { client_id, client_secret } = made;
    const json = {
      client_id,
      client_secret,
      redirect_uris: ["https://app.example/new"],
      client_name: "New",
      tos_uri: null,
    };
    const reply = await at(made, { method: "PUT", json });
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual(
      [reply.json.redirect_uris, reply.json.client_name],
      [["https://app.example/new"], "New"],
    );
    assert.equal(reply.json.tos_uri, undefined);
    assert.equal(reply.json.scope, undefined);
    assert.equal(reply.json.client_secret, undefined, "it keeps the one that it has");
    assert.ok(await isKnown({ client_id, client_secret: client_secret ?? "" }));
    assert.deepEqual((await at(made)).json, reply.json);
  });

  test("§2.2: one that needs a secret from now on gets it, one that needs none has none any more", async () => {
    const made = await register({ ...app, token_endpoint_auth_method: "none" });
    const json = { ...app, client_id: made.client_id };
    const secret = noted(await at(made, { method: "PUT", json })).client_secret ?? "";
    assert.ok(await isKnown({ client_id: made.client_id, client_secret: secret }));
    const open = await at(made, { method: "PUT", json: { ...json, token_endpoint_auth_method: "none" } });
    assert.equal(open.status, 200);
    assert.equal(await isKnown({ client_id: made.client_id, client_secret: secret }), false);
  });

  test("§2.2: names itself and no other, sets no secret of its own, and sends nothing that the server makes", async () => {
    const made = await register(app);
    const other = await register(app);
    const good = { ...app, client_id: made.client_id };
    const wrong = [
      app,
      { ...good, client_id: other.client_id },
      { ...good, client_secret: other.client_secret },
      { ...good, client_secret: "kts_my-own-secret-of-some-length-or-other" },
      { ...good, registration_access_token: made.registration_access_token },
      { ...good, registration_client_uri: made.registration_client_uri },
      { ...good, client_id_issued_at: made.client_id_issued_at },
      { ...good, client_secret_expires_at: 0 },
    ];
    for (const json of wrong) {
      const reply = await at(made, { method: "PUT", json });
      assertRefusal(reply, { status: 400, error: "invalid_client_metadata" });
    }
    const { client_secret: _, client_secret_expires_at: __, ...shown } = made;
    assert.deepEqual((await at(made)).json, shown);
  });

  test("a registration cannot grow into what its first one could not be", async () => {
    const made = await register(app);
    const json = {
      ...app,
      client_id: made.client_id,
      grant_types: ["authorization_code", "client_credentials"],
    };
    const reply = await at(made, { method: "PUT", json });
    assert.deepEqual(reply.json.grant_types, ["authorization_code"]);
  });

  test("§2.3: deletes it once; its id and token are nobody's then", async () => {
    const made = await register({ ...app, token_endpoint_auth_method: "none" });
    assert.ok(await isKnown({ client_id: made.client_id }));
    const all = await Promise.all([1, 2, 3].map(() => at(made, { method: "DELETE" })));
    assert.deepEqual(all.map(({ status }) => status).sort(), [204, 401, 401]);
    assertRefusal(await at(made), { status: 401, error: "invalid_token" });
    assert.equal(await isKnown({ client_id: made.client_id }), false);
  });

  test("goes on when registration is switched off", async () => {
    const made = await register(app);
    const later = await startTestServer({ clock, beside: { ...server, place: server.place } });
    try {
      assertRefusal(await later.call("/oauth/register", { json: app }), { status: 404 });
      const path = new URL(made.registration_client_uri).pathname;
      assert.equal((await later.call(path, { token: made.registration_access_token })).status, 200);
    } finally {
      await later.close();
    }
  });
});
