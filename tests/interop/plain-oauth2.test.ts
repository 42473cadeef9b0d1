import assert from "node:assert/strict";
import { test } from "node:test";
import { generateCodeVerifier, OAuth2Client } from "@badgateway/oauth2-client";
import { decodeJwt } from "jose";
import { AuthorizationCode, ClientCredentials } from "simple-oauth2";
import { openHouse, redirectUri } from "./house.ts";

/** Libraries that know OAuth 2.0 and nothing of OpenID Connect, each with habits of its own. */

const house = await openHouse();
const call = (token: string) =>
  fetch(house.api.url("/notes"), { headers: { authorization: `Bearer ${token}` } });

for (const authenticationMethod of [
  "client_secret_basic",
  "client_secret_basic_interop",
  "client_secret_post",
] as const) {
  test(`@badgateway/oauth2-client by ${authenticationMethod}: signs in, calls, refreshes, introspects, gives back`, async () => {
    const { id, secret } = await house.addClient("web");
    const client = new OAuth2Client({
      server: house.issuer,
      clientId: id,
      clientSecret: secret,
      authenticationMethod,
    });
    const codeVerifier = await generateCodeVerifier();
    const resource = [house.api.resource];
    const uri = await client.authorizationCode.getAuthorizeUri({
      ...{ redirectUri, codeVerifier, state: "a-state", scope: ["openid", "notes.read"], resource },
    });
    const answer = await house.person().letIn(new URL(uri), redirectUri);
    const returned = `${redirectUri}?${answer}`;
    const token = await client.authorizationCode.getTokenFromCodeRedirect(returned, {
      ...{ redirectUri, codeVerifier, state: "a-state", resource },
    });
    assert.equal((await call(token.accessToken)).status, 200);
    const refreshed = await client.refreshToken(token, { scope: ["openid", "notes.read"], resource });
    assert.equal((await call(refreshed.accessToken)).status, 200);
    assert.equal((await client.introspect(refreshed)).active, true);
    await client.revoke(refreshed, "refresh_token");
    assert.equal((await client.introspect(refreshed)).active, false);
    await house.untilRefused(() => call(refreshed.accessToken));
  });
}

test("@badgateway/oauth2-client: a service has a token of its own", async () => {
  const { id, secret } = await house.addClient("service", { scope: "notes.read" });
  const client = new OAuth2Client({ server: house.issuer, clientId: id, clientSecret: secret });
  const token = await client.clientCredentials({ scope: ["notes.read"], resource: [house.api.resource] });
  assert.equal((await call(token.accessToken)).status, 200);
});

for (const [authorizationMethod, credentialsEncodingMode] of [
  ["header", "strict"],
  ["header", "loose"],
  ["body", "strict"],
] as const) {
  const title = `${authorizationMethod} (${credentialsEncodingMode})`;
  test(`simple-oauth2 by the ${title}: signs in, calls, refreshes and gives back`, async () => {
    const { id, secret } = await house.addClient("web");
    const config = {
      client: { id, secret },
      auth: {
        tokenHost: house.issuer,
        ...{ tokenPath: "/oauth/token", revokePath: "/oauth/revoke", authorizePath: "/oauth/authorize" },
      },
      options: { authorizationMethod, credentialsEncodingMode },
    } as const;
    const client = new AuthorizationCode(config);
    const code_verifier = await generateCodeVerifier();
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(code_verifier));
    const uri = client.authorizeURL({
      ...{ redirect_uri: redirectUri, scope: ["openid", "notes.read"], state: "a-state" },
      ...{ code_challenge: Buffer.from(digest).toString("base64url"), code_challenge_method: "S256" },
      resource: house.api.resource,
    } as Parameters<typeof client.authorizeURL>[0]);
    const answer = await house.person().letIn(new URL(uri), redirectUri);
    const parameters = { code: answer.get("code") ?? "", redirect_uri: redirectUri, code_verifier };
    const tokens = await client.getToken(parameters);
    assert.ok(!tokens.expired());
    const refreshed = await tokens.refresh();
    const { access_token } = refreshed.token as { access_token: string };
    assert.equal((await call(access_token)).status, 200);
    await refreshed.revokeAll();
    await house.untilRefused(() => call(access_token));
  });
}

test("simple-oauth2: a service has a token of its own", async () => {
  const { id, secret } = await house.addClient("service", { scope: "notes.read" });
  const auth = { tokenHost: house.issuer, tokenPath: "/oauth/token" };
  const client = new ClientCredentials({ client: { id, secret }, auth });
  const { token } = await client.getToken({ scope: "notes.read" });
  assert.equal(decodeJwt(String(token.access_token)).client_id, id);
});
