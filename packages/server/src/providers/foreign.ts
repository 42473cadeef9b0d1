import { createPrivateKey } from "node:crypto";
import type * as openid from "openid-client";
import type { ClientAuth, Configuration, ServerMetadata } from "openid-client";
import { type Outgoing, OutgoingFailed } from "../http/outgoing.ts";
import { type Clock, toSeconds } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import { signJwt } from "../tokens/jwt.ts";
import type { Attempt } from "./attempts.ts";
import { type OAuthPreset, type Preset, presetOf } from "./presets.ts";
import { type ForeignPerson, type ForeignTokens, personFrom, verifiedEmailFrom } from "./profile.ts";
import type { OpenedProvider } from "./providers.ts";

/** Why a provider could not be asked, or its answer not be taken. For the log and the audit: a code, no more. */
export interface ForeignFailed {
  readonly outcome: "failed";
  /** Whether it is the provider, and not the answer that came: trying again may help. */
  readonly isOutage: boolean;
  readonly reason: string;
}

export type Exchanged = { readonly outcome: "proven"; readonly person: ForeignPerson } | ForeignFailed;

export type Foreign = ReturnType<typeof createForeign>;

type Library = typeof openid;

interface Known {
  readonly updatedAt: number;
  readonly until: number;
  readonly configuration: Promise<Configuration>;
}

interface Dependencies {
  readonly clock: Clock;
  readonly outgoing: Outgoing;
}

/** A signed client secret is made for one request. Apple takes up to six months. */
const SIGNED_SECRET_SECONDS = 300;

