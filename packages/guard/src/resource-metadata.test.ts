import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteRequirement } from "./admission.ts";
import { createGuard } from "./guard.ts";
import type { GuardOptions } from "./options.ts";
import { inProcess, mint, newKey, reasonOf, staticIssuer } from "./test-issuer.ts";

const key = newKey("k1");
const resource = "https://mcp.example.com/mcp";
const guardOf = (options: Partial<GuardOptions> = {}) =>
  createGuard(inProcess([key], { audience: undefined, resourceMetadata: { resource }, ...options }));
const placeOf = (identifier: string) =>
  guardOf({ resourceMetadata: { resource: identifier } }).resourceMetadata;

test("RFC 9728 §2: the document has what clients need, and nothing that was not said", () => {
  assert.deepEqual(guardOf().resourceMetadata?.document, {
    resource,
    authorization_servers: [staticIssuer],
    bearer_methods_supported: ["header"],
    dpop_signing_alg_values_supported: ["ES256", "EdDSA", "Ed25519"],
  });
  const said = {
    resource,
    scopesSupported: ["notes:read", "notes:write"],
    resourceName: "Notes",
    resourceDocumentation: "https://mcp.example.com/help",
    resourcePolicyUri: "https://mcp.example.com/policy",
    resourceTosUri: "https://mcp.example.com/terms",
  };
  assert.deepEqual(guardOf({ dpop: "off", resourceMetadata: said }).resourceMetadata?.document, {
    resource,
    authorization_servers: [staticIssuer],
    bearer_methods_supported: ["header"],
    scopes_supported: ["notes:read", "notes:write"],
    resource_name: "Notes",
    resource_documentation: "https://mcp.example.com/help",
    resource_policy_uri: "https://mcp.example.com/policy",
    resource_tos_uri: "https://mcp.example.com/terms",
  });
});

test("RFC 9728 §2: dpop_bound_access_tokens_required where no other tokens are taken", () => {
  const { document } = guardOf({ dpop: "require", dpopAlgorithms: ["ES256"] }).resourceMetadata ?? {};
  assert.equal(document?.dpop_bound_access_tokens_required, true);
  assert.deepEqual(document?.dpop_signing_alg_values_supported, ["ES256"]);
  assert.equal(guardOf().resourceMetadata?.document.dpop_bound_access_tokens_required, undefined);
});

test("RFC 9728 §3.2: a list without elements is left out", () => {
  const { document } =
    guardOf({ resourceMetadata: { resource, scopesSupported: [] } }).resourceMetadata ?? {};
  assert.ok(document !== undefined && !("scopes_supported" in document));
});

test("RFC 9728 §3.1: the well-known part stands between host and path, and the identifier stays as it is written", () => {
  const wellKnown = "/.well-known/oauth-protected-resource";
  const places: [string, string, string[]][] = [
    ["https://api.example.com", "https://api.example.com", [wellKnown]],
    ["https://api.example.com/", "https://api.example.com", [wellKnown]],
    ["https://api.example.com:8443/mcp", "https://api.example.com:8443", [`${wellKnown}/mcp`, wellKnown]],
    ["https://api.example.com/a/b", "https://api.example.com", [`${wellKnown}/a/b`, wellKnown]],
    [
      "https://api.example.com/mcp/",
      "https://api.example.com",
      [`${wellKnown}/mcp/`, wellKnown, `${wellKnown}/mcp`],
    ],
    ["http://localhost:4005/mcp", "http://localhost:4005", [`${wellKnown}/mcp`, wellKnown]],
    ["HTTPS://API.example.com/mcp", "https://api.example.com", [`${wellKnown}/mcp`, wellKnown]],
  ];
  for (const [identifier, origin, paths] of places) {
    const found = placeOf(identifier);
    assert.deepEqual([found?.url, found?.paths], [`${origin}${paths[0]}`, paths], identifier);
    assert.equal(found?.document.resource, identifier);
  }
  assert.equal(placeOf("https://api.example.com/?k=v")?.url, `https://api.example.com${wellKnown}?k=v`);
});

test("RFC 8707 §2: the identifier is the audience, compared as it is written, unless another is named", () => {
  const guard = guardOf();
  assert.equal(reasonOf(guard.verify(mint(key, { aud: resource })) as never), "ok");
  for (const aud of [`${resource}/`, "https://mcp.example.com", "https://MCP.example.com/mcp", staticIssuer])
    assert.equal(reasonOf(guard.verify(mint(key, { aud })) as never), "wrong_audience", aud);
  const named = guardOf({ audience: "notes" });
  assert.equal(reasonOf(named.verify(mint(key, { aud: "notes" })) as never), "ok");
  assert.equal(reasonOf(named.verify(mint(key, { aud: resource })) as never), "wrong_audience");
});

