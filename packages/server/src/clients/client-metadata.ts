import { z } from "zod";
import { type ClientMetadataInput, clientMetadataFields, operatorMetadataSchema } from "../config-clients.ts";
import type { ClientMetadata, ClientType, GrantType } from "./client.ts";
import { type MetadataProblem, problemOf } from "./metadata-rules.ts";

export type { ClientMetadataInput };

// RFC 7591 §2: "The authorization server MUST ignore any client metadata sent by the client that it does not understand".
const registrationSchema = z.object(clientMetadataFields).partial();

export interface InvalidMetadata {
  readonly outcome: "invalid";
  /** RFC 7591 §3.2.2. */
  readonly code: "invalid_redirect_uri" | "invalid_client_metadata";
  readonly field: string;
  /** A sentence. */
  readonly problem: string;
}

export type MetadataChecked =
  | { readonly outcome: "good"; readonly metadata: ClientMetadata }
  | InvalidMetadata;

export const invalidMetadata = ({ field, problem }: MetadataProblem): InvalidMetadata => ({
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
  const parsed = (byOperator ? operatorMetadataSchema : registrationSchema).safeParse(input);
  if (!parsed.success) return invalidMetadata(schemaProblem(parsed.error));
  const metadata = withDefaults(type, parsed.data as ClientMetadataInput);
  const problem = problemOf(type, metadata);
  return problem === undefined ? { outcome: "good", metadata } : invalidMetadata(problem);
}

function schemaProblem(error: z.ZodError): MetadataProblem {
  const [issue] = error.issues;
  if (issue?.code === "unrecognized_keys") {
    return { field: String(issue.keys[0] ?? "metadata"), problem: "is unknown here" };
  }
  const said = issue?.message ?? "is not good";
  const problem = said.startsWith("takes") ? said : `is not good: ${said.toLowerCase()}`;
  return { field: String(issue?.path[0] ?? "metadata"), problem };
}

/** RFC 7591 §2, where a member is left out; for our own types what each of them is for. */
function withDefaults(type: ClientType, input: ClientMetadataInput): ClientMetadata {
  const isFapi = input.keyturn_profile === "fapi2";
  const method = input.token_endpoint_auth_method ?? (isFapi ? "private_key_jwt" : defaultMethods[type]);
  const grants: readonly GrantType[] = input.grant_types ?? defaultGrants[type];
  return {
    ...input,
    redirect_uris: input.redirect_uris ?? [],
    post_logout_redirect_uris: input.post_logout_redirect_uris ?? [],
    token_endpoint_auth_method: method,
    grant_types: grants,
    response_types: input.response_types ?? (grants.includes("authorization_code") ? ["code"] : []),
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