/** Speaks with providers, by openid-client, which is loaded when the first of them is asked for. */
export function createForeign({ clock, outgoing }: Dependencies) {
  const known = new Map<string, Known>();

  const fetch = (url: string, sent: Parameters<Outgoing>[1]) => outgoing(url, sent);

  /** What is known of the provider, for an hour: its metadata, and by and by its keys. */
  async function configurationOf(
    provider: OpenedProvider,
  ): Promise<{ library: Library; configuration: Configuration }> {
    const library = await import("openid-client");
    const now = clock.now();
    const kept = known.get(provider.id);
    if (kept !== undefined && kept.updatedAt === provider.updatedAt && kept.until > now) {
      return { library, configuration: await kept.configuration };
    }
    const configuration = makeConfiguration(library, provider);
    const until = now + limits.discoverySecondsMax * 1000;
    if (known.size >= limits.providersMax) known.clear();
    known.set(provider.id, { updatedAt: provider.updatedAt, until, configuration });
    try {
      return { library, configuration: await configuration };
    } catch (error) {
      // The next one asks anew.
      if (known.get(provider.id)?.configuration === configuration) known.delete(provider.id);
      throw error;
    }
  }

  async function makeConfiguration(library: Library, provider: OpenedProvider): Promise<Configuration> {
    const preset = presetOf(provider.preset);
    const timeout = limits.outgoingMillisecondsMax / 1000;
    const authentication = authenticationOf({ library, provider, preset, clock });
    const execute = provider.issuer.startsWith("http:") ? [library.allowInsecureRequests] : [];
    if (preset.protocol === "oidc") {
      // Else the signature of an ID token that came over TLS would not be looked at (OpenID Connect Core §3.1.3.7).
      execute.push(library.enableNonRepudiationChecks);
      const options = { [library.customFetch]: fetch, timeout, execute };
      const issuer = new URL(provider.issuer);
      return library.discovery(issuer, provider.clientId, undefined, authentication, options);
    }
    const metadata = metadataOf(provider, preset);
    const made = new library.Configuration(metadata, provider.clientId, undefined, authentication);
    made[library.customFetch] = fetch;
    made.timeout = timeout;
    for (const prepare of execute) prepare(made);
    return made;
  }

  return {
    /** Where to send somebody. */
    async authorizationUrl(
      provider: OpenedProvider,
      going: { state: string; nonce: string; verifier: string; redirectUri: string },
    ): Promise<{ readonly outcome: "found"; readonly url: string } | ForeignFailed> {
      const preset = presetOf(provider.preset);
      try {
        const { library, configuration } = await configurationOf(provider);
        const offline = provider.keepsTokens ? preset.offline : undefined;
        const scopes = [...new Set(`${provider.scopes} ${offline?.scope ?? ""}`.trim().split(" "))];
        const url = library.buildAuthorizationUrl(configuration, {
          ...offline?.parameters,
          redirect_uri: going.redirectUri,
          scope: scopes.join(" "),
          state: going.state,
          ...(preset.pkce !== false && {
            code_challenge: await library.calculatePKCECodeChallenge(going.verifier),
            code_challenge_method: "S256",
          }),
          ...(preset.protocol === "oidc" && preset.nonce !== false && { nonce: going.nonce }),
          ...(preset.protocol === "oidc" && preset.responseMode && { response_mode: preset.responseMode }),
        });
        return { outcome: "found", url: url.href };
      } catch (error) {
        return failureOf(error);
      }
    },

    /** Turns what the provider has sent the browser back with into who it is. */
    async exchange(
      provider: OpenedProvider,
      answer: {
        parameters: Readonly<Record<string, string>>;
        redirectUri: string;
        state: string;
        attempt: Attempt;
      },
    ): Promise<Exchanged> {
      const { attempt, state } = answer;
      const preset = presetOf(provider.preset);
      const url = new URL(answer.redirectUri);
      for (const [name, value] of Object.entries(answer.parameters)) url.searchParams.set(name, value);
      try {
        const { library, configuration } = await configurationOf(provider);
        const isOidc = preset.protocol === "oidc";
        const tokens = await library.authorizationCodeGrant(configuration, url, {
          expectedState: state,
          ...(preset.pkce !== false && { pkceCodeVerifier: attempt.verifier }),
          ...(isOidc && preset.nonce !== false && { expectedNonce: attempt.nonce }),
          ...(isOidc && { idTokenExpected: true }),
        });
        const token = tokens.access_token;
        const person = isOidc
          ? await personOf({ library, configuration, token, claims: tokens.claims() })
          : await profileOf({ library, configuration, token, provider, preset });
        if (person === undefined) return failed("no_subject");
        const kept = provider.keepsTokens && { tokens: tokensFrom(tokens, clock.now()) };
        return { outcome: "proven", person: { ...person, ...kept } };
      } catch (error) {
        return failureOf(error);
      }
    },

    /**
     * New tokens for a refresh token, RFC 6749 §6.
     * @param renewed.subject of whom they must be, where the provider says so (OpenID Connect Core §12.2)
     */
    async renew(
      provider: OpenedProvider,
      renewed: { refreshToken: string; subject: string },
    ): Promise<{ readonly outcome: "renewed"; readonly tokens: ForeignTokens } | ForeignFailed> {
      try {
        const { library, configuration } = await configurationOf(provider);
        const tokens = await library.refreshTokenGrant(configuration, renewed.refreshToken);
        const { sub = renewed.subject } = tokens.claims() ?? {};
        if (sub !== renewed.subject) return failed("wrong_subject");
        return { outcome: "renewed", tokens: tokensFrom(tokens, clock.now()) };
      } catch (error) {
        return failureOf(error);
      }
    },
  };
}

function tokensFrom(
  tokens: openid.TokenEndpointResponse & openid.TokenEndpointResponseHelpers,
  now: number,
): ForeignTokens {
  const seconds = tokens.expiresIn();
  return {
    accessToken: tokens.access_token,
    tokenType: tokens.token_type,
    refreshToken: tokens.refresh_token,
    idToken: tokens.id_token,
    scope: tokens.scope,
    expiresAt: seconds === undefined ? undefined : now + seconds * 1000,
  };
}

/** OpenID Connect Core §5.3: the ID token says who it is; what else one would know may stand at the UserInfo endpoint. */
async function personOf(asked: {
  library: Library;
  configuration: Configuration;
  token: string;
  claims: { readonly iss: string; readonly sub: string } | undefined;
}): Promise<ForeignPerson | undefined> {
  const { library, configuration, token, claims } = asked;
  if (claims === undefined) return undefined;
  const isTold = "email" in claims || configuration.serverMetadata().userinfo_endpoint === undefined;
  if (isTold) return personFrom(claims, { issuer: claims.iss });
  // §5.3.2: "the sub Claim in the UserInfo Response MUST be verified to exactly match the sub Claim in the ID Token".
  const more = await library.fetchUserInfo(configuration, token, claims.sub);
  // The address and whether it is verified come from one document.
  const { email, email_verified } = more;
  return personFrom({ ...more, ...claims, email, email_verified }, { issuer: claims.iss });
}

