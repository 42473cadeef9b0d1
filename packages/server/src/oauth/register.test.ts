import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { raw } from "sql-template-tag";
import { limits } from "../primitives/limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import { assertRefusal, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { app, callRegistration, type Information, isKnown, noted, register } from "./test-registration.ts";

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

describe("RFC 7591: a client registers itself", () => {
  test("§3.2.1: gets an id, a secret once, a token for its registration, and all that was registered", async () => {
    const made = await register(server, {
      ...app,
      scope: "openid notes.read",
      tos_uri: "https://app.example/tos",
    });
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
    assert.ok(await isKnown(server, { client_id: made.client_id, client_secret: made.client_secret ?? "" }));
    const dump = JSON.stringify(await server.database.all(raw("SELECT * FROM clients")));
    assert.ok(!dump.includes(made.registration_access_token) && !dump.includes(made.client_secret ?? "x"));
  });

  test("as MCP clients do it: no secret, an address on the device with a port, no application_type, more than is known here", async () => {
    const made = await register(server, {
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
    assert.ok(await isKnown(server, { client_id: made.client_id }));
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
      const { client_id } = await register(server, input);
      assert.equal((await server.app.clients.find(client_id))?.type, type, JSON.stringify(input));
    }
    const unnamed = await register(server, { redirect_uris: app.redirect_uris });
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
    const made = await register(server, {
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
    const made = await register(guarded, client, { token: TOKEN });
    assert.deepEqual(made.grant_types, ["client_credentials"]);
    assert.equal((await guarded.app.clients.find(made.client_id))?.type, "service");
    assert.ok(await isKnown(guarded, { client_id: made.client_id, client_secret: made.client_secret ?? "" }));
  });

  test("registrationScopes: what clients may ask for that registered themselves", async () => {
    const scopeOf = async (scope: string | undefined) =>
      (await register(guarded, { ...app, scope }, { token: TOKEN })).scope;
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
    for (const reply of all) if (reply.status === 201) noted(server, reply);
    const refused = all.filter(({ status }) => status === 429);
    assert.equal(refused.length, 1);
    assert.ok(Number(refused[0]?.headers.get("retry-after")) > 0);
    // Changes count too, for whoever has a token; reading does not.
    const made = all.find(({ status }) => status === 201)?.json as Information;
    const json = { ...app, client_id: made.client_id };
    assertRefusal(await callRegistration(server, made, { method: "PUT", json }), {
      status: 429,
      error: "too_many_attempts",
    });
    assert.equal((await callRegistration(server, made)).status, 200);
  });

  test("one that nobody used in a day is forgotten; one that is used stays, and then as long as nobody forgets it", async () => {
    const unused = await register(server, app);
    const used = await register(server, { ...app, token_endpoint_auth_method: "none" });
    const forget = () => server.app.forgetClients();
    clock.pass(limits.clientNeverUsedSeconds - 1);
    assert.ok(await isKnown(server, { client_id: used.client_id }));
    await forget();
    assert.ok((await callRegistration(server, unused)).status === 200);
    clock.pass(1);
    await forget();
    assertRefusal(await callRegistration(server, unused), { status: 401, error: "invalid_token" });
    assert.ok(await isKnown(server, { client_id: used.client_id }));
    // A use is noted once a day, and a row is not written at every one.
    const { expiresAt = 0, lastUsedAt } = (await server.app.clients.find(used.client_id)) ?? {};
    assert.equal(expiresAt, (lastUsedAt ?? 0) + limits.clientUnusedSeconds * 1000);
    clock.pass((expiresAt - clock.now()) / 1000);
    await forget();
    assert.equal(await isKnown(server, { client_id: used.client_id }), false);
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
