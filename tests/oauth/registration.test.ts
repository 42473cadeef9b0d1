import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as openid from "openid-client";
import { startTestServer, type TestServer } from "../../packages/server/src/test-server.ts";

/** What a library that knows nothing of Keyturn makes of discovery, registration and keys. */

const operator = { actor: "operator" } as const;
let server: TestServer;

before(async () => {
  server = await startTestServer({ settings: { dynamicRegistration: "open" } });
});
after(() => server?.close());

const options = { execute: [openid.allowInsecureRequests] };

/** What the token endpoint says to a client that it knows: it asks for a grant that there is none of. */
async function errorOf(configuration: openid.Configuration): Promise<string | undefined> {
  try {
    await openid.genericGrantRequest(configuration, "urn:example:none", {});
    return undefined;
  } catch (error) {
    const { error: code, status } = error as { error?: string; status?: number };
    // For a challenge the library has an error of its own.
    return status === 401 ? "invalid_client" : code;
  }
}

test("openid-client finds the server by either metadata document, and registers itself", async () => {
  for (const algorithm of ["oidc", "oauth2"] as const) {
    const configuration = await openid.dynamicClientRegistration(
      new URL(server.issuer),
      { client_name: "A stranger", redirect_uris: ["https://app.example/cb"] },
      undefined,
      { ...options, algorithm },
    );
    const { client_id, client_secret = "", registration_access_token } = configuration.clientMetadata();
    server.secrets.add(String(client_secret));
    server.secrets.add(String(registration_access_token));
    assert.match(client_id, /^c-/);
    assert.equal(configuration.serverMetadata().issuer, server.issuer);
    assert.equal(await errorOf(configuration), "unsupported_grant_type");
  }
});

test("openid-client proves itself by a secret in the header, in the form, and by a key", async () => {
  const { publicKey, privateKey } = await openid.randomDPoPKeyPair("ES256", { extractable: true });
  const jwk = await crypto.subtle.exportKey("jwk", publicKey);
  const add = async (id: string, metadata: object) => {
    const added = await server.app.clients.add(
      { id, name: id, type: "web", metadata: { redirect_uris: ["https://app.example/cb"], ...metadata } },
      operator,
    );
    assert.ok(added.outcome === "added", JSON.stringify(added));
    if (added.secret !== undefined) server.secrets.add(added.secret);
    return added.secret ?? "";
  };
  const secret = await add("by-secret", {});
  await add("by-key", {
    token_endpoint_auth_method: "private_key_jwt",
    jwks: { keys: [{ ...jwk, kid: "1" }] },
  });
  const issuer = new URL(server.issuer);
  const ways: [id: string, authentication: openid.ClientAuth][] = [
    ["by-secret", openid.ClientSecretBasic(secret)],
    ["by-secret", openid.ClientSecretPost(secret)],
    ["by-key", openid.PrivateKeyJwt({ key: privateKey, kid: "1" })],
  ];
  for (const [id, authentication] of ways) {
    const configuration = await openid.discovery(issuer, id, undefined, authentication, options);
    assert.equal(await errorOf(configuration), "unsupported_grant_type", id);
    assert.equal(await errorOf(configuration), "unsupported_grant_type", `${id}, again`);
  }
  const wrong = await openid.discovery(
    issuer,
    "by-secret",
    undefined,
    openid.ClientSecretBasic("x"),
    options,
  );
  assert.equal(await errorOf(wrong), "invalid_client");
});
