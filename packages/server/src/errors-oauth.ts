/** The refusals of the OAuth and OpenID Connect endpoints: part of the catalogue in errors.ts. */
export const oauthRefusals = {
  invalid_grant: {
    status: 400,
    sentence:
      "The code, token or assertion is not good: wrong, used, expired, or another client's. Begin the authorization anew.",
    source: "RFC 6749 §5.2",
  },
  unauthorized_client: {
    status: 400,
    sentence: "This client is not registered for that grant or response type.",
    source: "RFC 6749 §5.2",
  },
  unsupported_grant_type: {
    status: 400,
    sentence: "There is no such grant type here; see grant_types_supported in the discovery document.",
    source: "RFC 6749 §5.2",
  },
  unsupported_response_type: {
    status: 400,
    sentence: "Ask for response_type=code, with PKCE.",
    source: "RFC 6749 §4.1.2.1",
  },
  invalid_scope: {
    status: 400,
    sentence: "None of these scopes may be granted to this client.",
    source: "RFC 6749 §5.2",
  },
  invalid_target: {
    status: 400,
    sentence: "The resource is unknown here, malformed, or was not granted.",
    source: "RFC 8707 §2",
  },
  access_denied: {
    status: 400,
    sentence: "The person, or the operator, has said no.",
    source: "RFC 6749 §4.1.2.1",
  },
  login_required: {
    status: 400,
    sentence: "Somebody has to sign in, and prompt=none forbids to ask.",
    source: "OpenID Connect Core §3.1.2.6",
  },
  consent_required: {
    status: 400,
    sentence: "The person has to agree, and prompt=none forbids to ask.",
    source: "OpenID Connect Core §3.1.2.6",
  },
  interaction_required: {
    status: 400,
    sentence: "The person has to be asked something, and prompt=none forbids to.",
    source: "OpenID Connect Core §3.1.2.6",
  },
  account_selection_required: {
    status: 400,
    sentence: "The person has to choose an account, and prompt=none forbids to ask.",
    source: "OpenID Connect Core §3.1.2.6",
  },
  unmet_authentication_requirements: {
    status: 400,
    sentence: "The person cannot prove who they are in the way that was asked for.",
    source: "OpenID Connect Core Unmet Authentication Requirements 1.0 §2",
  },
  invalid_request_uri: {
    status: 400,
    sentence: "The request_uri is unknown, used, expired, or another client's. Push the request again.",
    source: "RFC 9126 §2.3, OpenID Connect Core §3.1.2.6",
  },
  invalid_request_object: {
    status: 400,
    sentence: "The request object is not good: its signature, its time, or what it says.",
    source: "RFC 9101 §7",
  },
  request_not_supported: {
    status: 400,
    sentence: "Request objects are not taken from this client.",
    source: "OpenID Connect Core §3.1.2.6",
  },
  request_uri_not_supported: {
    status: 400,
    sentence:
      "Requests are not fetched from elsewhere. Push the request, and send the request_uri that comes back.",
    source: "OpenID Connect Core §3.1.2.6",
  },
  invalid_authorization_details: {
    status: 400,
    sentence: "The authorization details are malformed, or of a type that is unknown here.",
    source: "RFC 9396 §5",
  },
  authorization_pending: {
    status: 400,
    sentence: "The person has not decided yet. Ask again after the interval.",
    source: "RFC 8628 §3.5",
  },
  slow_down: {
    status: 400,
    sentence: "That was too soon. Wait five seconds more between requests from now on.",
    source: "RFC 8628 §3.5",
  },
  expired_token: {
    status: 400,
    sentence: "The device code has expired. Begin anew.",
    source: "RFC 8628 §3.5",
  },
  unsupported_token_type: {
    status: 400,
    sentence: "Tokens of this type cannot be revoked here.",
    source: "RFC 7009 §2.2.1",
  },
  invalid_redirect_uri: {
    status: 400,
    sentence: "A redirect URI is not good for this kind of client.",
    source: "RFC 7591 §3.2.2",
  },
  unapproved_software_statement: {
    status: 400,
    sentence: "No software statement is accepted here. Register without one.",
    source: "RFC 7591 §3.2.2",
  },
  invalid_client_metadata: {
    status: 400,
    sentence: "The client's metadata is not good.",
    source: "RFC 7591 §3.2.2",
  },
} as const;
