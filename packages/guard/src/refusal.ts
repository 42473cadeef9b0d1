import type { Scheme } from "./binding.ts";
import type { RefusalReason } from "./refusal-reason.ts";
import { isBoundOnly, type Requirement } from "./requirement.ts";

export type RefusalError =
  | "missing_token"
  | "invalid_request"
  | "invalid_token"
  | "invalid_dpop_proof"
  | "use_dpop_nonce"
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
    description: "Send exactly one access token: one Authorization header, one scheme, one token.",
  },
  token: {
    status: 401,
    error: "invalid_token",
    description: "The access token is not valid here, has expired or was revoked. Get a new one.",
  },
  bound: {
    status: 401,
    error: "invalid_token",
    description: "The access token is bound to a key. Send it with the DPoP scheme and a proof of the key.",
  },
  notBound: {
    status: 401,
    error: "invalid_token",
    description: "The access token is bound to no key. Get one that is, or send it where Bearer is taken.",
  },
  proof: {
    status: 401,
    error: "invalid_dpop_proof",
    description: "Send one DPoP proof, made for this request and this access token by the token's key.",
  },
  nonce: {
    status: 401,
    error: "use_dpop_nonce",
    description: "Make the DPoP proof again, with the nonce in the DPoP-Nonce header.",
  },
  right: {
    status: 403,
    error: "insufficient_scope",
    description: "The access token is valid but lacks a right that this request needs.",
  },
  signIn: {
    status: 401,
    error: "insufficient_user_authentication",
    description: "This request needs a more recent or a stronger sign-in.",
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
    case "wrong_scheme":
      return answers.missing;
    case "malformed_header":
      return answers.request;
    case "token_bound":
      return answers.bound;
    case "token_not_bound":
      return answers.notBound;
    case "proof_nonce_needed":
      return answers.nonce;
    case "missing_scope":
    case "missing_role":
    case "missing_permission":
      return answers.right;
    case "authentication_too_old":
    case "authentication_too_weak":
      return answers.signIn;
    case "keys_unavailable":
    case "feed_broken":
    case "internal_error":
      return answers.unavailable;
    default:
      return reason.startsWith("proof_") ? answers.proof : answers.token;
  }
}

// RFC 6749 §3.3 scope-token characters and the space between; anything else must not reach a header. Values of acr are
// separated and quoted in the same way.
const quotableList = /^[\x21\x23-\x5b\x5d-\x7e ]+$/;

/** What the guard takes, and what the request sent. */
export type RefusalContext = {
  readonly requirement?: Requirement | undefined;
  /** The scheme that the token came with, if one did. */
  readonly scheme?: Scheme | undefined;
  readonly takesBearer: boolean;
  /** Where the metadata of this API is, if it has some. */
  readonly metadataUrl?: string | undefined;
  /** The algorithms that proofs may have; undefined when bound tokens are not taken at all. */
  readonly proofAlgorithms: string | undefined;
  /** Told only with a 503. */
  readonly retryAfterSeconds?: number | undefined;
  /** Told only where the client is to use it. */
  readonly nonce?: (() => string) | undefined;
};

function listed(name: string, values: readonly string[] | undefined): string[] {
  // A text in the place of a list is refused where it is asked; that must not keep a challenge from being told.
  const text = Array.isArray(values) ? values.join(" ") : "";
  return quotableList.test(text) ? [`${name}="${text}"`] : [];
}

/** What the client is to sign in by, or how lately (RFC 9470 §3): all that is asked for, so that one sign-in will do. */
function signInParameters({ acr, maxAuthAgeSeconds: maxAge }: Requirement): string[] {
  const list = listed("acr_values", acr);
  // RFC 9470 §3: max_age "has to represent a non-negative integer".
  if (maxAge !== undefined && maxAge >= 0 && Number.isFinite(maxAge))
    list.push(`max_age="${Math.floor(maxAge)}"`);
  return list;
}

/** What every challenge says, whatever went wrong. */
function needs({ requirement, metadataUrl }: RefusalContext): string[] {
  // RFC 6750 §3: the scope "is a space-delimited list [...] indicating the required scope of the access token for
  // accessing the requested resource". MCP Authorization 2026-07-28: servers "SHOULD include a scope parameter in the
  // WWW-Authenticate header", so that clients ask for what is needed and no more.
  const list = listed("scope", requirement?.scopes);
  // RFC 9728 §5.1: resource_metadata is "the URL of the protected resource metadata".
  if (metadataUrl !== undefined) list.push(`resource_metadata="${metadataUrl}"`);
  return list;
}

function parameters(answer: PublicAnswer, context: RefusalContext): string[] {
  // RFC 6750 §3.1: "If the request lacks any authentication information ..., the resource server SHOULD NOT
  // include an error code or other error information."
  if (answer.error === "missing_token") return needs(context);
  const { requirement } = context;
  return [
    `error="${answer.error}"`,
    `error_description="${answer.description}"`,
    ...(answer === answers.signIn && requirement !== undefined ? signInParameters(requirement) : []),
    ...needs(context),
  ];
}

const challengeOf = (scheme: Scheme, list: readonly string[]) => `${scheme} ${list.join(", ")}`.trimEnd();

/** RFC 9449 §7.1: the challenge in the scheme that the client used or is to use, and the other one if it will do. */
function challenge(answer: PublicAnswer, context: RefusalContext): string {
  const { requirement, scheme, proofAlgorithms } = context;
  const takesBearer = context.takesBearer && !isBoundOnly(requirement);
  const list = parameters(answer, context);
  const isDpop = scheme === "DPoP" || answer === answers.bound || !takesBearer;
  if (proofAlgorithms === undefined || !isDpop) return challengeOf("Bearer", list);
  // RFC 9449 §7.1: algs is "a space-delimited list of supported JWS algorithms".
  const dpop = challengeOf("DPoP", [`algs="${proofAlgorithms}"`, ...list]);
  if (!takesBearer || answer.status !== 401) return dpop;
  return `${dpop}, ${challengeOf("Bearer", needs(context))}`;
}

/** Builds the refusal for a reason. */
export function refuse(reason: RefusalReason, context: RefusalContext): Refusal {
  const answer = answerTo(reason);
  const headers: Record<string, string> = { "Cache-Control": "no-store" };
  const { retryAfterSeconds = 5, nonce } = context;
  if (answer.status === 503) headers["Retry-After"] = String(Math.max(1, Math.ceil(retryAfterSeconds)));
  else headers["WWW-Authenticate"] = challenge(answer, context);
  // RFC 9449 §9: the resource server answers "with a 401 status code, and a DPoP-Nonce HTTP header".
  if (answer === answers.nonce && nonce !== undefined) headers["DPoP-Nonce"] = nonce();
  return Object.freeze({ ...answer, reason, headers: Object.freeze(headers) });
}

/** The JSON that every adapter answers a refusal with. Holds nothing but the public part. */
export function refusalBody(refusal: Refusal): { error: RefusalError; error_description: string } {
  return { error: refusal.error, error_description: refusal.description };
}
