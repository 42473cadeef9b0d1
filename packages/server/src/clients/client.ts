import type {
  clientAuthenticationMethods,
  clientTypes,
  grantTypes,
  idTokenAlgorithms,
} from "../config-clients.ts";

export type ClientType = (typeof clientTypes)[number];
export type ClientAuthenticationMethod = (typeof clientAuthenticationMethods)[number];
export type GrantType = (typeof grantTypes)[number];
export type IdTokenAlgorithm = (typeof idTokenAlgorithms)[number];

/**
 * What a client says of itself, by the names of RFC 7591 §2 and of OpenID Connect Registration §2 and its neighbours,
 * with the defaults filled in. What begins with `keyturn_` is ours.
 */
export interface ClientMetadata {
  readonly redirect_uris: readonly string[];
  readonly post_logout_redirect_uris: readonly string[];
  readonly token_endpoint_auth_method: ClientAuthenticationMethod;
  readonly token_endpoint_auth_signing_alg?: string | undefined;
  readonly grant_types: readonly GrantType[];
  readonly response_types: readonly "code"[];
  readonly application_type: "web" | "native";
  /** What it may ask for, separated by spaces. Undefined: every scope that is not marked as given by the operator. */
  readonly scope?: string | undefined;
  readonly contacts?: readonly string[] | undefined;
  readonly client_uri?: string | undefined;
  readonly logo_uri?: string | undefined;
  readonly policy_uri?: string | undefined;
  readonly tos_uri?: string | undefined;
  readonly software_id?: string | undefined;
  readonly software_version?: string | undefined;
  readonly jwks?: { readonly keys: readonly Readonly<Record<string, unknown>>[] } | undefined;
  readonly jwks_uri?: string | undefined;
  readonly subject_type: "public" | "pairwise";
  readonly sector_identifier_uri?: string | undefined;
  readonly id_token_signed_response_alg: IdTokenAlgorithm;
  readonly userinfo_signed_response_alg?: IdTokenAlgorithm | undefined;
  /** RFC 9701 §6. */
  readonly introspection_signed_response_alg?: IdTokenAlgorithm | undefined;
  readonly default_max_age?: number | undefined;
  readonly require_auth_time: boolean;
  readonly default_acr_values?: readonly string[] | undefined;
  readonly initiate_login_uri?: string | undefined;
  readonly backchannel_logout_uri?: string | undefined;
  readonly backchannel_logout_session_required: boolean;
  /** RFC 9126 §6. */
  readonly require_pushed_authorization_requests: boolean;
  /** RFC 9449 §5.2. */
  readonly dpop_bound_access_tokens: boolean;
  /** RFC 9101 §10.5. */
  readonly require_signed_request_object: boolean;
  readonly request_object_signing_alg?: string | undefined;
  /** For `resource`: the identifiers by which clients ask for tokens for it, RFC 8707 §2. */
  readonly keyturn_resources: readonly string[];
  /** FAPI 2.0 Security Profile §5.3: pushed requests, DPoP, private_key_jwt, short codes, no routine rotation. */
  readonly keyturn_profile: "default" | "fapi2";
  /** Whether the operator vouches for it, so that nobody is asked for consent. */
  readonly keyturn_trusted: boolean;
  /** False: its refresh tokens are not replaced at each use. Not for public clients, RFC 9700 §2.2.2. */
  readonly keyturn_refresh_rotation?: boolean | undefined;
  /** RFC 8693: for what it may get tokens in exchange for its user's, besides what those are for already. */
  readonly keyturn_exchange_resources?: readonly string[] | undefined;
  /** RFC 8693 §1.1: whether tokens that it gets in exchange may keep silent about who acts. */
  readonly keyturn_may_impersonate?: boolean | undefined;
  /** RFC 10070 asks for the issuer as the only audience of an assertion; older clients send the token endpoint. */
  readonly keyturn_assertion_audience: "issuer" | "endpoint_too";
}

/** Who registered a client: the operator, the settings, itself (RFC 7591), or it is a document at its id's address. */
export type ClientOrigin = "operator" | "settings" | "dynamic" | "document";

export interface Client {
  readonly id: string;
  readonly name: string;
  readonly type: ClientType;
  readonly origin: ClientOrigin;
  readonly metadata: ClientMetadata;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly updatedAt: number;
  /** When it last got a token, to the day. */
  readonly lastUsedAt: number | undefined;
  /** When it is forgotten if nobody uses it; undefined: never. */
  readonly expiresAt: number | undefined;
  /**
   * For one that nobody here has registered, what the settings let it ask for, whatever it has said of itself: what it
   * said is no more than what it asks for when it does not say. Undefined: every scope.
   */
  readonly mayAsk?: readonly string[] | undefined;
}

/** Whether nobody here has registered it. */
export const isStranger = ({ origin }: Pick<Client, "origin">): boolean =>
  origin === "dynamic" || origin === "document";

/** Whether it can keep a secret or a key: RFC 6749 §2.1. */
export const isConfidential = ({ metadata }: Pick<Client, "metadata">): boolean =>
  metadata.token_endpoint_auth_method !== "none";
