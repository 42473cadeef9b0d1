import { z } from "zod";
import { isLoopback } from "../config-schema.ts";
import { limits } from "../primitives/limits.ts";
import {
  type ClientMetadata,
  type ClientType,
  clientAuthenticationMethods,
  clientSigningAlgorithms,
  type GrantType,
  grantTypes,
  idTokenAlgorithms,
} from "./client.ts";
import { redirectUriProblem } from "./redirect-uris.ts";

/** RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`. */
export const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/;

/** An address that people or this server are sent to: https, or http on this machine while developing. */
const webAddress = z
  .string()
  .max(limits.redirectUriCharactersMax)
  .refine((text) => {
    const url = URL.parse(text);
    if (url === null || url.username !== "" || url.password !== "" || !text.isWellFormed()) return false;
    return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
  }, "takes an https address");
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

const fields = {
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
  jwks_uri: webAddress,
  subject_type: z.enum(["public", "pairwise"]),
  sector_identifier_uri: webAddress,
  id_token_signed_response_alg: z.enum(idTokenAlgorithms),
  userinfo_signed_response_alg: z.enum(idTokenAlgorithms),
  introspection_signed_response_alg: z.enum(idTokenAlgorithms),
  default_max_age: z.number().int().min(0).max(limits.maxAgeSecondsMax),
  require_auth_time: z.boolean(),
  default_acr_values: z.array(shortText).max(10),
  initiate_login_uri: webAddress,
  backchannel_logout_uri: webAddress,
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

// RFC 7591 §2: "The authorization server MUST ignore any client metadata sent by the client that it does not understand".
const registrationSchema = z.object(fields).partial();
const operatorSchema = z.strictObject({ ...fields, ...operatorFields }).partial();

export type ClientMetadataInput = z.input<typeof operatorSchema>;

export type MetadataChecked =
  | { readonly outcome: "good"; readonly metadata: ClientMetadata }
  | {
      readonly outcome: "invalid";
      /** RFC 7591 §3.2.2. */
      readonly code: "invalid_redirect_uri" | "invalid_client_metadata";
      readonly field: string;
      /** A sentence. */
      readonly problem: string;
    };

const invalid = (field: string, problem: string): MetadataChecked => ({
  outcome: "invalid",
  code: field === "redirect_uris" ? "invalid_redirect_uri" : "invalid_client_metadata",
  field,
  problem: `${field} ${problem}.`,
});

/** The one copy of the rules for what a client may say of itself, whoever registers it, by whichever door. */
export function checkClientMetadata(given: {
  readonly type: ClientType;
  readonly input: unknown;
  /** Whether the operator says it: only then count the members that are ours, and is a member unknown here a mistake. */
  readonly byOperator: boolean;
}): MetadataChecked {
  const { type, input, byOperator } = given;
  const parsed = (byOperator ? operatorSchema : registrationSchema).safeParse(input);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = String(
      issue?.path[0] ?? (issue?.code === "unrecognized_keys" ? issue.keys[0] : "metadata"),
    );
    return invalid(
      field,
      issue?.code === "unrecognized_keys" ? "is unknown here" : (issue?.message ?? "is not good"),
    );
  }
  const metadata = withDefaults(type, parsed.data as ClientMetadataInput);
  return problemOf(type, metadata) ?? { outcome: "good", metadata };
}

/** RFC 7591 §2, where a member is left out; for our own types what each of them is for. */
function withDefaults(type: ClientType, input: ClientMetadataInput): ClientMetadata {
  const isFapi = input.keyturn_profile === "fapi2";
  const method = input.token_endpoint_auth_method ?? (isFapi ? "private_key_jwt" : defaultMethods[type]);
  return {
    ...input,
    redirect_uris: input.redirect_uris ?? [],
    post_logout_redirect_uris: input.post_logout_redirect_uris ?? [],
    token_endpoint_auth_method: method,
    grant_types: input.grant_types ?? defaultGrants[type],
    response_types: input.response_types ?? (isForPeople(type) ? ["code"] : []),
    application_type: input.application_type ?? (type === "native" ? "native" : "web"),
    subject_type: input.subject_type ?? "public",
    // OpenID Connect Registration §2: "The default, if omitted, is RS256."
    id_token_signed_response_alg: input.id_token_signed_response_alg ?? (isFapi ? "ES256" : "RS256"),
    require_auth_time: input.require_auth_time ?? false,
    backchannel_logout_session_required: input.backchannel_logout_session_required ?? false,
    require_pushed_authorization_requests: isFapi || (input.require_pushed_authorization_requests ?? false),
    dpop_bound_access_tokens: isFapi || (input.dpop_bound_access_tokens ?? false),
    require_signed_request_object: input.require_signed_request_object ?? false,
    keyturn_resources: input.keyturn_resources ?? [],
    keyturn_profile: input.keyturn_profile ?? "default",
    keyturn_trusted: input.keyturn_trusted ?? false,
    keyturn_assertion_audience: input.keyturn_assertion_audience ?? "issuer",
  };
}

