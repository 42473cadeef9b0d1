import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { refusals } from "./errors.ts";
import { limits } from "./primitives/limits.ts";
import {
  assertCommon,
  assertRefusal,
  exchange,
  type Reply,
  startTestServer,
  type TestServer,
} from "./test-server.ts";

let server: TestServer;
let token: string;

before(async () => {
  server = await startTestServer();
  await server.addUser("alice");
  ({ accessToken: token } = await server.login("alice"));
});
after(() => server.close());

/** A request as bytes, to say what no client library would. */
const say = (first: string, fields: Record<string, string> = {}): Promise<Reply> => {
  const lines = Object.entries({ Host: "127.0.0.1", Connection: "close", ...fields });
  return exchange(
    server.port,
    `${first}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
  );
};

test("RFC 9110 §15.5.6: a method that an address does not take is 405, and Allow names those that it takes", async () => {
  const methods = new Map<string, string[]>();
  for (const { path, method } of server.app.endpoints)
    methods.set(path, [...(methods.get(path) ?? []), method]);
  for (const [path, allowed] of methods) {
    const address = path.replace(":id", "01a2091b-7f0f-7d30-bc99-dae8c5045318");
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY"]) {
      if (allowed.includes(method)) continue;
      const reply = await server.call(address, { method, token });
      assertRefusal(reply, { status: 405, error: "method_not_allowed" });
      const named = (reply.headers.get("allow") ?? "").split(", ");
      const taken = allowed.includes("GET") ? [...allowed, "HEAD"] : allowed;
      assert.deepEqual(named.sort(), [...taken].sort(), path);
    }
    const traced = await say(`TRACE ${address} HTTP/1.1`, { Authorization: `Bearer ${token}` });
    assertRefusal(traced, { status: 405, error: "method_not_allowed" });
    assert.ok(!traced.text.includes(token), "TRACE must not give back what a page may not read");
  }
});

test("the fast router of Hono takes every path, also with CORS and an issuer with a path", async () => {
  const other = await startTestServer({
    settings: { issuer: "http://localhost:4000/auth", allowedOrigins: ["http://localhost:4001"] },
  });
  try {
    for (const place of [server, other]) {
      await place.call("/nothing");
      // One path that it cannot take, and a slower router has every request from then on.
      assert.equal(place.app.router.router.name, "SmartRouter + RegExpRouter");
    }
  } finally {
    await other.close();
  }
});

test("RFC 9110 §9.3.2: HEAD is GET without a body, and where there is no GET it is 405", async () => {
  for (const { method, path, access } of server.app.endpoints) {
    if (method !== "GET" || access !== "public") continue;
    const [get, head] = [await server.call(path), await server.call(path, { method: "HEAD" })];
    assert.equal(head.status, get.status, path);
    assert.equal(head.text, "");
    assert.equal(head.headers.get("content-type"), get.headers.get("content-type"));
  }
  const me = await server.call("/me", { method: "HEAD" });
  assert.deepEqual([me.status, me.text, me.headers.get("www-authenticate")], [401, "", "Bearer"]);
  const login = await server.call("/login", { method: "HEAD" });
  assert.deepEqual([login.status, login.text], [405, ""]);
});

test("an address that is not there is 404, and never another address by a trick of spelling", async () => {
  const before = await server.rows();
  const spellings = [
    "/nothing",
    "/login/",
    "//login",
    "/LOGIN",
    "/me/",
    "/me%2f",
    "/%6de/x",
    "/me;x=1",
    "/me%00",
    "/me%0a",
    "/sessions/a/b",
    "/sessions//",
    "/.well-known",
    "/.well-known/",
    "/.env",
    "/static/..%2f..%2fdata/secret",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/%E0%A4%A",
    "/%ff",
    "/*",
    "/:id",
    "/sessions/:id/x",
    `/${"x".repeat(8000)}`,
    "/revocations/",
    "/healthz.json",
  ];
  for (const path of spellings) {
    for (const method of ["GET", "POST", "DELETE"]) {
      const reply = await say(`${method} ${path} HTTP/1.1`, { Authorization: `Bearer ${token}` });
      assertCommon(reply);
      assert.ok(
        [404, 405].includes(reply.status),
        `${method} ${path.slice(0, 50)} was answered ${reply.status}`,
      );
      assertRefusal(reply, { status: reply.status });
      if (path.length > 8) assert.ok(!reply.text.includes(path));
    }
  }
  assert.equal(await server.rows(), before);
});

test("RFC 9112 §3.2.2: an absolute address reaches the same endpoint as its path", async () => {
  const reply = await say("GET http://127.0.0.1/healthz HTTP/1.1");
  assert.equal(reply.status, 200);
  assertRefusal(await say("GET http://elsewhere.example/me HTTP/1.1"), {
    status: 401,
    error: "missing_token",
  });
});

test("a request that is none is a refusal of the catalogue, with the headers of every answer", async () => {
  const first = "GET /healthz HTTP/1.1";
  const broken: [number, Promise<Reply>][] = [
    [400, say("GET  HTTP/1.1")],
    [400, say("nonsense")],
    [400, say("GET /healthz HTTP/9.9")],
    [400, say("BREW /healthz HTTP/1.1")],
    [400, exchange(server.port, `${first}\r\n\r\n`)],
    [400, say(first, { Host: "bad host" })],
    [400, say(first, { Host: "user@host" })],
    [400, say(first, { Host: "host/path" })],
    [400, say(first, { Host: "" })],
    [400, say(first, { "Bad Name": "x" })],
    [400, say(first, { X: "nul\0" })],
    [400, exchange(server.port, `${first}\r\nHost: a\r\n folded: x\r\n\r\n`)],
    [400, exchange(server.port, `${first}\nHost a\n\n`)],
    [400, say("GET http://[::1 HTTP/1.1")],
    [400, say("GET ftp://127.0.0.1/healthz HTTP/1.1")],
    [400, say("GET healthz HTTP/1.1")],
    [400, say("GET /\\healthz HTTP/1.1")],
    [400, say("OPTIONS * HTTP/1.1")],
    [400, exchange(server.port, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")],
    [431, say(first, { X: "x".repeat(20_000) })],
    [431, say(first, Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`X-${i}`, "123456"])))],
    [431, say(`GET /${"x".repeat(20_000)} HTTP/1.1`)],
  ];
  for (const [index, [status, answer]] of broken.entries()) {
    const reply = await answer;
    assert.equal(reply.status, status, `number ${index}: ${reply.status} ${reply.text.slice(0, 100)}`);
    assertCommon(reply);
    assertRefusal(reply, { status, error: status === 431 ? "headers_too_large" : "invalid_request" });
  }
  assert.equal((await server.call("/healthz")).status, 200);
});

test("a header that is sent twice is never read as one of the two", async () => {
  const twice = (value: string) =>
    exchange(
      server.port,
      `GET /me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nAuthorization: ${value}\r\n\r\n`,
    );
  for (const value of [`Bearer ${token}`, "Bearer x", "Basic eDp4"]) {
    const reply = await twice(value);
    assertRefusal(reply, { status: 401, error: "invalid_token" });
  }
});

test("parameters that an endpoint does not know are not looked at, however odd", async () => {
  for (const query of [
    "?",
    "?__proto__=1&__proto__=2",
    "?%",
    "?%00=%ff",
    "?a[]=1&a[b]=2",
    "?toString=1",
    "?=&=&&",
  ]) {
    assert.equal((await server.call(`/healthz${query}`)).status, 200);
    const reply = await server.call(`/sessions${query}`, { token });
    assert.ok(reply.status === 200 || reply.status === 400, `${query}: ${reply.status}`);
  }
});

test("whatever is asked of an address that takes no body, the answer is a success or a refusal of the catalogue", async () => {
  const before = await server.rows();
  const odd = fc.string({ unit: "grapheme-ascii", maxLength: 40 });
  const path = fc.oneof(
    odd.map((text) => `/${encodeURIComponent(text)}`),
    odd.map((text) => `/sessions/${encodeURIComponent(text)}`),
    odd.map((text) => `/sessions?before=${encodeURIComponent(text)}`),
    fc.webPath(),
  );
  const names = ["authorization", "accept", "last-event-id", "if-none-match", "x-forwarded-for", "cookie"];
  const headers = fc.dictionary(
    fc.constantFrom(...names),
    odd.map((text) => text.trim()),
  );
  await fc.assert(
    fc.asyncProperty(
      path,
      headers,
      fc.constantFrom("GET", "DELETE", "PUT"),
      async (where, fields, method) => {
        const reply = await server.call(where, { headers: fields, method });
        if (reply.status < 400) return;
        assert.ok(reply.status < 500, `${method} ${where}: ${reply.status}`);
        assertRefusal(reply, { status: reply.status });
        assert.ok(Object.hasOwn(refusals, String(reply.json.error)));
      },
    ),
    { numRuns: 300 },
  );
  assert.equal(await server.rows(), before);
});

test("RFC 6797 §7.2: HSTS goes out for an https issuer", async () => {
  const secure = await startTestServer({ settings: { issuer: "https://auth.example.com" } });
  try {
    for (const path of ["/", "/me", "/nothing"]) {
      const reply = await secure.call(path);
      assert.match(reply.headers.get("strict-transport-security") ?? "", /^max-age=31536000/);
    }
    const refused = await exchange(secure.port, "nonsense\r\n\r\n");
    assert.match(refused.headers.get("strict-transport-security") ?? "", /^max-age=31536000/);
  } finally {
    await secure.close();
  }
});

test("no page of another origin may read an answer, but for keys and metadata", async () => {
  const headers = { origin: "https://elsewhere.example" };
  for (const { method, path, anyOrigin } of server.app.endpoints) {
    const reply = await server.call(path, { method, headers });
    const expected = anyOrigin === true ? "*" : null;
    assert.equal(reply.headers.get("access-control-allow-origin"), expected, path);
    assert.equal(reply.headers.get("access-control-allow-credentials"), null);
  }
});

test("the bounds on headers leave room for a token of every size that is looked at", async () => {
  const reply = await server.call("/me", { token: "x".repeat(limits.headerBytesMax - 1000) });
  assertRefusal(reply, { status: 401, error: "invalid_token" });
});
