import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exportJWK } from "jose";
import * as oauth from "oauth4webapi";
import { openHouse, redirectUri } from "./house.ts";

/** oauth4webapi, unmodified: each answer goes through the checks that the library has for it. */

const house = await openHouse();
const http = { [oauth.allowInsecureRequests]: true } as const;

async function discover(algorithm: "oidc" | "oauth2" = "oidc") {
  const issuer = new URL(house.issuer);
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm, ...http }));
}

interface Application {
  readonly as: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly authentication: oauth.ClientAuth;
}

/** A code, by the whole way of the person, with the answer checked: RFC 9207 §2.4. */
async function codeFor({ as, client, authentication }: Application, more: Record<string, string> = {}) {
  const codeVerifier = oauth.generateRandomCodeVerifier();
  const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
  const url = new URL(as.authorization_endpoint ?? "");
  const parameters = {
    ...{ client_id: client.client_id, redirect_uri: redirectUri, response_type: "code", state, nonce },
    ...{ scope: "openid email notes.read", code_challenge_method: "S256" },
    code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
    ...more,
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const answer = await house.person().letIn(url, redirectUri);
  const callback = oauth.validateAuthResponse(as, client, answer, state);
  const exchange = (options: oauth.TokenEndpointRequestOptions = {}) =>
    oauth.authorizationCodeGrantRequest(as, client, authentication, callback, redirectUri, codeVerifier, {
      ...http,
      ...options,
    });
  const read = (response: Response) =>
    oauth.processAuthorizationCodeResponse(as, client, response, {
      expectedNonce: nonce,
      requireIdToken: true,
    });
  return { exchange, read };
}

async function register(metadata: Parameters<typeof house.addClient>[1] = {}): Promise<Application> {
  const { id, secret } = await house.addClient("web", metadata);
  const client = { client_id: id, ...metadata } as oauth.Client;
  return { as: await discover(), client, authentication: oauth.ClientSecretBasic(secret) };
}

for (const algorithm of ["oidc", "oauth2"] as const) {
  test(`RFC 8414 §3.3, OpenID Connect Discovery §4.3: the issuer of the ${algorithm} document is the one asked`, async () => {
    assert.equal((await discover(algorithm)).issuer, house.issuer);
  });
}

describe("oauth4webapi", () => {
  test("signs in, verifies the signature of the ID token and of userinfo, refreshes and gives back", async () => {
    const application = await register({ userinfo_signed_response_alg: "ES256" });
    const { as, client, authentication } = application;
    const { exchange, read } = await codeFor(application);
    const response = await exchange();
    const tokens = await read(response);
    await oauth.validateApplicationLevelSignature(as, response, http);
    const claims = oauth.getValidatedIdTokenClaims(tokens) ?? assert.fail("no ID token");
    const asked = await oauth.userInfoRequest(as, client, tokens.access_token, http);
    const info = await oauth.processUserInfoResponse(as, client, claims.sub, asked);
    await oauth.validateApplicationLevelSignature(as, asked, http);
    assert.equal(info.email, "alice@example.com");
    const refreshed = await oauth.processRefreshTokenResponse(
      as,
      client,
      await oauth.refreshTokenGrantRequest(as, client, authentication, tokens.refresh_token ?? "", http),
    );
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(as, client, authentication, refreshed.refresh_token ?? "", http),
    );
    const worth = async (options: oauth.IntrospectionRequestOptions) =>
      oauth.processIntrospectionResponse(
        as,
        client,
        await oauth.introspectionRequest(as, client, authentication, refreshed.access_token, {
          ...http,
          ...options,
        }),
      );
    assert.deepEqual(await worth({}), { active: false });
    // RFC 9701 §5: the same, signed for the one who asked.
    const signed = await worth({ requestJwtResponse: true });
    assert.equal(signed.active, false);
  });

  test("RFC 9068 §4: its own check of a resource server takes the access token, and no ID token", async () => {
    const application = await register();
    const { exchange, read } = await codeFor(application, { resource: house.api.resource });
    const tokens = await read(await exchange());
    const at = (token: string) =>
      oauth.validateJwtAccessToken(
        application.as,
        new Request(house.api.resource, { headers: { authorization: `Bearer ${token}` } }),
        house.api.resource,
        http,
      );
    const claims = await at(tokens.access_token);
    assert.deepEqual(
      [claims.client_id, claims.scope],
      [application.client.client_id, "openid email notes.read"],
    );
    await assert.rejects(at(tokens.id_token ?? ""));
  });

  test("RFC 9449 §8: a proof without the nonce is asked for again with it, at the server and at the API", async () => {
    const application = await register({ dpop_bound_access_tokens: true });
    const keys = await oauth.generateKeyPair("ES256");
    const DPoP = oauth.DPoP(application.client, keys);
    const { exchange, read } = await codeFor(application, { resource: house.api.resource });
    let tokens: oauth.TokenEndpointResponse;
    try {
      tokens = await read(await exchange({ DPoP }));
    } catch (error) {
      assert.ok(oauth.isDPoPNonceError(error), String(error));
      tokens = await read(await exchange({ DPoP }));
    }
    assert.equal(tokens.token_type, "dpop");
    const call = () =>
      oauth.protectedResourceRequest(tokens.access_token, "GET", house.api.url("/notes"), undefined, null, {
        ...http,
        DPoP,
      });
    const response = await call().catch((error: unknown) => {
      assert.ok(oauth.isDPoPNonceError(error), String(error));
      return call();
    });
    assert.equal(response.status, 200);
  });

  test("RFC 7523 §3: private_key_jwt by RS256 and Ed25519, its audience the issuer alone", async () => {
    for (const algorithm of ["RS256", "Ed25519"] as const) {
      const { publicKey, privateKey } = await oauth.generateKeyPair(algorithm);
      const jwks = { keys: [{ ...(await exportJWK(publicKey)), alg: algorithm, kid: "k" }] };
      const { id } = await house.addClient("service", {
        token_endpoint_auth_method: "private_key_jwt",
        jwks,
        scope: "notes.read",
      });
      const as = await discover();
      const client = { client_id: id };
      const authentication = oauth.PrivateKeyJwt({ key: privateKey, kid: "k" });
      const reply = await oauth.processClientCredentialsResponse(
        as,
        client,
        await oauth.clientCredentialsGrantRequest(as, client, authentication, {}, http),
      );
      assert.ok(reply.access_token);
    }
  });

  test("RFC 6749 §5.2: what is refused, the library understands", async () => {
    const application = await register();
    const { as, client } = application;
    const wrong = oauth.ClientSecretBasic("not the secret");
    const response = await oauth.refreshTokenGrantRequest(as, client, wrong, "nothing", http);
    await assert.rejects(oauth.processRefreshTokenResponse(as, client, response), (error) => {
      const isChallenge = error instanceof oauth.WWWAuthenticateChallengeError;
      assert.ok(isChallenge || error instanceof oauth.ResponseBodyError, String(error));
      assert.equal(error.status, 401);
      return true;
    });
    const { exchange, read } = await codeFor(application);
    await read(await exchange());
    await assert.rejects(async () => read(await exchange()), { error: "invalid_grant" });
  });
});