const defaultMethods = {
  web: "client_secret_basic",
  spa: "none",
  native: "none",
  service: "client_secret_basic",
  resource: "client_secret_basic",
} as const satisfies Record<ClientType, ClientMetadata["token_endpoint_auth_method"]>;

const defaultGrants = {
  web: ["authorization_code", "refresh_token"],
  spa: ["authorization_code", "refresh_token"],
  native: ["authorization_code", "refresh_token"],
  service: ["client_credentials"],
  resource: [],
} as const satisfies Record<ClientType, readonly GrantType[]>;

const isForPeople = (type: ClientType): boolean => type === "web" || type === "spa" || type === "native";

function problemOf(type: ClientType, metadata: ClientMetadata): MetadataChecked | undefined {
  for (const uri of metadata.redirect_uris) {
    const problem = redirectUriProblem(uri, type);
    if (problem !== undefined) return invalid("redirect_uris", problem);
  }
  for (const uri of metadata.post_logout_redirect_uris) {
    const problem = redirectUriProblem(uri, type);
    if (problem !== undefined) return invalid("post_logout_redirect_uris", problem);
  }
  return (
    grantsProblem(type, metadata) ??
    keysProblem(metadata) ??
    resourcesProblem(type, metadata) ??
    fapiProblem(metadata)
  );
}

function grantsProblem(type: ClientType, metadata: ClientMetadata): MetadataChecked | undefined {
  const { grant_types: grants, response_types, redirect_uris, token_endpoint_auth_method: method } = metadata;
  const usesCodes = grants.includes("authorization_code");
  // RFC 7591 §2.1: grant_types and response_types go together.
  if (usesCodes !== response_types.includes("code"))
    return invalid("response_types", "and grant_types do not go together");
  if (usesCodes && redirect_uris.length === 0)
    return invalid("redirect_uris", "must name at least one address");
  // RFC 6749 §4.4: "The client credentials grant type MUST only be used by confidential clients."
  if (grants.includes("client_credentials") && method === "none") {
    return invalid("token_endpoint_auth_method", "must not be none for client_credentials");
  }
  if ((type === "service" || type === "resource") && usesCodes)
    return invalid("grant_types", `of a ${type} have no people in them`);
  return undefined;
}

function keysProblem({
  jwks,
  jwks_uri,
  token_endpoint_auth_method: method,
}: ClientMetadata): MetadataChecked | undefined {
  // RFC 7591 §2: "The jwks_uri and jwks parameters MUST NOT both be present in the same request or response."
  if (jwks !== undefined && jwks_uri !== undefined) return invalid("jwks", "and jwks_uri exclude each other");
  if (method === "private_key_jwt" && jwks === undefined && jwks_uri === undefined) {
    return invalid("jwks", "or jwks_uri must be there for private_key_jwt");
  }
  // A private key that was sent by mistake must not be kept, let alone shown again.
  const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "k", "priv"];
  if (jwks?.keys.some((key) => secretMembers.some((member) => member in key))) {
    return invalid("jwks", "holds a private or symmetric key: send the public key, and make a new pair");
  }
  return undefined;
}

/** RFC 8707 §2: "Its value MUST be an absolute URI […] MUST NOT include a fragment component." */
export function isResourceIndicator(text: string): boolean {
  return (
    text.length <= limits.resourceCharactersMax &&
    URL.canParse(text) &&
    // Of the control characters PostgreSQL takes no NUL, and a URI has none at all.
    !/[\s\p{Cc}#\\]/u.test(text) &&
    text.isWellFormed()
  );
}

function resourcesProblem(
  type: ClientType,
  { keyturn_resources: resources }: ClientMetadata,
): MetadataChecked | undefined {
  if (resources.length > 0 && type !== "resource")
    return invalid("keyturn_resources", "are for the type resource");
  if (!resources.every(isResourceIndicator))
    return invalid("keyturn_resources", "takes absolute URIs without a fragment");
  return undefined;
}

/** FAPI 2.0 Security Profile §5.3.2, §5.3.3. */
function fapiProblem(metadata: ClientMetadata): MetadataChecked | undefined {
  if (metadata.keyturn_profile !== "fapi2") return undefined;
  if (metadata.token_endpoint_auth_method !== "private_key_jwt") {
    return invalid("token_endpoint_auth_method", "must be private_key_jwt in the profile fapi2");
  }
  const weak =
    metadata.id_token_signed_response_alg === "RS256" || metadata.token_endpoint_auth_signing_alg === "RS256";
  return weak
    ? invalid("id_token_signed_response_alg", "takes ES256 or EdDSA in the profile fapi2")
    : undefined;
}
