import type { Attempt } from "./credential-storage.ts";
import type { ModeParts } from "./mode.ts";
import { createAttempts } from "./oidc-attempts.ts";
import type { OidcArrival, OidcSignIn } from "./oidc-how.ts";
import { readIdToken, userOf } from "./oidc-id-token.ts";
import type { readJwt, readOidcTokens } from "./oidc-issuer.ts";
import type { OidcSettings } from "./oidc-options.ts";
import type { encodeForm, Form, OidcProvider, ProviderMetadata } from "./oidc-provider.ts";
import type { Signing } from "./signing.ts";

/** Signing in by OpenID Connect: the request, the way back, the tokens. Loaded when somebody does. */

export interface OidcSigningParts extends ModeParts {
  readonly oidc: OidcSettings;
  readonly provider: OidcProvider;
  readonly findSigning: () => Promise<Signing>;
  /** Handed over for the same reason as `tools`. */
  readonly oidcTools: readonly [typeof readJwt, typeof readOidcTokens, typeof encodeForm];
}

/** What the provider's page leads back with (RFC 6749 §4.1.2). */
export interface Answer {
  readonly state: string;
  readonly code?: string | undefined;
  readonly iss?: string | undefined;
  readonly error?: string | undefined;
  readonly error_description?: string | undefined;
}

/** A sign-in that is about to leave. */
export interface Leaving {
  readonly url: string;
  readonly state: string;
}

const messageCharactersMax = 300;

/** RFC 7515 §2 */
function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** RFC 7636 §4.1: "a high-entropy cryptographic random STRING", 43 characters. */
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

