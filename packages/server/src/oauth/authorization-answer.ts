import { refusals } from "../errors.ts";
import type { RequestRefusal } from "./authorization-parameters.ts";

/** RFC 6749 §4.1.2; OAuth 2.0 Form Post Response Mode. A code never comes in a fragment. */
export const responseModes = ["query", "form_post"] as const;
export type ResponseMode = (typeof responseModes)[number];

/** Where a proven client's answers go. */
export interface AnswerTo {
  /** Registered by the client, byte for byte. */
  readonly redirectUri: string;
  readonly mode: ResponseMode;
  readonly state: string | undefined;
}

/** What a browser carries to the client. */
export interface AuthorizationAnswer {
  readonly redirectUri: string;
  readonly mode: ResponseMode;
  readonly fields: Readonly<Record<string, string>>;
  /** The redirect URI with the fields in its query. */
  readonly location: string;
}

export const answerCode = (to: AnswerTo, issuer: string, code: string): AuthorizationAnswer =>
  answer(to, { code, state: to.state, iss: issuer });

export const answerRefusal = (to: AnswerTo, issuer: string, refusal: RequestRefusal): AuthorizationAnswer =>
  answer(to, {
    error: refusal.code,
    error_description: refusal.description ?? refusals[refusal.code].sentence,
    state: to.state,
    // RFC 9207 §2: "In authorization responses to the client, including error responses, an authorization server
    // supporting this specification MUST indicate its identity by including the iss parameter in the response."
    iss: issuer,
  });

function answer(to: AnswerTo, given: Readonly<Record<string, string | undefined>>): AuthorizationAnswer {
  const { redirectUri, mode } = to;
  const entries = Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined);
  // RFC 6749 §3.1.2: a query component of the redirect URI "MUST be retained when adding additional query parameters".
  const glue = redirectUri.includes("?") ? (/[?&]$/.test(redirectUri) ? "" : "&") : "?";
  const location = `${redirectUri}${glue}${new URLSearchParams(entries)}`;
  return { redirectUri, mode, fields: Object.fromEntries(entries), location };
}
