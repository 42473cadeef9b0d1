import type { ResolvedSettings } from "../config.ts";
import { clientSigningAlgorithms } from "../config-clients.ts";
import { responseModes } from "./authorization-answer.ts";
import { promptValues } from "./authorization-parameters.ts";
import type { RequestObjects } from "./request-objects.ts";

/** What discovery says of the authorization endpoint. RFC 8414 §2, OpenID Connect Discovery §3 and where it is named. */
export const authorizationMetadata = (
  { issuer, registration }: Pick<ResolvedSettings, "issuer" | "registration">,
  { isSupported }: Pick<RequestObjects, "isSupported">,
) => ({
  authorization_endpoint: `${issuer}/oauth/authorize`,
  // RFC 9126 §5
  pushed_authorization_request_endpoint: `${issuer}/oauth/par`,
  require_pushed_authorization_requests: false,
  response_types_supported: ["code"],
  response_modes_supported: responseModes,
  code_challenge_methods_supported: ["S256"],
  // RFC 9207 §3
  authorization_response_iss_parameter_supported: true,
  // Initiating User Registration 1.0 §4.1.1: `create` where there is a form for it. Elsewhere who asks for it signs in.
  prompt_values_supported: promptValues.filter((value) => value !== "create" || registration === "open"),
  ui_locales_supported: ["en"],
  // acr and sub are looked at; who asks for another claim alone by it would wait in vain.
  claims_parameter_supported: false,
  // RFC 9101 §10.5
  request_parameter_supported: isSupported,
  ...(isSupported && { request_object_signing_alg_values_supported: clientSigningAlgorithms }),
  require_signed_request_object: false,
  // The default is true. References that were pushed are another thing (RFC 9126 §5).
  request_uri_parameter_supported: false,
});

/** What an authorization request may say: RFC 6749 §4.1.1 and what has come since. For the documentation. */
export const authorizationParameters = {
  response_type: { about: "code" },
  client_id: { about: "The client" },
  redirect_uri: { about: "Where the answer goes; may be left out where exactly one is registered" },
  scope: { about: "What is asked for, separated by spaces" },
  state: { about: "Comes back with the answer" },
  response_mode: { about: "query (the default) or form_post" },
  code_challenge: { about: "RFC 7636 §4.2; required of every client" },
  code_challenge_method: { about: "S256" },
  nonce: { about: "Comes back in the ID token" },
  resource: { about: "An API that tokens are to be for, RFC 8707; may be repeated" },
  dpop_jkt: { about: "The key that the code is bound to, RFC 9449 §10" },
  prompt: { about: "none, or some of login, consent, select_account, create" },
  max_age: { about: "Seconds since the person last proved who they are" },
  acr_values: { about: "How sure it has to be, in the order of preference" },
  claims: { about: "OpenID Connect Core §5.5: acr and sub of id_token are looked at" },
  id_token_hint: { about: "An ID token of the person that it is about" },
  login_hint: { about: "Stands in the form for signing in" },
  ui_locales: { about: "Languages; the pages speak English" },
  request: { about: "All of it as a JWT that the client has signed, RFC 9101" },
  request_uri: { about: "The reference that POST /oauth/par gave; then nothing else counts" },
} as const;
