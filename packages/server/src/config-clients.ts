import { z } from "zod";
import { limits } from "./primitives/limits.ts";
import { isLoopback } from "./primitives/loopback.ts";

/**
 * The words in which clients are described, in settings, at the terminal and over HTTP alike: RFC 7591 §2, OpenID
 * Connect Registration §2 and its neighbours. What begins with `keyturn_` is ours. The rules among them, and the
 * defaults, are in clients/client-metadata.ts.
 */

/**
 * What a client is. `web`: runs on a server and keeps a secret. `spa`: runs in a browser. `native`: runs on a device.
 * `service`: acts for itself, without a person. `resource`: an API that accepts tokens and follows the feed.
 */
export const clientTypes = ["web", "spa", "native", "service", "resource"] as const;

/** How a client authenticates at the token endpoint: RFC 7591 §2, RFC 7523 §2.2. */
export const clientAuthenticationMethods = [
  "client_secret_basic",
  "client_secret_post",
  "private_key_jwt",
  "none",
] as const;

export const grantTypes = [
  "authorization_code",
  "refresh_token",
  "client_credentials",
  "urn:ietf:params:oauth:grant-type:device_code",
  "urn:ietf:params:oauth:grant-type:token-exchange",
] as const;

/** Algorithms of what a client signs: assertions and request objects. */
export const clientSigningAlgorithms = ["ES256", "EdDSA", "Ed25519", "RS256", "PS256", "ES384"] as const;
/** Algorithms of ID tokens and signed answers, for a client to choose. */
export const idTokenAlgorithms = ["RS256", "ES256", "EdDSA"] as const;

/** RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;

/** An address that people or this server are sent to: https, or http on this machine while developing. */
const webAddress = z
  .string()
  .max(limits.redirectUriCharactersMax)
  .refine((text) => {
    const url = URL.parse(text);
    if (url === null || url.username !== "" || url.password !== "" || !text.isWellFormed()) return false;
    return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
  }, "takes an https address");
/** One that this server itself calls. OpenID Connect Back-Channel Logout §2.2: "MUST NOT include a fragment component". */
const calledAddress = webAddress.refine((text) => !text.includes("#"), "takes an address without a fragment");
const shortText = z
  .string()
  .max(limits.nameCharactersMax)
  .refine(
    (text) => text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(text),
    "takes a short text",
  );
const uris = z.array(z.string()).max(limits.redirectUrisMax);
const scopeText = z
  .string()
  .max(limits.scopeCharactersMax)
  .regex(SCOPE, "takes scopes separated by one space");

export const clientMetadataFields = {
  redirect_uris: uris,
  post_logout_redirect_uris: uris,
  token_endpoint_auth_method: z.enum(clientAuthenticationMethods),
  token_endpoint_auth_signing_alg: z.enum(clientSigningAlgorithms),
  grant_types: z.array(z.enum(grantTypes)).max(grantTypes.length),
  response_types: z.array(z.literal("code")).max(1),
  application_type: z.enum(["web", "native"]),
  scope: scopeText,
  contacts: z.array(shortText).max(10),
  client_uri: webAddress,
  logo_uri: webAddress,
  policy_uri: webAddress,
  tos_uri: webAddress,
  software_id: shortText,
  software_version: shortText,
  jwks: z.object({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(limits.clientKeysMax) }),
  jwks_uri: calledAddress,
  subject_type: z.enum(["public", "pairwise"]),
  sector_identifier_uri: calledAddress,
  id_token_signed_response_alg: z.enum(idTokenAlgorithms),
  userinfo_signed_response_alg: z.enum(idTokenAlgorithms),
  introspection_signed_response_alg: z.enum(idTokenAlgorithms),
  default_max_age: z.number().int().min(0).max(limits.maxAgeSecondsMax),
  require_auth_time: z.boolean(),
  default_acr_values: z.array(shortText).max(10),
  initiate_login_uri: webAddress,
  backchannel_logout_uri: calledAddress,
  backchannel_logout_session_required: z.boolean(),
  require_pushed_authorization_requests: z.boolean(),
  dpop_bound_access_tokens: z.boolean(),
  require_signed_request_object: z.boolean(),
  request_object_signing_alg: z.enum(clientSigningAlgorithms),
};

/** What only the operator may say of a client. */
const operatorFields = {
  keyturn_resources: z.array(z.string().max(limits.resourceCharactersMax)).max(limits.resourcesPerClientMax),
  keyturn_profile: z.enum(["default", "fapi2"]),
  keyturn_trusted: z.boolean(),
  keyturn_assertion_audience: z.enum(["issuer", "endpoint_too"]),
  keyturn_refresh_rotation: z.boolean(),
  keyturn_exchange_resources: z
    .array(
      z
        .string()
        .max(limits.resourceCharactersMax)
        .regex(/^[\x21-\x7e]+$/),
    )
    .max(limits.resourcesPerClientMax),
  keyturn_may_impersonate: z.boolean(),
};

export const operatorMetadataSchema = z
  .strictObject({ ...clientMetadataFields, ...operatorFields })
  .partial();

export type ClientMetadataInput = z.input<typeof operatorMetadataSchema>;

/** RFC 6749 Appendix A.2: visible ASCII characters. Enough of them to need no slow hash. */
const givenSecret = z
  .string()
  .min(32)
  .max(limits.givenSecretCharactersMax)
  .regex(/^[\x21-\x7e]+$/);

/** A client of the settings. */
export const settingsClientSchema = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, "takes 1 to 64 of a-z 0-9 . _ -"),
  name: shortText.min(1),
  type: z.enum(clientTypes),
  /** The environment variable that holds its secret. For a settings file. */
  secretVariable: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,199}$/, "takes the name of an environment variable")
    .optional(),
  /** The secret itself. For settings that a program makes, never for a file. */
  secret: givenSecret.optional(),
  metadata: operatorMetadataSchema.default({}),
});

export type SettingsClient = z.output<typeof settingsClientSchema>;
