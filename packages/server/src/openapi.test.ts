import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { refreshRefusalReasons, refusals, sessionRefusalReasons } from "./errors.ts";
import { refusalsOf } from "./openapi.ts";
import { type Reply, startTestServer, type TestServer } from "./test-server.ts";

/** Structure of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), as far as the document uses it. */
interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security: readonly Record<string, unknown>[];
  readonly parameters?: readonly Record<string, unknown>[];
  readonly requestBody?: { readonly required: boolean; readonly content: Record<string, { schema: Schema }> };
  readonly responses: Record<string, { description: string; content?: Record<string, { schema?: Schema }> }>;
}
type Schema = Readonly<Record<string, unknown>>;

let server: TestServer;
let document: Readonly<Record<string, unknown>>;
let operations: { readonly path: string; readonly method: string; readonly operation: Operation }[];

before(async () => {
  server = await startTestServer();
  document = (await server.call("/openapi.json")).json;
  operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(
    ([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
});
after(() => server.close());

test("OAS 3.1 §4.8.1: the document has version, info, servers, paths and the components that are named", () => {
  assert.equal(document.openapi, "3.1.0");
  const { title, version, license } = document.info as Record<string, unknown>;
  assert.deepEqual([typeof title, typeof version], ["string", "string"]);
  assert.deepEqual(license, { name: "Apache-2.0", identifier: "Apache-2.0" });
  assert.deepEqual(document.servers, [{ url: server.issuer }]);
  const known = ["openapi", "info", "servers", "paths", "components"];
  assert.deepEqual(Object.keys(document), known);
});

test("the document lists exactly what is served", () => {
  const described = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`);
  const served = server.app.endpoints.map(
    ({ path, method }) => `${method} ${path.replace(/:(\w+)/, "{$1}")}`,
  );
  assert.deepEqual(described.sort(), served.sort());
});

test("OAS 3.1 §4.8.10: operations have ids of their own, sentences, and parameters that the path names", () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
  const { securitySchemes } = document.components as Record<string, Record<string, unknown>>;
  for (const { path, operation } of operations) {
    assert.match(operation.operationId, /^[a-z][A-Za-z0-9]+$/);
    assert.ok(operation.summary.length > 5);
    for (const need of operation.security) {
      for (const [scheme, scopes] of Object.entries(need)) {
        assert.ok(Object.hasOwn(securitySchemes ?? {}, scheme), scheme);
        assert.deepEqual(scopes, []);
      }
    }
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
    assert.deepEqual(
      inPath.map(({ name, required }) => [name, required]),
      named.map((name) => [name, true]),
    );
    for (const parameter of operation.parameters ?? []) {
      assert.ok(["path", "query", "header"].includes(String(parameter.in)));
      assert.ok(parameter.schema);
    }
  }
});

test("OAS 3.1 §4.8.16: every operation has one success, and its refusals have the schema of a refusal", () => {
  for (const { path, operation } of operations) {
    const statuses = Object.keys(operation.responses);
    assert.equal(statuses.filter((status) => status.startsWith("2")).length, 1, path);
    for (const [status, response] of Object.entries(operation.responses)) {
      assert.match(status, /^[1-5]\d\d$/);
      assert.ok(response.description.length > 0);
      if (Number(status) >= 400) {
        const schema = { $ref: "#/components/schemas/Error" };
        assert.deepEqual(response.content, { "application/json": { schema } });
      }
    }
  }
  const { schemas } = document.components as { schemas: Record<string, Schema> };
  const { properties } = schemas.Error as { properties: Record<string, { enum: string[] }> };
  assert.deepEqual(properties.error?.enum, Object.keys(refusals));
  const reasons = new Set([...Object.keys(refreshRefusalReasons), ...Object.keys(sessionRefusalReasons)]);
  assert.deepEqual(properties.reason?.enum, [...reasons]);
});

test("JSON Schema 2020-12: schemas are of types that there are, and name what they require", () => {
  const types = ["object", "array", "string", "integer", "number", "boolean", "null"];
  let seen = 0;
  const look = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const { type, properties, required, $schema } = value as Schema;
    if (typeof type === "string" && "properties" in value) {
      seen++;
      assert.ok(types.includes(type), type);
      assert.equal($schema, undefined);
      for (const name of (required as string[] | undefined) ?? []) {
        assert.ok(Object.hasOwn(properties as object, name), name);
      }
    }
    for (const member of Object.values(value)) look(member);
  };
  look(document);
  assert.ok(seen > 8);
});

/** One way to each refusal that an endpoint may give. What cannot be provoked here says why. */
type Provoked = { readonly [code in keyof typeof refusals]: string | (() => Promise<Reply>) };

const noPasskey = {
  id: "x",
  rawId: "x",
  type: "public-key",
  response: { clientDataJSON: "x", authenticatorData: "x", signature: "x" },
};

function provocations(): Provoked {
  const json = { "content-type": "application/json" };
  return {
    invalid_request: () => server.call("/login", { json: {} }),
    invalid_json: () => server.call("/login", { body: "{", headers: json }),
    unsupported_media_type: () =>
      server.call("/login", { body: "{}", headers: { "content-type": "text/plain" } }),
    body_too_large: () => server.call("/login", { body: " ".repeat(20_000), headers: json }),
    headers_too_large: () => server.call("/healthz", { headers: { x: "x".repeat(20_000) } }),
    request_timeout: "takes the fifteen seconds that node:http waits for headers",
    not_found: () => server.call("/nothing"),
    method_not_allowed: () => server.call("/login", { method: "PUT" }),
    not_acceptable: "account-api/revocations.test.ts: needs a resource",
    invalid_credentials: () =>
      server.call("/login", { json: { username: "nobody", password: "wrong password" } }),
    second_factor_required: "account-api/second-factor.test.ts: needs a user with one",
    second_factor_enrolment_required: "account-api/second-factor.test.ts: needs a setting",
    invalid_ticket: () => server.call("/login/second-factor", { json: { ticket: "x", code: "123456" } }),
    wrong_code: "account-api/second-factor.test.ts: needs a ticket",
    invalid_passkey: () => server.call("/login/passkey", { json: { passkey: noPasskey } }),
    wrong_proof: "account-api/second-factor.test.ts: needs a session",
    step_up_required: "account-api/second-factor.test.ts: needs a user with a second factor",
    too_many_attempts: "account-api/login.test.ts: needs eleven attempts",
    mail_off: "mail is on here",
    invalid_mail_code: () =>
      server.call("/password/reset", { json: { token: "x", newPassword: "a long enough one" } }),
    email_taken: "account-api/email.test.ts: needs a letter",
    missing_token: () => server.call("/me"),
    invalid_token: () => server.call("/me", { token: "x" }),
    missing_session: () => server.call("/session"),
    invalid_session: () => server.call("/session", { headers: { cookie: "keyturn=x" } }),
    cross_site_request: () =>
      server.call("/sessions", {
        method: "DELETE",
        headers: { cookie: "keyturn=x", origin: "https://elsewhere.example" },
      }),
    wrong_password: "account-api/password.test.ts: needs a user",
    insufficient_scope: "oauth/userinfo.test.ts: needs a client's token",
    invalid_grant: "oauth/refresh.test.ts: needs a client",
    unauthorized_client: "oauth/refresh.test.ts: needs a client",
    unsupported_grant_type: "oauth/refresh.test.ts: needs a client",
    unsupported_response_type: "oauth/authorization-request.test.ts: goes to the client's address",
    invalid_scope: "oauth/refresh.test.ts: needs a client",
    invalid_target: "oauth/refresh.test.ts: needs a client",
    access_denied: "oauth/device.test.ts: needs a client",
    login_required: "oauth/authorization-request.test.ts: goes to the client's address",
    consent_required: "oauth/authorization-request.test.ts: goes to the client's address",
    interaction_required: "oauth/authorization-request.test.ts: goes to the client's address",
    account_selection_required: "oauth/authorization-request.test.ts: goes to the client's address",
    unmet_authentication_requirements: "oauth/authorization-request.test.ts: goes to the client's address",
    invalid_request_uri: "oauth/authorization-request.test.ts: goes to the client's address",
    invalid_request_object: "oauth/authorization-request.test.ts: goes to the client's address",
    request_not_supported: "oauth/authorization-request.test.ts: goes to the client's address",
    request_uri_not_supported: "oauth/ecosystems.test.ts: goes to the client's address",
    invalid_authorization_details: "oauth/authorization-request.test.ts: goes to the client's address",
    authorization_pending: "oauth/device.test.ts: needs a client",
    slow_down: "oauth/device.test.ts: needs a client",
    expired_token: "oauth/device.test.ts: needs a client",
    unsupported_token_type: "oauth/revoke.test.ts: needs a client",
    invalid_redirect_uri: "oauth/register.test.ts: needs a setting",
    invalid_client_metadata: "oauth/register.test.ts: needs a setting",
    unapproved_software_statement: "oauth/register.test.ts: needs a setting",
    invalid_client: () => server.call("/revocations"),
    invalid_refresh_token: () => server.call("/refresh", { json: { refreshToken: "x" } }),
    invalid_dpop_proof: () =>
      server.call("/refresh", { json: { refreshToken: "x" }, headers: { dpop: "x" } }),
    use_dpop_nonce: "account-api/dpop.test.ts: needs a client whose clock is wrong",
    registration_closed: "account-api/register.test.ts: needs a setting",
    registration_refused: "account-api/register.test.ts: needs a user",
    weak_password: () => server.call("/register", { json: { username: "carol", password: "short" } }),
    invalid_handover: () => server.call("/login/handover", { json: { code: "x", verifier: "x".repeat(43) } }),
    recovery_refused: () => server.call("/login/recovery", { json: { username: "nobody", code: "x" } }),
    factor_exists: "account-api/factors.test.ts: needs a factor",
    factor_refused: "account-api/factors.test.ts: needs a session",
    unknown_factor: "account-api/factors.test.ts: needs a session",
    unknown_identity: "account-api/factors.test.ts: needs a session",
    last_way_in: "account-api/factors.test.ts: needs a user without a password",
    password_exists: "account-api/factors.test.ts: needs a session",
    unknown_session: "account-api/sessions.test.ts: needs a session",
    not_supported: "nothing is unsupported yet",
    busy: "account-api/login.test.ts: needs a full queue",
    unavailable: "app.test.ts: needs a database that is gone",
    server_error: "app.test.ts: needs a fault of ours",
  };
}

test("every refusal of the catalogue is provoked with its status and its sentence, or says where it is", async () => {
  for (const [code, provoke] of Object.entries(provocations())) {
    if (typeof provoke === "string") continue;
    const reply = await provoke();
    assert.equal(reply.json.error, code);
    assert.equal(reply.status, refusals[code as keyof typeof refusals].status);
  }
});

/** Refusals of the connection, of an address or of a method: no operation is there to list them. */
const besideOperations = ["not_found", "method_not_allowed", "headers_too_large", "request_timeout"];

test("what an endpoint refuses is what its row says: no undocumented answer", async () => {
  const spoilers: { headers: Record<string, string>; body?: string }[] = [
    { headers: {} },
    { headers: { "content-type": "application/json" }, body: "{" },
    { headers: { "content-type": "application/json" }, body: "[]" },
    { headers: { "content-type": "text/plain" }, body: "x" },
    { headers: { "content-type": "application/json" }, body: " ".repeat(20_000) },
    { headers: { authorization: "Bearer x" } },
    { headers: { authorization: "Basic eA==" } },
    { headers: { cookie: "keyturn=x" } },
    { headers: { cookie: "keyturn=x", origin: "https://elsewhere.example" } },
    { headers: { cookie: "keyturn=x", "sec-fetch-site": "same-origin" } },
    { headers: { "last-event-id": "x", accept: "image/png", "idempotency-key": "," } },
  ];
  const { authorization } = await server.addResource("Reader");
  for (const endpoint of server.app.endpoints) {
    const own = endpoint.access === "resource" ? { authorization } : {};
    for (const { headers, body } of spoilers) {
      if (body !== undefined && endpoint.method === "GET") continue;
      const path = endpoint.path.replace(":id", "x");
      const options = { method: endpoint.method, ...(body !== undefined && { body }) };
      for (const fields of [headers, { ...own, ...headers }]) {
        const reply = await server.call(`${path}?before=x`, { ...options, headers: fields });
        if (reply.status < 400) continue;
        const code = reply.json.error as keyof typeof refusals;
        const documented = refusalsOf(endpoint).includes(code) || besideOperations.includes(code);
        assert.ok(documented, `${endpoint.method} ${path}: ${reply.text}`);
      }
    }
  }
});