async function profileOf(asked: {
  library: Library;
  configuration: Configuration;
  token: string;
  provider: OpenedProvider;
  preset: OAuthPreset;
}): Promise<ForeignPerson | undefined> {
  const { library, configuration, token, provider, preset } = asked;
  const endpoints = provider.endpoints ?? preset.endpoints;
  const read = async (address: string): Promise<unknown> => {
    const headers = new Headers({ accept: "application/json" });
    const url = new URL(address);
    const reply = await library.fetchProtectedResource(configuration, token, url, "GET", null, headers);
    if (reply.status !== 200) throw new OutgoingFailed("network", url.host);
    return reply.json();
  };
  const person = personFrom(await read(endpoints.profile), { issuer: provider.issuer, where: preset.claims });
  if (person === undefined || endpoints.emails === undefined) return person;
  return { ...person, email: verifiedEmailFrom(await read(endpoints.emails)) };
}

function metadataOf(provider: OpenedProvider, preset: OAuthPreset): ServerMetadata {
  const { authorization, token } = provider.endpoints ?? preset.endpoints;
  return { issuer: provider.issuer, authorization_endpoint: authorization, token_endpoint: token };
}

/** RFC 6749 §2.3.1: how we prove ourselves at the token endpoint. */
function authenticationOf(wanted: {
  library: Library;
  provider: OpenedProvider;
  preset: Preset;
  clock: Clock;
}): ClientAuth {
  const { library, provider, preset, clock } = wanted;
  const { secret } = provider;
  if (secret === undefined) return library.None();
  return (...request: Parameters<ClientAuth>) => {
    const [server, , body] = request;
    const supported = server.token_endpoint_auth_methods_supported;
    // OpenID Connect Discovery §3: "If omitted, the default is client_secret_basic".
    const announced = supported?.includes("client_secret_basic") === false ? "post" : "basic";
    switch (preset.clientAuthentication ?? announced) {
      case "post":
        return library.ClientSecretPost(secret)(...request);
      case "basic":
        return library.ClientSecretBasic(secret)(...request);
      case "signed":
        body.set("client_id", provider.clientId);
        body.set("client_secret", signedSecret(provider, secret, clock));
    }
  };
}

/** Apple, "Creating a client secret": ES256, `iss` the team, `sub` the client, `aud` Apple, the key's id as `kid`. */
function signedSecret(
  provider: Pick<OpenedProvider, "signing" | "clientId" | "issuer">,
  pem: string,
  clock: Clock,
): string {
  const { teamId = "", keyId = "" } = provider.signing ?? {};
  const now = toSeconds(clock.now());
  const key = { id: keyId, algorithm: "ES256", privateKey: createPrivateKey(pem) } as const;
  const claims = {
    iss: teamId,
    sub: provider.clientId,
    aud: provider.issuer,
    iat: now,
    exp: now + SIGNED_SECRET_SECONDS,
  };
  return signJwt({ key, type: "JWT", claims });
}

const failed = (reason: string, isOutage = false): ForeignFailed => ({ outcome: "failed", isOutage, reason });

/**
 * A code for what went wrong. Never the error itself: those of openid-client carry the provider's reply, with tokens
 * in it. What a provider writes as `error` is a word, or it is left out.
 */
function failureOf(error: unknown): ForeignFailed {
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    if (one instanceof OutgoingFailed) return failed(`outgoing_${one.problem}`, true);
    if ("error" in one && typeof one.error === "string") {
      return failed(/^[a-z_]{1,60}$/i.test(one.error) ? one.error.toLowerCase() : "provider_error");
    }
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return failed(/^[A-Z_]{1,60}$/.test(code) ? code.toLowerCase() : "unreadable_answer");
}
