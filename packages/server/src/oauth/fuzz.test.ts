import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { assertCommon, exchange, startTestServer } from "../test-server.ts";
import { addClient, pkce } from "./test-oauth.ts";

/** Every endpoint and page of OAuth, from their rows, with whatever a stranger or a broken client may send. */

const server = await startTestServer({ settings: { dynamicRegistration: "open", clientDocuments: "on" } });
after(server.close);
await server.addUser("alice");
const web = await addClient(server, {
  metadata: { jwks: { keys: [{ kty: "EC", crv: "P-256", x: "x".repeat(43), y: "y".repeat(43) }] } },
});

interface Row {
  readonly method: string;
  readonly path: string;
  readonly names: readonly string[];
  readonly isJson: boolean;
}

const isOurs = (path: string) =>
  path.startsWith("/oauth/") || path.startsWith("/.well-known/") || path === "/device";
const rows: readonly Row[] = [
  ...server.app.endpoints.map(({ method, path, query, parameters, body }) => ({
    method,
    path,
    names: Object.keys({ ...query, ...parameters }),
    isJson: body !== undefined,
  })),
  ...server.app.pages.map(({ method, path, query, fields }) => ({
    method,
    path,
    names: Object.keys({ ...query, ...fields }),
    isJson: false,
  })),
].filter(({ path }) => isOurs(path));

const jwt = (header: object, claims: object) =>
  `${[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")}.AAAA`;
/** What gets a request further in, and what it may trip over there. */
const telling: readonly string[] = [
  ...[
    web.client.id,
    web.redirectUri,
    "code",
    "S256",
    pkce().challenge,
    "openid",
    "openid offline_access",
    "none",
  ],
  ...["login", "form_post", "0", "-1", "1e9", "99999999999999999999", "null", "[]", "{}", '{"id_token":1}'],
  ...["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
  ...["urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:token-type:access_token"],
  ...[
    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    `urn:ietf:params:oauth:request_uri:${"a".repeat(43)}`,
  ],
  ...[
    "https://127.0.0.1/client",
    "https://[::1/",
    "//",
    "\\\\",
    "javascript:1",
    "data:,",
    "http://a@b/",
    "../..",
  ],
  ...[
    "krt_AAAA",
    "ktd_AAAA",
    `krt_${"A".repeat(1000)}`,
    "BCDF-GHJK",
    "__proto__",
    "constructor",
    "$1",
    "'; --",
  ],
  jwt({ alg: "none" }, {}),
  jwt({ alg: "RS256", kid: "__proto__" }, { iss: web.client.id, sub: web.client.id, aud: server.issuer }),
  jwt({ alg: "ES256", typ: "dpop+jwt", jwk: {} }, { jti: "a", iat: 1e99, exp: -1, client_id: null }),
  jwt([], []),
  "a.b.c",
];
/** As they stand on the wire. */
const hostile = [
  "",
  "%",
  "%00",
  "%ff",
  "%ED%A0%80",
  "%F4%90%80%80",
  "%C0%AF",
  "+",
  "%0d%0a",
  "é",
  "x".repeat(9000),
];

const onTheWire = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...telling).map(encodeURIComponent) },
  { weight: 2, arbitrary: fc.constantFrom(...hostile) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }).map(encodeURIComponent) },
);
/** Registrations, of which one member is wrong. */
const json = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc
    .tuple(
      fc.constantFrom("redirect_uris", "grant_types", "jwks", "jwks_uri", "scope", "client_name", "logo_uri"),
      fc.jsonValue({ maxDepth: 2 }),
    )
    .map(([name, value]) => JSON.stringify({ redirect_uris: ["http://x/"], [name]: value })),
  fc.constantFrom(
    "",
    "{",
    "[]",
    "null",
    '{"redirect_uris":"x"}',
    '{"a":1,"a":2}',
    '{"redirect_uris":["\\ud800"]}',
  ),
);

/** A request that is as it is meant to be, of which little is wrong. */
const meant: Readonly<Record<string, string>> = {
  ...{
    client_id: web.client.id,
    redirect_uri: web.redirectUri,
    response_type: "code",
    scope: "openid profile",
  },
  ...{ code_challenge: pkce().challenge, code_challenge_method: "S256", state: "s", nonce: "n" },
  ...{ code: "c".repeat(43), code_verifier: pkce().verifier, refresh_token: `krt_${"A".repeat(90)}` },
  ...{ token: "a.b.c", subject_token: "a.b.c", user_code: "BCDF-GHJK", device_code: `ktd_${"A".repeat(43)}` },
};