export function createOidcSigning(parts: OidcSigningParts) {
  const { settings, runtime, oidc, provider, tools, oidcTools } = parts;
  const [readJwt, readTokens, encodeForm] = oidcTools;
  const KeyturnError = tools[7];
  const attempts = createAttempts(settings.storage, settings.issuer, tools);

  async function digest(hash: string, text: string): Promise<Uint8Array> {
    if (!runtime.subtle) throw new KeyturnError("not_supported", "That takes a page that came by https");
    return new Uint8Array(await runtime.subtle.digest(hash, new TextEncoder().encode(text)));
  }
  const sha256 = async (text: string) => base64url(await digest("SHA-256", text));

  /** The keys of the session that is to be; bound to one where the provider knows of that. */
  async function newKeys(metadata: ProviderMetadata) {
    const { deviceKey, dpop } = await (await parts.findSigning()).newKeys();
    const canBind = metadata.dpop_signing_alg_values_supported?.includes("ES256");
    return { ...(deviceKey && { deviceKey }), ...(dpop && canBind && { dpop }) };
  }

  /** OpenID Connect Core §3.1.2.1, with what has come since. */
  async function requestOf(attempt: Attempt, how: OidcSignIn): Promise<Form> {
    const { crv, kty, x, y } = attempt.dpop?.publicKey ?? {};
    return {
      ...how.parameters,
      response_type: "code",
      client_id: oidc.clientId,
      redirect_uri: oidc.redirectUri,
      scope: how.scope ?? oidc.scope,
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await sha256(attempt.verifier),
      code_challenge_method: "S256",
      resource: oidc.resources,
      prompt: how.prompt,
      login_hint: how.loginHint,
      ui_locales: how.uiLocales,
      max_age: how.maxAge,
      acr_values: how.acrValues,
      // RFC 9449 §10, by the thumbprint of RFC 7638 §3: these members, in this order.
      dpop_jkt: attempt.dpop && (await sha256(JSON.stringify({ crv, kty, x, y }))),
    };
  }

  /** RFC 9126, where the provider wants requests to be pushed. */
  async function pushed(metadata: ProviderMetadata, form: Form): Promise<Form> {
    const endpoint = metadata.pushed_authorization_request_endpoint;
    if (!metadata.require_pushed_authorization_requests) return form;
    if (!endpoint)
      throw new KeyturnError("invalid_issuer", "The provider wants pushed requests and says not where");
    const request_uri = await provider.post(endpoint, { form }, ({ request_uri: uri }) =>
      typeof uri === "string" ? uri : undefined,
    );
    // §4: "client_id" and "request_uri".
    return { client_id: oidc.clientId, request_uri };
  }

  async function begin(how: OidcSignIn, returnTo: string | undefined): Promise<Leaving> {
    const metadata = await provider.metadata();
    // RFC 9700 §2.1.1: the client must know that the provider looks at the challenge, or it protects nothing.
    if (metadata.code_challenge_methods_supported?.includes("S256") === false) {
      throw new KeyturnError("invalid_issuer", "The provider does not know PKCE with S256");
    }
    const attempt: Attempt = {
      ...{ state: random(), nonce: random(), verifier: random() },
      ...{ maxAge: how.maxAge, popup: how.popup !== undefined && how.popup !== false },
      returnTo,
      ...(await newKeys(metadata)),
    };
    const form = await pushed(metadata, await requestOf(attempt, how));
    await attempts.add(attempt);
    const url = new URL(metadata.authorization_endpoint);
    // RFC 6749 §3.1: a query that the endpoint has "MUST be retained".
    for (const [name, value] of encodeForm(form)) url.searchParams.append(name, value);
    return { url: url.href, state: attempt.state };
  }

  function checkAnswer({ iss, error, error_description: text }: Answer, metadata: ProviderMetadata): void {
    // RFC 9207 §2.4: clients MUST "compare the result to the issuer identifier of the authorization server where the
    // authorization request was sent to", and "MUST reject authorization responses without the iss parameter from
    // authorization servers which do support the parameter".
    const isNamed = iss !== undefined || metadata.authorization_response_iss_parameter_supported;
    if (isNamed && iss !== oidc.issuer) {
      throw new KeyturnError("invalid_answer", "The answer is another provider's; sign in anew");
    }
    if (error === undefined) return;
    const isSafe = text !== undefined && !/k[rt]t_|eyJ/.test(text);
    const message = isSafe ? text.slice(0, messageCharactersMax) : "The provider did not sign anybody in";
    throw new KeyturnError(/^\w{1,64}$/.test(error) ? error : "invalid_answer", message);
  }

  /** The tokens for a code; OpenID Connect Core §3.1.3. */
  async function exchange(code: string, attempt: Attempt, metadata: ProviderMetadata) {
    const { verifier, dpop, nonce, maxAge } = attempt;
    const form = {
      grant_type: "authorization_code",
      code,
      redirect_uri: oidc.redirectUri,
      code_verifier: verifier,
      resource: oidc.resources,
    };
    const sessionId = random();
    const reply = await provider.post(metadata.token_endpoint, { form, key: dpop }, (body) => {
      const tokens = readTokens(body, { refreshToken: "", sessionId });
      return tokens && { ...tokens, idToken: body.id_token };
    });
    const { access, idToken } = reply;
    // RFC 6749 §7.1: "The client MUST NOT use an access token if it does not understand the token type."
    if (access.tokenType === "DPoP" && !dpop) {
      throw new KeyturnError(
        "invalid_answer",
        "The provider binds tokens to a key; leave the option dpop out",
      );
    }
    const { issuer, clientId } = oidc;
    const expected = { issuer, clientId, nonce, maxAge, accessToken: access.accessToken, digest, readJwt };
    const read = await readIdToken(idToken, expected);
    if ("wrong" in read)
      throw new KeyturnError("invalid_id_token", `The ID token is not good: ${read.wrong}`);
    // Of an access token that is opaque the time cannot be learned.
    parts.proofs.learnTime(idToken as string);
    return { ...reply, sessionId, user: userOf(read.claims) };
  }

  /** What the provider has led back with, made into a session. */
  async function complete(answer: Answer): Promise<OidcArrival> {
    // First: while the provider cannot be reached nothing is used up.
    const metadata = await provider.metadata();
    const attempt = await attempts.take(answer.state);
    if (!attempt) {
      throw new KeyturnError(
        "invalid_state",
        "This way back from signing in was not begun here, or was taken",
      );
    }
    checkAnswer(answer, metadata);
    if (answer.code === undefined) throw new KeyturnError("invalid_answer", "The provider sent no code");
    const signing = await parts.findSigning();
    const sinceMs = runtime.now();
    const { user, sessionId, refreshToken, idToken, access } = await exchange(answer.code, attempt, metadata);
    const { deviceKey, dpop, returnTo } = attempt;
    const keys = { ...(deviceKey && { deviceKey }), ...(dpop && { dpop }) };
    const record = { user, sessionId, refreshToken, idToken: idToken as string, ...keys };
    await signing.settle(record, access, sinceMs);
    return { user, sessionId, returnTo };
  }

  return {
    begin,
    complete,
    /** Of a sign-in that has left: whether it was for a window of its own. Undefined when nothing is known of it here. */
    async isPopup(state: string): Promise<boolean | undefined> {
      const attempt = await attempts.find(state);
      return attempt && attempt.popup === true;
    },
  };
}

export type OidcSigning = ReturnType<typeof createOidcSigning>;
