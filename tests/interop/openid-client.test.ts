import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exportJWK } from "jose";
import * as client from "openid-client";
import { addTotp } from "../../packages/server/src/users/factors/test-factors.ts";
import { openHouse, redirectUri } from "./house.ts";
import { type Kind, openidClientAt, SCOPE } from "./openid-client.ts";

/** openid-client, unmodified: what it checks of an answer is what the specifications have a client check. */

const house = await openHouse();
const { configure, signIn, liveOn } = openidClientAt(house);

describe("openid-client signs in, calls, refreshes, gives back and signs out", () => {
  const ways: Record<string, Kind> = {
    "RFC 6749 §2.3.1: by client_secret_basic": {},
    "RFC 6749 §2.3.1: by client_secret_post": {
      metadata: { token_endpoint_auth_method: "client_secret_post" },
      authenticate: client.ClientSecretPost,
    },
    "RFC 8252 §8.4: a public client, by PKCE alone": { type: "native", authenticate: () => client.None() },
    "OpenID Connect Core §8.1: with a pairwise subject": { metadata: { subject_type: "pairwise" } },
  };
  for (const [title, kind] of Object.entries(ways)) {
    test(title, async () => {
      const config = await configure(kind);
      await liveOn(config, await signIn(config));
    });
  }

  for (const algorithm of ["ES256", "EdDSA"] as const) {
    test(`OpenID Connect Registration §2: ID tokens by ${algorithm}`, async () => {
      const config = await configure({ metadata: { id_token_signed_response_alg: algorithm } });
      assert.equal(config.clientMetadata().id_token_signed_response_alg, algorithm);
      await signIn(config);
    });
  }

  test("OpenID Connect Core §5.3: userinfo with a token of the default audience", async () => {
    const config = await configure();
    const { tokens } = await signIn(config, { parameters: { resource: "" } });
    const { sub = "" } = tokens.claims() ?? {};
    const info = await client.fetchUserInfo(config, tokens.access_token, sub);
    assert.deepEqual([info.sub, info.preferred_username, info.email], [sub, "alice", "alice@example.com"]);
  });

  test("RFC 9126: the request is pushed", async () => {
    const config = await configure({ metadata: { require_pushed_authorization_requests: true } });
    await liveOn(config, await signIn(config, { by: "par" }));
  });

  test("OAuth 2.0 Form Post Response Mode: the answer is posted", async () => {
    const config = await configure();
    await liveOn(config, await signIn(config, { parameters: { response_mode: "form_post" } }));
  });

  test("RFC 9101: the request is signed", async () => {
    const key = await client.randomDPoPKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(key.publicKey)), alg: "ES256" }] };
    const config = await configure({ metadata: { jwks, require_signed_request_object: true } });
    await liveOn(config, await signIn(config, { by: "jar", key: key.privateKey }));
  });

  test("RFC 9449: tokens are bound to a key, with the nonce that is asked for", async () => {
    const config = await configure({
      type: "spa",
      metadata: { dpop_bound_access_tokens: true },
      authenticate: () => client.None(),
    });
    const options = { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256")) };
    const signedIn = await signIn(config, { options });
    assert.equal(signedIn.tokens.token_type, "dpop");
    await liveOn(config, signedIn, options);
  });

  test("FAPI 2.0 Security Profile: pushed, bound, authenticated by a key, and nothing turns", async () => {
    const key = await client.randomDPoPKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(key.publicKey)), alg: "ES256", kid: "a" }] };
    const config = await configure({
      metadata: { keyturn_profile: "fapi2", jwks },
      authenticate: () => client.PrivateKeyJwt({ key: key.privateKey, kid: "a" }),
    });
    const options = { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256")) };
    const signedIn = await signIn(config, { by: "par", options });
    const { refresh_token = "" } = signedIn.tokens;
    const again = await client.refreshTokenGrant(config, refresh_token, undefined, options);
    // FAPI 2.0 Security Profile §5.3.2.1: "shall not use refresh token rotation except in extraordinary circumstances".
    assert.equal(again.refresh_token ?? refresh_token, refresh_token);
    await liveOn(config, signedIn, options);
  });

  test("RFC 9470: what the API asks of the sign-in is asked of Keyturn, and then it answers", async () => {
    const config = await configure();
    const bob = await house.server.addUser("bob");
    const person = house.person("bob");
    const { tokens } = await signIn(config, { person });
    const open = (token: string) =>
      client.fetchProtectedResource(config, token, house.api.url("/notes/vault"), "GET");
    const refusal = await open(tokens.access_token).catch((error: unknown) => error);
    assert.ok(refusal instanceof client.WWWAuthenticateChallengeError, String(refusal));
    const { error, acr_values = "" } = refusal.cause[0]?.parameters ?? {};
    assert.deepEqual([error, acr_values], ["insufficient_user_authentication", "urn:keyturn:2fa"]);
    const { recoveryCodes } = await addTotp(house.server, bob);
    person.hasCode(recoveryCodes[0] ?? "");
    const better = await signIn(config, { person, parameters: { acr_values } });
    assert.equal(better.tokens.claims()?.acr, acr_values);
    assert.equal((await open(better.tokens.access_token)).status, 200);
  });

  test("OpenID Connect Core §3.1.2.1: max_age and prompt=login bring a sign-in of now", async () => {
    const config = await configure();
    const { tokens, person } = await signIn(config);
    const before = tokens.claims()?.auth_time ?? 0;
    for (const parameters of [{ max_age: "0" }, { prompt: "login" }]) {
      const again = await signIn(config, { person, parameters: parameters as Record<string, string> });
      assert.ok((again.tokens.claims()?.auth_time ?? 0) >= before);
    }
    const silent = await signIn(config, { person, parameters: { prompt: "none" } });
    assert.equal(silent.tokens.claims()?.sub, tokens.claims()?.sub);
  });
});