function formOf({ names }: Row): fc.Arbitrary<string> {
  const known = names.length === 0 ? ["x"] : names;
  const name = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...known) },
    { weight: 1, arbitrary: fc.constantFrom("", "__proto__", "toString", "%", "x".repeat(300), "resource") },
  );
  const some = fc.array(fc.tuple(name, onTheWire), { maxLength: 14 });
  const almost = fc.array(fc.tuple(name, onTheWire), { maxLength: 2 }).map((wrong) => {
    const right = known.flatMap((one) => (one in meant ? [[one, encodeURIComponent(meant[one] ?? "")]] : []));
    return Object.entries(Object.fromEntries([...right, ...wrong]));
  });
  const many = fc.constant(Array.from({ length: 40 }, (_, index): [string, string] => [`p${index}`, "1"]));
  return fc
    .oneof({ weight: 6, arbitrary: almost }, { weight: 3, arbitrary: some }, { weight: 1, arbitrary: many })
    .map((pairs) => pairs.map(([one, value]) => `${one}=${value}`).join("&"));
}

const rarely = (...values: readonly string[]) =>
  fc.oneof(
    { weight: 7, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(...values) },
  );
const headers = fc.record({
  "content-type": rarely(
    ...["application/x-www-form-urlencoded; charset=utf-7", "application/json", "text/plain", "x", ";"],
    "multipart/form-data; boundary=x",
  ),
  authorization: rarely(
    ...[
      "Basic",
      "Basic Og==",
      "Basic YTo=",
      "Basic /////w==",
      "Bearer",
      "Bearer x",
      "DPoP x",
      "Digest x",
      ", ,",
    ],
    ...[`Bearer ${jwt({ alg: "none" }, {})}`, `Basic ${"YQ".repeat(3000)}`],
  ),
  dpop: rarely("x", jwt({ alg: "ES256", typ: "dpop+jwt", jwk: {} }, { jti: "a" }), ", "),
  accept: rarely("*/*", "text/html", "application/token-introspection+jwt", ",;q=x"),
  cookie: rarely("keyturn_session=x", "a=b; a=c", "=;"),
  origin: rarely("null", "https://evil.example", "x"),
  "content-encoding": rarely("gzip", "identity"),
});
const otherMethods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] as const;

const requestOf = (row: Row) =>
  fc.record({
    method: fc.oneof(
      { weight: 15, arbitrary: fc.constant(row.method) },
      { weight: 1, arbitrary: fc.constantFrom(...otherMethods) },
    ),
    query: formOf(row),
    form: formOf(row),
    json,
    isClient: fc.constantFrom(true, true, true, false),
    headers,
  });

const defined = (all: Readonly<Record<string, string | undefined>>) =>
  Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );

for (const row of rows) {
  test(`${row.method} ${row.path}: no request is answered by 5xx, nor changes who may do what`, async () => {
    await server.forgetLimits();
    const before = await server.rows();
    let registered = 0;
    await fc.assert(
      fc.asyncProperty(requestOf(row), async ({ method, query, form, json, isClient, headers }) => {
        const path = row.path.replace(/:\w+/, "some-id");
        const body = row.isJson ? json : form;
        const type = row.isJson ? "application/json" : "application/x-www-form-urlencoded";
        const sent = Object.entries({
          "content-type": type,
          ...(isClient && web.headers),
          ...defined(headers),
        });
        const reply = await server.callQuietly(`${path}?${method === "POST" ? "" : query}`, {
          method,
          ...(method !== "GET" && method !== "HEAD" && { body }),
          headers: Object.fromEntries(sent),
        });
        assert.ok(reply.status >= 200 && reply.status < 500, `${reply.status}: ${reply.text}`);
        assertCommon(reply);
        if (reply.status === 201 && row.path === "/oauth/register") registered++;
      }),
      { numRuns: 40 },
    );
    if (registered === 0) assert.equal(await server.rows(), before);
  });
}

test("bytes that are not UTF-8, NUL and control characters are refused as they come, in the target and in the body", async () => {
  const bad = [Buffer.from([0xff]), Buffer.from([0]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0xc3])];
  const host = `Host: 127.0.0.1:${server.port}\r\nConnection: close\r\n`;
  for (const bytes of bad) {
    const target = await exchange(server.port, [
      "GET /oauth/authorize?client_id=",
      bytes,
      ` HTTP/1.1\r\n${host}\r\n`,
    ]);
    assert.equal(target.status, 400);
    for (const path of [
      "token",
      "par",
      "revoke",
      "introspect",
      "userinfo",
      "device",
      "authorize",
      "logout",
    ]) {
      const body = Buffer.concat([Buffer.from("token=a&client_id="), bytes]);
      const type = "Content-Type: application/x-www-form-urlencoded\r\n";
      const reply = await exchange(server.port, [
        `POST /oauth/${path} HTTP/1.1\r\n${host}${type}Content-Length: ${body.length}\r\n\r\n`,
        body,
      ]);
      assert.ok(reply.status >= 300 && reply.status < 500, `${path}: ${reply.status}`);
    }
  }
});
