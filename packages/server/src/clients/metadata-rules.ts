import { limits } from "../primitives/limits.ts";
import { isLoopback } from "../primitives/loopback.ts";
import type { ClientMetadata, ClientType } from "./client.ts";
import { redirectUriProblem } from "./redirect-uris.ts";

/** What is wrong with which member; with the member's name in front it is a sentence. */
export interface MetadataProblem {
  readonly field: string;
  readonly problem: string;
}

const problem = (field: string, text: string): MetadataProblem => ({ field, problem: text });

type Rule = (type: ClientType, metadata: ClientMetadata) => MetadataProblem | undefined;

/** What is wrong among the members of a client's metadata, each of which is good by itself. */
export function problemOf(type: ClientType, metadata: ClientMetadata): MetadataProblem | undefined {
  for (const rule of rules) {
    const found = rule(type, metadata);
    if (found !== undefined) return found;
  }
  return undefined;
}

const addresses: Rule = (type, metadata) => {
  for (const field of ["redirect_uris", "post_logout_redirect_uris"] as const) {
    for (const uri of metadata[field]) {
      const found = redirectUriProblem(uri, type);
      if (found !== undefined) return problem(field, found);
    }
  }
  return undefined;
};

const grants: Rule = (type, metadata) => {
  const { grant_types, response_types, redirect_uris, token_endpoint_auth_method: method } = metadata;
  const usesCodes = grant_types.includes("authorization_code");
  if ((type === "service" || type === "resource") && usesCodes)
    return problem("grant_types", `of a ${type} have no people in them`);
  // RFC 7591 §2.1: grant_types and response_types go together.
  if (usesCodes !== response_types.includes("code"))
    return problem("response_types", "and grant_types do not go together");
  // RFC 7591 §2: "clients using flows with redirection MUST register their redirection URI values."
  if (usesCodes && redirect_uris.length === 0)
    return problem("redirect_uris", "must name at least one address");
  // RFC 6749 §4.4: "The client credentials grant type MUST only be used by confidential clients."
  if (grant_types.includes("client_credentials") && method === "none") {
    return problem("token_endpoint_auth_method", "must not be none for client_credentials");
  }
  return undefined;
};

const authentication: Rule = (type, { token_endpoint_auth_method: method }) => {
  // RFC 6749 §2.1: what runs in a browser is "incapable of maintaining the confidentiality" of a secret.
  if (type === "spa" && (method === "client_secret_basic" || method === "client_secret_post"))
    return problem("token_endpoint_auth_method", "must be none: what runs in a browser keeps no secret");
  // Who reads the feed and asks about tokens has to say who it is.
  if ((type === "resource" || type === "service") && method === "none")
    return problem("token_endpoint_auth_method", `of a ${type} must not be none`);
  return undefined;
};

/** RFC 7517 §4, RFC 7518 §6, RFC 8037 §2: members that must never be sent. */
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
/** Characters of base64url for 2048 bits. */
const RSA_CHARACTERS_MIN = 341;

const keys: Rule = (_type, metadata) => {
  const { jwks, jwks_uri, token_endpoint_auth_method: method } = metadata;
  // RFC 7591 §2: "The jwks_uri and jwks parameters MUST NOT both be present in the same request or response."
  if (jwks !== undefined && jwks_uri !== undefined) return problem("jwks", "and jwks_uri exclude each other");
  const hasKeys = jwks !== undefined || jwks_uri !== undefined;
  if (method === "private_key_jwt" && !hasKeys)
    return problem("jwks", "or jwks_uri must be there for private_key_jwt");
  if (metadata.require_signed_request_object && !hasKeys)
    return problem("jwks", "or jwks_uri must be there for request objects");
  const all = jwks?.keys ?? [];
  // A private key that was sent by mistake must not be kept, let alone shown again.
  if (all.some((key) => key.kty === "oct" || PRIVATE_MEMBERS.some((member) => member in key)))
    return problem("jwks", "holds a private or symmetric key: send the public key, and make a new pair");
  // RFC 7517 §4.1: "This member MUST be present in a JWK."
  if (all.some((key) => typeof key.kty !== "string")) return problem("jwks", "holds a key without kty");
  // RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used".
  if (all.some(({ kty, n }) => kty === "RSA" && String(n).length < RSA_CHARACTERS_MIN))
    return problem("jwks", "holds an RSA key of fewer than 2048 bits");
  return undefined;
};

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

const resources: Rule = (type, { keyturn_resources: identifiers }) => {
  if (identifiers.length > 0 && type !== "resource")
    return problem("keyturn_resources", "are for the type resource");
  if (!identifiers.every(isResourceIndicator))
    return problem("keyturn_resources", "takes absolute URIs without a fragment");
  if (new Set(identifiers).size !== identifiers.length)
    return problem("keyturn_resources", "names one twice");
  return undefined;
};

/**
 * OpenID Connect Core §8.1: "If there are multiple hostnames in the registered redirect_uris, the Client MUST register
 * a sector_identifier_uri." Addresses of this machine and schemes of an application's own are no host of anybody's:
 * many clients have the same, which would be called alike.
 */
const pairwise: Rule = (type, metadata) => {
  if (metadata.subject_type !== "pairwise" || metadata.sector_identifier_uri !== undefined) return undefined;
  const urls = metadata.redirect_uris.map((uri) => new URL(uri));
  if (
    type === "native" &&
    urls.some(({ protocol, hostname }) => protocol !== "https:" || isLoopback(hostname))
  )
    return problem("sector_identifier_uri", "must be there for pairwise subjects of a native application");
  if (new Set(urls.map(({ host }) => host)).size > 1)
    return problem("sector_identifier_uri", "must be there for pairwise subjects and several hosts");
  return undefined;
};

/** FAPI 2.0 Security Profile §5.4.1. */
const FAPI_ALGORITHMS: ReadonlySet<string> = new Set(["PS256", "ES256", "EdDSA", "Ed25519"]);
const SIGNED_FOR_A_CLIENT = [
  "id_token_signed_response_alg",
  "userinfo_signed_response_alg",
  "introspection_signed_response_alg",
  "token_endpoint_auth_signing_alg",
  "request_object_signing_alg",
] as const;

/** FAPI 2.0 Security Profile §5.3.2, §5.3.3. */
const fapi: Rule = (type, metadata) => {
  if (metadata.keyturn_profile !== "fapi2") return undefined;
  // §5.3.2.1: "shall only support confidential clients"
  if (metadata.token_endpoint_auth_method !== "private_key_jwt")
    return problem("token_endpoint_auth_method", "must be private_key_jwt in the profile fapi2");
  // §5.3.2.1: "shall only accept its issuer identifier value […] as a string in the aud claim"
  if (metadata.keyturn_assertion_audience !== "issuer")
    return problem("keyturn_assertion_audience", "must be issuer in the profile fapi2");
  for (const field of SIGNED_FOR_A_CLIENT) {
    const algorithm = metadata[field];
    if (algorithm !== undefined && !FAPI_ALGORITHMS.has(algorithm))
      return problem(field, "takes ES256, PS256 or EdDSA in the profile fapi2");
  }
  // §5.3.2.2: no redirect URI in the clear, but for the loopback addresses of native clients.
  if (type !== "native" && metadata.redirect_uris.some((uri) => !uri.startsWith("https:")))
    return problem("redirect_uris", "takes https in the profile fapi2");
  return undefined;
};

const rules: readonly Rule[] = [addresses, grants, authentication, keys, resources, pairwise, fapi];
