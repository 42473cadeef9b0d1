import assert from "node:assert/strict";
import * as client from "openid-client";
import type { ClientType } from "../../packages/server/src/clients/client.ts";
import type { ClientMetadataInput } from "../../packages/server/src/clients/client-metadata.ts";
import { type House, redirectUri, signedOutUri } from "./house.ts";

export const SCOPE = "openid profile email notes.read";
type Authenticate = (secret: string) => client.ClientAuth;

export interface Kind {
  readonly type?: ClientType;
  readonly metadata?: ClientMetadataInput;
  readonly authenticate?: Authenticate;
}

interface Way {
  readonly parameters?: Readonly<Record<string, string>>;
  readonly person?: ReturnType<House["person"]>;
  readonly options?: client.DPoPOptions;
  readonly by?: "plain" | "par" | "jar";
  readonly key?: client.CryptoKey;
}

type SignedIn = {
  tokens: Awaited<ReturnType<typeof client.authorizationCodeGrant>>;
  person: ReturnType<House["person"]>;
};

/** What an application does with openid-client. */
export function openidClientAt(house: House) {
  async function configure({ type = "web", metadata = {}, authenticate }: Kind = {}) {
    const { id, secret } = await house.addClient(type, metadata);
    const authentication = authenticate?.(secret) ?? client.ClientSecretBasic(secret);
    const options = { execute: [client.allowInsecureRequests] };
    const { id_token_signed_response_alg } = metadata;
    const said = id_token_signed_response_alg === undefined ? {} : { id_token_signed_response_alg };
    return client.discovery(new URL(house.issuer), id, said, authentication, options);
  }

  /** Everything that an application does until it has tokens. */
  async function signIn(config: client.Configuration, way: Way = {}) {
    const { person = house.person(), options, by = "plain" } = way;
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
    const parameters = {
      redirect_uri: redirectUri,
      scope: SCOPE,
      resource: house.api.resource,
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: "S256",
      state: expectedState,
      nonce: expectedNonce,
      ...way.parameters,
    };
    const url = {
      plain: () => client.buildAuthorizationUrl(config, parameters),
      par: () => client.buildAuthorizationUrlWithPAR(config, parameters, options),
      jar: () => client.buildAuthorizationUrlWithJAR(config, parameters, way.key as client.CryptoKey),
    }[by];
    const answer = await person.goTo(await url(), (next) => next.href.startsWith(redirectUri));
    const answered =
      answer.form === undefined ? answer.url : new Request(answer.url, { method: "POST", body: answer.form });
    const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true };
    const tokens = await client.authorizationCodeGrant(config, answered, checks, undefined, options);
    return { tokens, person };
  }

  /** Calls, refreshes, is refused what was given back, and signs out. */
  async function liveOn(
    config: client.Configuration,
    { tokens, person }: SignedIn,
    options?: client.DPoPOptions,
  ) {
    const call = (token: string) =>
      client.fetchProtectedResource(config, token, house.api.url("/notes"), "GET", null, undefined, options);
    const { sub } = tokens.claims() ?? assert.fail("no ID token");
    assert.deepEqual(await (await call(tokens.access_token)).json(), {
      subject: sub,
      client: config.clientMetadata().client_id,
    });
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? "", undefined, options);
    assert.notEqual(refreshed.access_token, tokens.access_token);
    assert.equal(refreshed.claims()?.sub, sub);
    assert.equal((await call(refreshed.access_token)).status, 200);
    const refresh = refreshed.refresh_token ?? tokens.refresh_token ?? "";
    await client.tokenRevocation(config, refresh);
    await house.untilRefused(async () => {
      try {
        return await call(refreshed.access_token);
      } catch (error) {
        assert.ok(error instanceof client.WWWAuthenticateChallengeError);
        assert.equal(error.cause[0]?.parameters.error, "invalid_token");
        return error;
      }
    });
    await assert.rejects(client.refreshTokenGrant(config, refresh, undefined, options), {
      error: "invalid_grant",
    });
    const out = client.buildEndSessionUrl(config, {
      post_logout_redirect_uri: signedOutUri,
      id_token_hint: tokens.id_token ?? "",
      state: "bye",
    });
    const { url } = await person.goTo(out, (next) => next.href.startsWith(signedOutUri));
    assert.equal(url.searchParams.get("state"), "bye");
  }

  return { configure, signIn, liveOn };
}
