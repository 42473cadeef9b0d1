import { oauthRefusals } from "./errors-oauth.ts";

/**
 * Every refusal that leaves the server over HTTP: its code, its status, its sentence for the public, and where
 * it comes from. Codes are stable: programs switch on them. Details that help an attacker stay in the log.
 */
export const refusals = {
  invalid_request: { status: 400, sentence: "The request is malformed.", source: "RFC 6749 §5.2" },
  invalid_json: { status: 400, sentence: "The body is not valid JSON.", source: "RFC 8259" },
  unsupported_media_type: {
    status: 415,
    sentence: "Send the body as JSON, with Content-Type: application/json.",
    source: "RFC 9110 §15.5.16",
  },
  body_too_large: {
    status: 413,
    sentence: "The body is larger than this endpoint takes.",
    source: "RFC 9110 §15.5.14",
  },
  headers_too_large: {
    status: 431,
    sentence:
      "The headers together are larger than this server takes. Send fewer cookies, or a smaller token.",
    source: "RFC 6585 §5",
  },
  request_timeout: {
    status: 408,
    sentence: "The request did not come to its end in time. Send it again.",
    source: "RFC 9110 §15.5.9",
  },
  not_found: {
    status: 404,
    sentence: "There is nothing here. GET / lists what there is.",
    source: "RFC 9110 §15.5.5",
  },
  method_not_allowed: {
    status: 405,
    sentence: "This address does not take that method; see the Allow header.",
    source: "RFC 9110 §15.5.6",
  },
  not_acceptable: {
    status: 406,
    sentence: "This address cannot answer in the type that the Accept header asks for.",
    source: "RFC 9110 §15.5.7",
  },
  invalid_credentials: { status: 401, sentence: "Invalid username or password", source: "DESIGN §6" },
  second_factor_required: {
    status: 401,
    sentence:
      "The password is right, and a second factor is needed: POST /login/second-factor with the ticket and one of methods.",
    source: "OWASP ASVS 5.0 §6.3.3",
  },
  second_factor_enrolment_required: {
    status: 401,
    sentence:
      "This account must have a second factor and has none: POST /login/enrolment with the ticket, then /login/second-factor with the first code.",
    source: "OWASP ASVS 5.0 §6.3.3",
  },
  invalid_ticket: {
    status: 401,
    sentence: "This sign-in is over: it was finished, took too long, or was tried too often. Begin it anew.",
    source: "NIST SP 800-63B §3.2.2",
  },
  wrong_code: {
    status: 401,
    sentence: "The code is not right, or was used already. Wait for the next one, or use another factor.",
    source: "RFC 6238 §5.2",
  },
  invalid_passkey: {
    status: 401,
    sentence: "The passkey was not accepted. Ask for a new challenge and try again, or sign in another way.",
    source: "WebAuthn Level 3 §7.2",
  },
  wrong_proof: {
    status: 403,
    sentence:
      "That does not prove who you are. Send the password, with a code if you have a second factor, or a passkey.",
    source: "RFC 9470 §4",
  },
  step_up_required: {
    status: 403,
    sentence:
      "This needs a proof of the last 15 minutes, of both factors: POST /step-up, then send it again.",
    source: "RFC 9470 §3",
  },
  too_many_attempts: {
    status: 429,
    sentence: "Too many attempts. Wait as long as Retry-After says, then try again.",
    source: "RFC 6585 §4",
  },
  missing_token: {
    status: 401,
    sentence: "Send an access token: Authorization: Bearer <token>.",
    source: "RFC 6750 §3",
  },
  invalid_token: {
    status: 401,
    sentence: "The access token is invalid, expired or revoked.",
    source: "RFC 6750 §3.1",
  },
  missing_session: {
    status: 401,
    sentence: "There is no session cookie. Sign in.",
    source: "DESIGN §6",
  },
  invalid_session: {
    status: 401,
    sentence: "The session of the cookie is over; reason says why.",
    source: "DESIGN §3",
  },
  cross_site_request: {
    status: 403,
    sentence: "This request was started by a page of another site. Nothing was done.",
    source: "Fetch Metadata §2.4",
  },
  wrong_password: {
    status: 403,
    sentence: "The current password is not right. Nothing was changed.",
    source: "OWASP ASVS 5.0 §6.2.3",
  },
  insufficient_scope: {
    status: 403,
    sentence: "The access token does not carry the right that this needs.",
    source: "RFC 6750 §3.1",
  },
  invalid_client: {
    status: 401,
    sentence: "Client authentication failed. Check the id and the secret.",
    source: "RFC 6749 §5.2",
  },
  ...oauthRefusals,
  invalid_refresh_token: {
    status: 401,
    sentence: "The refresh token is not accepted; reason says why.",
    source: "RFC 6749 §5.2, RFC 9700 §4.14",
  },
  invalid_dpop_proof: {
    status: 400,
    sentence: "The DPoP proof is not good for this request. Make a new one, by the session's key.",
    source: "RFC 9449 §5",
  },
  use_dpop_nonce: {
    status: 400,
    sentence: "Make a new proof with the nonce of the DPoP-Nonce header, and try again at once.",
    source: "RFC 9449 §8",
  },
  registration_closed: {
    status: 403,
    sentence: "Registration is switched off here. Ask the operator for an account.",
    source: "DESIGN §6",
  },
  registration_refused: {
    status: 409,
    sentence: "An account cannot be made with these details. Choose others, or sign in.",
    source: "DESIGN §9",
  },
  weak_password: {
    status: 422,
    sentence: "Choose another password: one that is long enough and not easily guessed.",
    source: "NIST SP 800-63B-4 §3.1.1.2",
  },
  mail_off: {
    status: 501,
    sentence: "This server sends no mail. Ask its operator.",
    source: "RFC 9110 §15.6.2",
  },
  invalid_mail_code: {
    status: 403,
    sentence:
      "The link or the code is not good: mistyped, used, too old, or replaced by a newer one. Ask for a new mail.",
    source: "OWASP ASVS 5.0 §6.6.2",
  },
  email_taken: {
    status: 409,
    sentence: "This address belongs to another account by now. Nothing was changed.",
    source: "DESIGN §9",
  },
  recovery_refused: {
    status: 401,
    sentence:
      "That name and that recovery code do not sign in. A code alone does where a passkey was the only way to sign in.",
    source: "NIST SP 800-63B-4 §4.2",
  },
  invalid_handover: {
    status: 401,
    sentence:
      "This way back from signing in is over: it was used, took too long, or began in another browser. Begin it anew.",
    source: "RFC 6749 §5.2",
  },
  // Managing factors and identities.
  factor_exists: {
    status: 409,
    sentence: "An authenticator app is on already. Remove it first.",
    source: "RFC 9110 §15.5.10",
  },
  factor_refused: {
    status: 422,
    sentence:
      "That was not accepted: a code that the app does not show now, or a passkey that was not made for this. Try again.",
    source: "RFC 9110 §15.5.21",
  },
  unknown_factor: { status: 404, sentence: "You have no such factor.", source: "RFC 9110 §15.5.5" },
  unknown_identity: {
    status: 404,
    sentence: "You have no such account at a provider.",
    source: "RFC 9110 §15.5.5",
  },
  last_way_in: {
    status: 409,
    sentence: "This is the only way to sign in to the account. Add another one first.",
    source: "RFC 9110 §15.5.10",
  },
  password_exists: {
    status: 409,
    sentence: "There is a password already: POST /password changes it.",
    source: "RFC 9110 §15.5.10",
  },
  unknown_session: { status: 404, sentence: "You have no such session.", source: "DESIGN §6" },
  not_supported: {
    status: 501,
    sentence: "This server does not offer that.",
    source: "RFC 9110 §15.6.2",
  },
  busy: {
    status: 503,
    sentence: "Too much at once. Try again after Retry-After seconds; nobody is signed out.",
    source: "RFC 9110 §15.6.4",
  },
  unavailable: {
    status: 503,
    sentence: "The database cannot be reached just now. Try again; nobody is signed out.",
    source: "RFC 9110 §15.6.4",
  },
  server_error: {
    status: 500,
    sentence: "Something broke here. The log has the detail.",
    source: "RFC 9110 §15.6.1",
  },
} as const satisfies Record<string, { status: number; sentence: string; source: string }>;

