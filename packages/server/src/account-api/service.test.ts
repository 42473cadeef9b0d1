import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefusal, startTestServer, type TestServer } from "../test-server.ts";
import { version } from "../version.ts";

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

test("GET / says who it is: JSON for programs, HTML for browsers, and Vary for caches", async () => {
  const json = await server.call("/");
  assert.equal(json.status, 200);
  assert.equal(json.headers.get("vary"), "Accept");
  const { name, version: told, issuer, links } = json.json;
  assert.deepEqual([name, told, issuer], ["Keyturn", version, server.issuer]);
  for (const link of Object.values(links as Record<string, string>)) {
    assert.ok(link.startsWith(`${server.issuer}/`));
    assert.equal((await server.call(link.slice(server.issuer.length))).status, 200, link);
  }
  const html = await server.call("/", { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
  assert.equal(html.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(html.headers.get("vary"), "Accept");
  assert.match(html.text, /^<!doctype html>/);
  assert.doesNotMatch(html.text, /<script|style=|onload/);
});

test("RFC 7517: the key set is public, cacheable, readable from any origin, and has no private member", async () => {
  const reply = await server.call("/.well-known/jwks.json", { headers: { origin: "https://app.example" } });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get("content-type"), "application/jwk-set+json");
  assert.equal(reply.headers.get("cache-control"), "public, max-age=300");
  assert.equal(reply.headers.get("access-control-allow-origin"), "*");
  const keys = reply.json.keys as Record<string, unknown>[];
  assert.ok(keys.length >= 2, "the next key is published before it signs");
  for (const key of keys) {
    const allowed = ["alg", "crv", "e", "kid", "kty", "n", "pub", "use", "x", "y"];
    assert.deepEqual(
      Object.keys(key).filter((member) => !allowed.includes(member)),
      [],
    );
  }
});

test("RFC 9110 §13.1.2: If-None-Match of the current key set is answered 304 without a body", async () => {
  const { headers } = await server.call("/.well-known/jwks.json");
  const etag = headers.get("etag") ?? "";
  assert.match(etag, /^"[\w-]+"$/);
  for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
    const reply = await server.call("/.well-known/jwks.json", { headers: { "if-none-match": tag } });
    assert.equal(reply.status, 304, tag);
    assert.equal(reply.text, "");
    assert.equal(reply.headers.get("etag"), etag);
    assert.equal(reply.headers.get("cache-control"), "public, max-age=300");
  }
  for (const tag of ['"x"', etag.slice(1, -1), "", `${etag}x`]) {
    const reply = await server.call("/.well-known/jwks.json", { headers: { "if-none-match": tag } });
    assert.equal(reply.status, 200, tag);
  }
});

test("OpenID Connect Discovery 1.0 §3: the metadata names this issuer, the keys and the feed, and only what is there", async () => {
  const paths = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
  const [openid, oauth] = [await server.call(paths[0] ?? ""), await server.call(paths[1] ?? "")];
  assert.equal(openid.text, oauth.text);
  for (const { headers } of [openid, oauth]) {
    assert.equal(headers.get("content-type"), "application/json");
    assert.equal(headers.get("access-control-allow-origin"), "*");
    assert.equal(headers.get("cache-control"), "public, max-age=300");
  }
  const { issuer } = server;
  assert.equal(openid.json.issuer, issuer);
  assert.equal(openid.json.jwks_uri, `${issuer}/.well-known/jwks.json`);
  assert.equal(openid.json.keyturn_revocation_feed, `${issuer}/revocations`);
  for (const member of Object.keys(openid.json).filter((name) => /_endpoint$/.test(name))) {
    const path = String(openid.json[member]).slice(issuer.length);
    assert.notEqual((await server.call(path)).status, 404, member);
  }
});

test("/healthz and /readyz answer; /readyz falls to 503 when the node is stopping", async () => {
  const other = await startTestServer();
  try {
    assert.deepEqual((await other.call("/healthz")).json, { status: "ok" });
    assert.deepEqual((await other.call("/readyz")).json, { status: "ready" });
    other.app.stopping();
    assert.equal((await other.call("/healthz")).status, 200);
    assertRefusal(await other.call("/readyz"), { status: 503, error: "unavailable" });
  } finally {
    await other.close();
  }
});

test("/metrics: for callers on this machine, unless a proxy speaks for another one", async () => {
  await server.call("/login", { json: { username: "nobody", password: "wrong password" } });
  const reply = await server.call("/metrics");
  assert.equal(reply.status, 200);
  assert.match(reply.headers.get("content-type") ?? "", /^text\/plain/);
  assert.match(reply.text, /keyturn_sign_ins_total\{outcome="invalid_credentials"\} 1/);
  assert.match(reply.text, /keyturn_http_request_seconds_count\{endpoint="\/login",status="401"\} 1/);
  const forwarded = await server.call("/metrics", { headers: { "x-forwarded-for": "192.0.2.1" } });
  assertRefusal(forwarded, { status: 404, error: "not_found" });
});

test("/metrics: off is 404, open is for anyone; strangers add no series by asking for what is not there", async () => {
  for (const [metrics, status] of [
    ["off", 404],
    ["open", 200],
  ] as const) {
    const other = await startTestServer({ settings: { metrics } });
    try {
      for (let i = 0; i < 5; i++) await other.call(`/nothing-${i}`);
      const reply = await other.call("/metrics", { headers: { "x-forwarded-for": "192.0.2.1" } });
      assert.equal(reply.status, status);
      assert.doesNotMatch(reply.text, /nothing-/);
    } finally {
      await other.close();
    }
  }
});