test("OpenID Connect Core §3.1.2.6: prompt=none tells the library login_required, with iss", async () => {
  const config = await configure();
  await assert.rejects(signIn(config, { parameters: { prompt: "none" } }), { error: "login_required" });
});

test("RFC 6749 §4.4: a service has a token of its own, until it gives it back", async () => {
  const config = await configure({ type: "service", metadata: { scope: "notes.read" } });
  const { access_token } = await client.clientCredentialsGrant(config, { resource: house.api.resource });
  const call = () => client.fetchProtectedResource(config, access_token, house.api.url("/notes"), "GET");
  assert.equal((await call()).status, 200);
  assert.equal((await client.tokenIntrospection(config, access_token)).active, true);
  await client.tokenRevocation(config, access_token, { token_type_hint: "access_token" });
  assert.deepEqual(await client.tokenIntrospection(config, access_token), { active: false });
  await house.untilRefused(() => call().catch((error) => error));
});

test("RFC 8628: a device waits while its person types the code", async () => {
  const config = await configure({
    type: "native",
    metadata: { grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"] },
    authenticate: () => client.None(),
  });
  const device = await client.initiateDeviceAuthorization(config, {
    scope: SCOPE,
    resource: house.api.resource,
  });
  const person = house.person();
  const done = new URL("/device?done=allowed#shown", house.issuer).href;
  await person.goTo(new URL(device.verification_uri_complete ?? ""), (url) => url.href === done);
  const tokens = await client.pollDeviceAuthorizationGrant(config, { ...device, interval: 0 });
  const call = await client.fetchProtectedResource(
    config,
    tokens.access_token,
    house.api.url("/notes"),
    "GET",
  );
  assert.equal(call.status, 200);
  assert.ok((await client.refreshTokenGrant(config, tokens.refresh_token ?? "")).access_token);
});

test("RFC 8693: an API exchanges the token that it was called with", async () => {
  const config = await configure();
  const { tokens } = await signIn(config);
  const { id, secret } = house.api.credentials;
  const next = await house.addClient("resource", {
    keyturn_resources: ["https://next.example"],
    scope: "notes.read",
  });
  assert.ok(next.id);
  await house.server.app.clients.update(
    id,
    {
      metadata: {
        grant_types: ["urn:ietf:params:oauth:grant-type:token-exchange"],
        keyturn_exchange_resources: ["https://next.example"],
      },
    },
    { actor: "operator" },
  );
  const options = { execute: [client.allowInsecureRequests] };
  const own = await client.discovery(new URL(house.issuer), id, secret, undefined, options);
  const grant = "urn:ietf:params:oauth:grant-type:token-exchange";
  const exchanged = await client.genericGrantRequest(own, grant, {
    subject_token: tokens.access_token,
    subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
    resource: "https://next.example",
  });
  assert.equal(exchanged.issued_token_type, "urn:ietf:params:oauth:token-type:access_token");
});

test("RFC 7591: a client that registers itself signs in", async () => {
  const options = { execute: [client.allowInsecureRequests] };
  const metadata = {
    client_name: "By itself",
    redirect_uris: [redirectUri],
    token_endpoint_auth_method: "none",
  };
  const config = await client.dynamicClientRegistration(
    new URL(house.issuer),
    metadata,
    client.None(),
    options,
  );
  assert.ok((await signIn(config)).tokens.access_token);
});
