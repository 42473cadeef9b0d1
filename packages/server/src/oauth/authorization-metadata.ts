import { responseModes } from "./authorization-answer.ts";
import { promptValues } from "./authorization-parameters.ts";

/** What discovery says of the authorization endpoint. RFC 8414 §2, OpenID Connect Discovery §3 and where it is named. */
export const authorizationMetadata = (issuer: string) => ({
  authorization_endpoint: `${issuer}/oauth/authorize`,
  // RFC 9126 §5
  pushed_authorization_request_endpoint: `${issuer}/oauth/par`,
  require_pushed_authorization_requests: false,
  response_types_supported: ["code"],
  response_modes_supported: responseModes,
  code_challenge_methods_supported: ["S256"],
  // RFC 9207 §3
  authorization_response_iss_parameter_supported: true,
  prompt_values_supported: promptValues,
  ui_locales_supported: ["en"],
  // acr and sub are looked at; who asks for another claim alone by it would wait in vain.
  claims_parameter_supported: false,
  request_parameter_supported: false,
  // The default is true. References that were pushed are another thing (RFC 9126 §5).
  request_uri_parameter_supported: false,
});
