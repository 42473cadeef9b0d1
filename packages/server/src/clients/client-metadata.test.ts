import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ClientType } from "./client.ts";
import { checkClientMetadata } from "./client-metadata.ts";

const ec = { kty: "EC", crv: "P-256", x: "x", y: "y" };
const jwks = { keys: [ec] };
const uris = { redirect_uris: ["https://app.example/cb"] };

function check(type: ClientType, input: unknown, byOperator = true) {
  return checkClientMetadata({ type, input, byOperator });
}
function good(type: ClientType, input: unknown) {
  const checked = check(type, input);
  assert.ok(checked.outcome === "good", JSON.stringify(checked));
  return checked.metadata;
}
function refused(type: ClientType, input: unknown, field: string, byOperator = true) {
  const checked = check(type, input, byOperator);
  assert.ok(checked.outcome === "invalid", JSON.stringify(input));
  assert.equal(checked.field, field, checked.problem);
  assert.match(checked.problem, /^\S.*\.$/);
  return checked;
}

describe("client metadata", () => {
  test("RFC 7591 §2, OpenID Connect Registration §2: what is left out has the default of its type", () => {
    const web = good("web", uris);
    assert.deepEqual(
      [web.token_endpoint_auth_method, web.grant_types, web.response_types, web.application_type],
      ["client_secret_basic", ["authorization_code", "refresh_token"], ["code"], "web"],
    );
    assert.equal(web.id_token_signed_response_alg, "RS256");
    assert.equal(web.subject_type, "public");
    for (const type of ["spa", "native"] as const)
      assert.equal(good(type, uris).token_endpoint_auth_method, "none");
    assert.equal(good("native", uris).application_type, "native");
    const service = good("service", {});
    assert.deepEqual([service.grant_types, service.response_types], [["client_credentials"], []]);
    assert.deepEqual(good("resource", {}).grant_types, []);
    const device = { grant_types: ["urn:ietf:params:oauth:grant-type:device_code"] };
    assert.deepEqual(good("native", device).response_types, []);
  });

  test("RFC 7591 §2: a member that is not known is ignored from a client, and a mistake from the operator", () => {
    const odd = { ...uris, client_nam: "x" };
    refused("web", odd, "client_nam");
    assert.equal(check("web", odd, false).outcome, "good");
  });

  test("what is ours only the operator says", () => {
    const ours = {
      ...uris,
      keyturn_trusted: true,
      keyturn_profile: "fapi2",
      keyturn_assertion_audience: "endpoint_too",
      keyturn_resources: ["https://api.example"],
    };
    const checked = check("web", ours, false);
    assert.ok(checked.outcome === "good");
    assert.equal(checked.metadata.keyturn_trusted, false);
    assert.equal(checked.metadata.keyturn_profile, "default");
    assert.equal(checked.metadata.keyturn_assertion_audience, "issuer");
    assert.deepEqual(checked.metadata.keyturn_resources, []);
    assert.equal(good("web", { ...uris, keyturn_trusted: true }).keyturn_trusted, true);
  });

  test("RFC 7591 §2.1: grant types and response types go together, and codes need an address", () => {
    refused("web", { ...uris, response_types: [] }, "response_types");
    refused("web", { ...uris, grant_types: ["refresh_token"], response_types: ["code"] }, "response_types");
    const problem = refused("web", {}, "redirect_uris");
    assert.equal(problem.code, "invalid_redirect_uri");
    refused("web", { ...uris, response_types: ["token"] }, "response_types");
    refused("web", { ...uris, grant_types: ["implicit"] }, "grant_types");
    refused("web", { ...uris, grant_types: ["password"] }, "grant_types");
  });

  test("RFC 6749 §4.4: client_credentials is for clients that prove who they are", () => {
    const both = ["authorization_code", "client_credentials"];
    refused("spa", { ...uris, grant_types: both }, "token_endpoint_auth_method");
    assert.ok(good("web", { ...uris, grant_types: both }));
    refused("service", { token_endpoint_auth_method: "none" }, "token_endpoint_auth_method");
    refused("resource", { token_endpoint_auth_method: "none" }, "token_endpoint_auth_method");
  });

  test("RFC 6749 §2.1: what runs in a browser keeps no secret; a service and an API have no people", () => {
    for (const method of ["client_secret_basic", "client_secret_post"]) {
      refused("spa", { ...uris, token_endpoint_auth_method: method }, "token_endpoint_auth_method");
    }
    for (const type of ["service", "resource"] as const) {
      refused(type, { ...uris, grant_types: ["authorization_code"] }, "grant_types");
    }
    refused(
      "web",
      { ...uris, token_endpoint_auth_method: "client_secret_jwt" },
      "token_endpoint_auth_method",
    );
  });

  test("RFC 7591 §2: jwks or jwks_uri, not both; private_key_jwt and request objects need one of them", () => {
    refused("web", { ...uris, jwks, jwks_uri: "https://app.example/jwks" }, "jwks");
    const byKey = { ...uris, token_endpoint_auth_method: "private_key_jwt" };
    refused("web", byKey, "jwks");
    refused("web", { ...uris, require_signed_request_object: true }, "jwks");
    assert.ok(good("web", { ...byKey, jwks }));
    assert.ok(good("web", { ...byKey, jwks_uri: "https://app.example/jwks" }));
    refused("web", { ...byKey, jwks: { keys: [] } }, "jwks");
    refused("web", { ...byKey, jwks: { keys: Array(11).fill(ec) } }, "jwks");
  });

  test("no private and no symmetric key is kept, and no short RSA key", () => {
    const bad = [
      { ...ec, d: "x" },
      { kty: "oct", k: "x" },
      { kty: "RSA", n: "x".repeat(342), e: "AQAB", p: "x" },
      { kty: "RSA", n: "x".repeat(171), e: "AQAB" },
      { crv: "P-256" },
    ];
    for (const key of bad) refused("web", { ...uris, jwks: { keys: [ec, key] } }, "jwks");
    assert.ok(good("web", { ...uris, jwks: { keys: [{ kty: "RSA", n: "x".repeat(342), e: "AQAB" }] } }));
  });

  test("OpenID Connect Core §8.1: pairwise subjects are of one host, or of a sector that says which", () => {
    const pairwise = { subject_type: "pairwise" };
    assert.ok(good("web", { ...pairwise, redirect_uris: ["https://a.example/1", "https://a.example/2"] }));
    const several = { ...pairwise, redirect_uris: ["https://a.example/1", "https://b.example/1"] };
    refused("web", several, "sector_identifier_uri");
    assert.ok(good("web", { ...several, sector_identifier_uri: "https://a.example/uris" }));
    // Every native application has these.
    refused("native", { ...pairwise, redirect_uris: ["http://127.0.0.1/cb"] }, "sector_identifier_uri");
    refused("native", { ...pairwise, redirect_uris: ["com.example.app:/cb"] }, "sector_identifier_uri");
    refused(
      "web",
      { ...pairwise, ...uris, sector_identifier_uri: "http://a.example/" },
      "sector_identifier_uri",
    );
  });

  test("RFC 8707 §2: resources are absolute URIs without a fragment, and an API's", () => {
    assert.ok(good("resource", { keyturn_resources: ["https://api.example", "urn:x:y"] }));
    for (const one of ["", "/api", "https://api.example/#x", "https://api.example/ x", "a\\b:c"]) {
      refused("resource", { keyturn_resources: [one] }, "keyturn_resources");
    }
    refused(
      "resource",
      { keyturn_resources: ["https://api.example", "https://api.example"] },
      "keyturn_resources",
    );
    refused("web", { ...uris, keyturn_resources: ["https://api.example"] }, "keyturn_resources");
  });

  test("FAPI 2.0 §5.3.2: keys, pushed requests, DPoP, strong algorithms, https, one audience", () => {
    const fapi = { ...uris, keyturn_profile: "fapi2", jwks };
    const metadata = good("web", fapi);
    assert.equal(metadata.token_endpoint_auth_method, "private_key_jwt");
    assert.equal(metadata.require_pushed_authorization_requests, true);
    assert.equal(metadata.dpop_bound_access_tokens, true);
    assert.equal(metadata.id_token_signed_response_alg, "ES256");
    refused(
      "web",
      { ...fapi, token_endpoint_auth_method: "client_secret_basic" },
      "token_endpoint_auth_method",
    );
    refused("web", { ...fapi, keyturn_assertion_audience: "endpoint_too" }, "keyturn_assertion_audience");
    for (const field of [
      "id_token_signed_response_alg",
      "token_endpoint_auth_signing_alg",
      "request_object_signing_alg",
    ]) {
      refused("web", { ...fapi, [field]: "RS256" }, field);
    }
    refused("web", { ...fapi, redirect_uris: ["http://localhost:3000/cb"] }, "redirect_uris");
    // The switch cannot be weakened by saying otherwise.
    const weak = good("web", {
      ...fapi,
      dpop_bound_access_tokens: false,
      require_pushed_authorization_requests: false,
    });
    assert.ok(weak.dpop_bound_access_tokens && weak.require_pushed_authorization_requests);
  });

  test("addresses are https, or http on this machine; texts are short and show what they are", () => {
    for (const field of [
      "client_uri",
      "logo_uri",
      "policy_uri",
      "tos_uri",
      "initiate_login_uri",
      "backchannel_logout_uri",
    ]) {
      for (const wrong of [
        "javascript:alert(1)",
        "http://app.example/",
        "https://u@app.example/",
        "x",
        1,
        `https://a.example/${"x".repeat(2000)}`,
      ]) {
        refused("web", { ...uris, [field]: wrong }, field);
      }
      assert.ok(good("web", { ...uris, [field]: "https://app.example/x" }));
    }
    refused("web", { ...uris, backchannel_logout_uri: "https://app.example/#x" }, "backchannel_logout_uri");
    for (const wrong of ["a\u202eb", "a\nb", "x".repeat(201), "\ud800"]) {
      refused("web", { ...uris, software_id: wrong }, "software_id");
      refused("web", { ...uris, contacts: [wrong] }, "contacts");
    }
  });

  test("bounded: addresses, scopes, numbers; and whatever it is, the answer is a sentence", () => {
    refused("web", { redirect_uris: Array(51).fill("https://a.example/") }, "redirect_uris");
    const many = Array.from({ length: 21 }, (_, index) => `https://api.example/${index}`);
    refused("resource", { keyturn_resources: many }, "keyturn_resources");
    assert.ok(good("resource", { keyturn_resources: many.slice(1) }));
    refused(
      "resource",
      { keyturn_resources: [`https://api.example/${"x".repeat(500)}`] },
      "keyturn_resources",
    );
    for (const scope of ["a  b", " a", 'a"b', "a\\b", "é", "x".repeat(2001)])
      refused("web", { ...uris, scope }, "scope");
    for (const age of [-1, 1.5, 1e12, "1"])
      refused("web", { ...uris, default_max_age: age }, "default_max_age");
    for (const input of [
      null,
      1,
      "x",
      [],
      { redirect_uris: "x" },
      { redirect_uris: [1] },
      { jwks: 1 },
      { grant_types: {} },
    ]) {
      for (const byOperator of [true, false]) {
        const checked = check("web", input, byOperator);
        assert.ok(checked.outcome === "invalid" && checked.problem.endsWith("."), JSON.stringify(input));
      }
    }
  });
});
