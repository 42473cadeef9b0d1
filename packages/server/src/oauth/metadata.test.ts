import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createApp } from "../app.ts";
import { fetchHandler } from "../fetch-handler.ts";
import { createLog } from "../observability/log.ts";
import { startTestServer, type TestServer } from "../test-server.ts";

let server: TestServer;
before(async () => {
  server = await startTestServer({ settings: { clientDocuments: "on", scopes: "notes.read" } });
});
after(() => server?.close());

const paths = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];

describe("discovery", () => {
  test("OpenID Connect Discovery §3, RFC 8414 §2: what a client needs to know, the same at both addresses", async () => {
    const [first, second] = await Promise.all(paths.map((path) => server.call(path)));
    assert.deepEqual(first?.json, second?.json);
    const metadata = first?.json ?? {};
    // OpenID Connect Discovery §4.3: "MUST exactly match the Issuer URL".
    assert.equal(metadata.issuer, server.issuer);
    for (const name of [
      "response_types_supported",
      "subject_types_supported",
      "id_token_signing_alg_values_supported",
    ]) {
      assert.ok(Array.isArray(metadata[name]), name);
    }
    // Discovery §3: "The algorithm RS256 MUST be included."
    assert.ok((metadata.id_token_signing_alg_values_supported as string[]).includes("RS256"));
    // RFC 8414 §2: MUST be present where private_key_jwt is; "The value none MUST NOT be used."
    assert.ok(!(metadata.token_endpoint_auth_signing_alg_values_supported as string[]).includes("none"));
    assert.deepEqual(metadata.token_endpoint_auth_methods_supported, [
      "client_secret_basic",
      "client_secret_post",
      "private_key_jwt",
      "none",
    ]);
    assert.equal(metadata.authorization_response_iss_parameter_supported, true);
    assert.equal(metadata.client_id_metadata_document_supported, true);
    assert.equal(metadata.registration_endpoint, undefined);
    assert.ok((metadata.scopes_supported as string[]).includes("notes.read"));
    for (const [name, value] of Object.entries(metadata)) {
      if (name.endsWith("_endpoint")) assert.ok(String(value).startsWith(`${server.issuer}/`), name);
      // RFC 8414 §3.2: "claims with zero elements MUST be omitted", but for what Discovery requires.
      assert.notEqual(value, null, name);
    }
  });

  test("every endpoint that it names is there", async () => {
    const { json } = await server.call(paths[0] ?? "");
    for (const [name, value] of Object.entries(json)) {
      if (!name.endsWith("_endpoint") && name !== "jwks_uri" && name !== "keyturn_revocation_feed") continue;
      const reply = await server.callQuietly(new URL(String(value)).pathname);
      assert.notEqual(reply.status, 404, name);
    }
  });

  test("pages of any origin may read it, and it may be kept", async () => {
    for (const path of paths) {
      const { headers } = await server.call(path, { headers: { origin: "https://app.example" } });
      assert.equal(headers.get("access-control-allow-origin"), "*");
      assert.match(headers.get("cache-control") ?? "", /^public, max-age=\d+$/);
      assert.equal(headers.get("content-type"), "application/json");
    }
  });

  test("GET / says where it is", async () => {
    const { links } = (await server.call("/")).json as { links: Record<string, string> };
    assert.equal(links.discovery, `${server.issuer}${paths[0]}`);
    assert.equal(links.oauthMetadata, `${server.issuer}${paths[1]}`);
  });

  test("RFC 8414 §3.1: for an issuer with a path, appended to it and inserted before it; nothing else is near it", async () => {
    const data = mkdtempSync(join(tmpdir(), "keyturn-discovery-"));
    const settings = { issuer: "https://login.example/auth/eu", data };
    const app = await createApp(settings, { log: createLog({ logLevel: "silent" }) });
    try {
      const fetch = fetchHandler(app);
      const at = async (path: string) => {
        const response = await fetch(new Request(`https://login.example${path}`));
        return { status: response.status, json: (await response.json()) as Record<string, unknown> };
      };
      const good = paths.flatMap((path) => [`/auth/eu${path}`, `${path}/auth/eu`, path]);
      for (const path of good) {
        const { status, json } = await at(path);
        assert.equal(status, 200, path);
        assert.equal(json.issuer, "https://login.example/auth/eu");
        assert.equal(json.token_endpoint, "https://login.example/auth/eu/oauth/token");
      }
      for (const path of paths) {
        const bad = [
          `${path}/auth`,
          `${path}/auth/eu/`,
          `${path}/auth/eux`,
          `${path}/auth/eu/x`,
          `/auth${path}`,
        ];
        for (const one of bad) assert.equal((await at(one)).status, 404, one);
      }
      assert.equal((await at("/.well-known/jwks.json/auth/eu")).status, 404);
    } finally {
      await app.close();
      rmSync(data, { recursive: true, force: true });
    }
  });
});

test("Initiating User Registration 1.0 §4.1.1: `create` is named where people may register, and nowhere else", async () => {
  const valuesWith = async (registration: "open" | "off") => {
    const server = await startTestServer({ settings: { registration } });
    try {
      const { json } = await server.call("/.well-known/openid-configuration");
      return json.prompt_values_supported;
    } finally {
      await server.close();
    }
  };
  const always = ["none", "login", "consent", "select_account"];
  assert.deepEqual(await valuesWith("open"), [...always, "create"]);
  assert.deepEqual(await valuesWith("off"), always);
});