export type RefusalCode = keyof typeof refusals;

/** Why a refresh token is not accepted. A client forgets what it holds only for `expired`, `revoked`, `reused`. */
export const refreshRefusalReasons = {
  malformed: "This is not a refresh token of this server.",
  expired: "The session is over: it was idle too long, or reached its end. Sign in again.",
  revoked: "The session was ended by its user or the operator. Sign in again.",
  reused: "A token that had been replaced was used again, so the session was ended. Sign in again.",
  superseded: "This token was replaced. Use the newest one; the session goes on.",
  unknown: "The server does not know this token. Nothing was ended.",
} as const;

export type RefreshRefusalReason = keyof typeof refreshRefusalReasons;

/** Why a session cookie is not accepted. */
export const sessionRefusalReasons = {
  expired: "The session is over: it was idle too long, or reached its end. Sign in again.",
  revoked: "The session was ended by its user or the operator. Sign in again.",
  replaced: "This browser has signed in anew and has a newer cookie. Ask again.",
  unknown: "The server does not know this cookie. Sign in again.",
} as const;

export type SessionRefusalReason = keyof typeof sessionRefusalReasons;

/** A refusal on its way out: thrown at the HTTP rim only, turned into an answer in one place. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: RefusalCode;
  readonly extra: RefusalExtra;
  constructor(code: RefusalCode, extra: RefusalExtra = {}) {
    super(extra.description ?? refusals[code].sentence);
    this.code = code;
    this.extra = extra;
  }
}

export interface RefusalExtra {
  /** A public sentence more exact than the catalogue's: what was wrong and what to send instead. */
  readonly description?: string;
  readonly reason?: RefreshRefusalReason | SessionRefusalReason;
  readonly headers?: Readonly<Record<string, string>>;
  /** Members of the body beside the code and its sentence, where the catalogue's sentence speaks of them. */
  readonly members?: Readonly<Record<string, unknown>>;
}