test("an identifier or a scope that clients could not use stops createGuard", () => {
  const wrong: [object, RegExp][] = [
    [{ resource: "" }, /takes the address of this API; got ""/],
    [{ resource: "mcp.example.com" }, /must be an absolute URL/],
    [{ resource: "http://mcp.example.com" }, /must be https/],
    [{ resource: "https://mcp.example.com/#a" }, /without a fragment/],
    [{ resource: "https://mcp.example.com/mcp#" }, /without a fragment/],
    [{ resource: "https://alice@mcp.example.com" }, /without a fragment and a user/],
    [{ resource: 'https://mcp.example.com/"' }, /takes the address/],
    [{ resource: "https://mcp.example.com/a b" }, /takes the address/],
    [{ resource: "https://mcp.example.com\\mcp" }, /takes the address/],
    [{ resource: "https://mcp.example.com/\r\nX: y" }, /takes the address/],
    [{ resource, scopesSupported: ["a b"] }, /scopesSupported takes a list of scopes/],
    [{ resource, scopesSupported: ['a"'] }, /scopesSupported/],
    [{ resource, scopesSupported: "a" }, /scopesSupported/],
    [{ resource, resourceDocumentation: "javascript:alert(1)" }, /resourceDocumentation must be https/],
  ];
  for (const [resourceMetadata, message] of wrong)
    assert.throws(() => guardOf({ resourceMetadata: resourceMetadata as never }), message);
  assert.throws(() => createGuard({ issuer: staticIssuer }), /audience takes/);
});

function challengeOf(
  options: Partial<GuardOptions>,
  given: { token?: string; ask?: RouteRequirement },
): string {
  const guard = guardOf(options);
  const verification =
    given.token === undefined
      ? { ok: false, refusal: guard.refuse("missing", given.ask) }
      : guard.verify(given.token, given.ask);
  assert.ok(!(verification instanceof Promise) && !verification.ok && "refusal" in verification);
  return verification.refusal.headers["WWW-Authenticate"] ?? "";
}

const pointer = 'resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"';
const ask = { scopes: ["notes:read", "notes:write"] };

test("RFC 9728 §5.1: every challenge points to the metadata, and MCP §2.6: names the scopes that are needed", () => {
  assert.equal(challengeOf({}, {}), `Bearer ${pointer}`);
  assert.equal(challengeOf({}, { ask }), `Bearer scope="notes:read notes:write", ${pointer}`);
  const invalid = challengeOf({}, { ask, token: "x" });
  assert.match(
    invalid,
    /^Bearer error="invalid_token", error_description="[^"]+", scope="notes:read notes:write", /,
  );
  assert.ok(invalid.endsWith(pointer));
  const token = mint(key, { aud: resource, scope: "notes:read" });
  const lacking = challengeOf({}, { ask, token });
  assert.match(lacking, /^Bearer error="insufficient_scope", .*, scope="notes:read notes:write", /);
  assert.ok(lacking.endsWith(pointer));
});

test("RFC 9110 §11.6.1: of two challenges each says where the metadata is", () => {
  const guard = guardOf();
  const refusal = guard.refuse("missing", ask, { scheme: "DPoP" });
  const needs = `scope="notes:read notes:write", ${pointer}`;
  const header = `DPoP algs="ES256 EdDSA Ed25519", ${needs}, Bearer ${needs}`;
  assert.equal(refusal.headers["WWW-Authenticate"], header);
  assert.equal(challengeOf({ dpop: "require" }, {}), `DPoP algs="ES256 EdDSA Ed25519", ${pointer}`);
});

test("without metadata a challenge points nowhere, and is bare where no scope is asked for", () => {
  const options = { audience: resource, resourceMetadata: undefined };
  assert.equal(challengeOf(options, {}), "Bearer");
  assert.equal(challengeOf(options, { ask }), 'Bearer scope="notes:read notes:write"');
  assert.equal(guardOf(options).resourceMetadata, undefined);
});

test("a 503 is no challenge", () => {
  const guard = guardOf({ source: { jwks: () => Promise.reject(new Error("away")) } });
  return Promise.resolve(guard.verify(mint(key, { aud: resource }))).then((verification) => {
    assert.ok(!verification.ok);
    assert.deepEqual(
      [verification.refusal.status, verification.refusal.headers["WWW-Authenticate"]],
      [503, undefined],
    );
    guard.close();
  });
});
