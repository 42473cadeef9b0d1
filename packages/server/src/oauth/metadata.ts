import type { ResolvedSettings } from "../config.ts";
import {
  clientAuthenticationMethods,
  clientSigningAlgorithms,
  idTokenAlgorithms,
} from "../config-clients.ts";
import type { Answer, Endpoint } from "../http/endpoint.ts";
import { acrValues } from "../sessions/acr.ts";
import { authorizationMetadata } from "./authorization-metadata.ts";
import type { Grant } from "./grants/grant.ts";
import { registrationMetadata } from "./register.ts";
import type { RequestObjects } from "./request-objects.ts";
import type { Resources } from "./resources.ts";
import { standardScopes } from "./scopes.ts";

interface Dependencies {
  readonly settings: ResolvedSettings;
  readonly resources: Resources;
  readonly grants: readonly Grant[];
  readonly requestObjects: Pick<RequestObjects, "isSupported">;
}

/** OpenID Connect Discovery 1.0 §3 and RFC 8414 §2: what a client needs to know, of the endpoints that exist. */
export function discoveryEndpoints({
  settings,
  resources,
  grants,
  requestObjects,
}: Dependencies): Endpoint[] {
  const { issuer } = settings;
  const fixed = {
    issuer,
    token_endpoint: `${issuer}/oauth/token`,
    end_session_endpoint: `${issuer}/oauth/logout`,
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
    userinfo_endpoint: `${issuer}/oauth/userinfo`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    // RFC 8628 §4
    device_authorization_endpoint: `${issuer}/oauth/device`,
    introspection_endpoint: `${issuer}/oauth/introspect`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    ...authorizationMetadata(settings, requestObjects),
    grant_types_supported: grants.map(({ type }) => type),
    subject_types_supported: ["public", "pairwise"],
    token_endpoint_auth_methods_supported: clientAuthenticationMethods,
    token_endpoint_auth_signing_alg_values_supported: clientSigningAlgorithms,
    id_token_signing_alg_values_supported: idTokenAlgorithms,
    userinfo_signing_alg_values_supported: idTokenAlgorithms,
    // RFC 8414 §2, of those that authenticate: what anybody may claim to be may not introspect.
    revocation_endpoint_auth_methods_supported: clientAuthenticationMethods,
    revocation_endpoint_auth_signing_alg_values_supported: clientSigningAlgorithms,
    introspection_endpoint_auth_methods_supported: clientAuthenticationMethods.filter(
      (one) => one !== "none",
    ),
    introspection_endpoint_auth_signing_alg_values_supported: clientSigningAlgorithms,
    // RFC 9701 §7
    introspection_signing_alg_values_supported: idTokenAlgorithms,
    // RFC 9449 §5.1
    dpop_signing_alg_values_supported: ["ES256", "EdDSA", "Ed25519"],
    acr_values_supported: Object.values(acrValues),
    claims_supported: [
      "sub",
      "iss",
      "aud",
      "exp",
      "iat",
      "auth_time",
      "acr",
      "amr",
      "nonce",
      "sid",
      "at_hash",
      "preferred_username",
      "name",
      "email",
      "email_verified",
    ],
    ...registrationMetadata(settings),
    // RFC 9207 §3
    authorization_response_iss_parameter_supported: true,
    // Ours: where guards follow revocations.
    keyturn_revocation_feed: `${issuer}/revocations`,
  };

  async function handle(): Promise<Answer> {
    const scopes_supported = [...new Set([...standardScopes, ...(await resources.scopes())])];
    return { status: 200, json: { ...fixed, scopes_supported } };
  }

  const documents = [
    ["/.well-known/openid-configuration", "OpenID Connect Discovery 1.0 §4"],
    ["/.well-known/oauth-authorization-server", "RFC 8414 §3"],
  ] as const;
  return documents.map(([path, source]) => ({
    method: "GET",
    path,
    summary: `Metadata by which clients and guards find everything else, ${source}`,
    access: "public",
    success: { status: 200, about: "The metadata", type: "application/json" },
    refusals: [],
    cache: `public, max-age=${settings.jwksCacheSeconds}`,
    anyOrigin: true,
    handle,
  }));
}
