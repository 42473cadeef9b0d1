import type { RefusalReason } from "./refusal-reason.ts";
import type { Requirement } from "./requirement.ts";

export type RefusalError =
  | "missing_token"
  | "invalid_request"
  | "invalid_token"
  | "insufficient_scope"
  | "insufficient_user_authentication"
  | "unavailable";

export type Refusal = {
  readonly status: 400 | 401 | 403 | 503;
  /** Public, stable code. */
  readonly error: RefusalError;
  /** Private, for the log only. */
  readonly reason: RefusalReason;
  /** Public, general sentence. */
  readonly description: string;
  readonly headers: Readonly<Record<string, string>>;
};

type PublicAnswer = Pick<Refusal, "status" | "error" | "description">;

const answers = {
  missing: {
    status: 401,
    error: "missing_token",
    description: "Send an access token in the Authorization header.",
  },
  request: {
    status: 400,
    error: "invalid_request",
    description: "Send exactly one access token: one Authorization header, the word Bearer, one token.",
  },
  token: {
    status: 401,
    error: "invalid_token",
    description: "The access token is not valid here, has expired or was revoked. Get a new one.",
  },
  right: {
    status: 403,
    error: "insufficient_scope",
    description: "The access token is valid but lacks a right that this request needs.",
  },
  signIn: {
    status: 401,
    error: "insufficient_user_authentication",
    description: "This request needs a more recent sign-in.",
  },
  unavailable: {
    status: 503,
    error: "unavailable",
    description: "Access tokens cannot be verified at the moment. Try again shortly.",
  },
} as const satisfies Record<string, PublicAnswer>;

function answerTo(reason: RefusalReason): PublicAnswer {
  switch (reason) {
    case "missing":
      return answers.missing;
    case "malformed_header":
      return answers.request;
    case "missing_scope":
    case "missing_role":
    case "missing_permission":
      return answers.right;
    case "authentication_too_old":
      return answers.signIn;
    case "keys_unavailable":
    case "feed_broken":
    case "internal_error":
      return answers.unavailable;
    default:
      return answers.token;
  }
}

// RFC 6749 §3.3 scope-token characters and the space between; anything else must not reach a header.
const scopeList = /^[\x21\x23-\x5b\x5d-\x7e ]+$/;

function challenge(answer: PublicAnswer, requirement: Requirement | undefined): string {
  // RFC 6750 §3.1: "If the request lacks any authentication information ..., the resource server SHOULD NOT
  // include an error code or other error information."
  if (answer.error === "missing_token") return "Bearer";
  let value = `Bearer error="${answer.error}", error_description="${answer.description}"`;
  const scope = requirement?.scopes?.join(" ") ?? "";
  if (answer.error === "insufficient_scope" && scopeList.test(scope)) value += `, scope="${scope}"`;
  const maxAge = requirement?.maxAuthAgeSeconds;
  // RFC 9470 §3: max_age tells the client which sign-in to ask for.
  if (answer.error === "insufficient_user_authentication" && maxAge !== undefined)
    value += `, max_age="${maxAge}"`;
  return value;
}

/** Builds the refusal for a reason. `retryAfterSeconds` is told only with a 503. */
export function refuse(
  reason: RefusalReason,
  requirement?: Requirement | undefined,
  retryAfterSeconds = 5,
): Refusal {
  const answer = answerTo(reason);
  const headers: Record<string, string> = { "Cache-Control": "no-store" };
  if (answer.status === 503) headers["Retry-After"] = String(Math.max(1, Math.ceil(retryAfterSeconds)));
  else headers["WWW-Authenticate"] = challenge(answer, requirement);
  return Object.freeze({ ...answer, reason, headers: Object.freeze(headers) });
}

/** The JSON that every adapter answers a refusal with. Holds nothing but the public part. */
export function refusalBody(refusal: Refusal): { error: RefusalError; error_description: string } {
  return { error: refusal.error, error_description: refusal.description };
}
