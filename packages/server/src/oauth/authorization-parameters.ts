import type { RefusalCode } from "../errors.ts";
import type { Parameters } from "../http/parameters.ts";
import { limits } from "../primitives/limits.ts";
import { acrValues } from "../sessions/acr.ts";

/** What goes back to the client in place of a code. */
export interface RequestRefusal {
  readonly outcome: "refused";
  readonly code: RefusalCode;
  /** A public sentence of the characters of RFC 6749 §4.1.2.1; the catalogue's where it is left out. */
  readonly description?: string | undefined;
}

export type Read<T> = { readonly outcome: "good"; readonly value: T } | RequestRefusal;

const good = <T>(value: T): Read<T> => ({ outcome: "good", value });
export const refuse = (code: RefusalCode, description?: string): RequestRefusal => ({
  outcome: "refused",
  code,
  description,
});

/** OpenID Connect Core §3.1.2.1; Initiating User Registration 1.0 §4. */
export const promptValues = ["none", "login", "consent", "select_account", "create"] as const;
export type Prompt = (typeof promptValues)[number];

/** RFC 7636 §4.2: "code-challenge = BASE64URL-ENCODE(SHA256(ASCII(code_verifier)))": 32 bytes, so 43 characters. */
const CHALLENGE = /^[A-Za-z0-9_-]{43}$/;
/** RFC 7638 with SHA-256. */
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

/**
 * RFC 9700 §2.1.1: "Authorization servers MUST support PKCE" and "MUST mitigate PKCE downgrade attacks". Nobody is let
 * off, and there is no `plain`: then there is nothing to downgrade to.
 */
export function readChallenge(parameters: Parameters): Read<string> {
  const challenge = parameters.get("code_challenge");
  if (challenge === undefined)
    return refuse("invalid_request", "code_challenge is missing: PKCE is required");
  // RFC 7636 §4.3: code_challenge_method "defaults to plain if not present in the request"; §4.4.1: "invalid_request".
  if (parameters.get("code_challenge_method") !== "S256") {
    return refuse("invalid_request", "code_challenge_method must be S256: transform algorithm not supported");
  }
  return CHALLENGE.test(challenge)
    ? good(challenge)
    : refuse("invalid_request", "code_challenge is not base64url of a SHA-256 digest");
}

/** RFC 9449 §10: "The thumbprint of the DPoP public key". */
export function readThumbprint(parameters: Parameters): Read<string | undefined> {
  const thumbprint = parameters.get("dpop_jkt");
  return thumbprint === undefined || THUMBPRINT.test(thumbprint)
    ? good(thumbprint)
    : refuse("invalid_request", "dpop_jkt is not the SHA-256 thumbprint of a key");
}

/** OpenID Connect Core §3.1.2.1: "Space-delimited, case-sensitive list". */
export function readPrompt(parameters: Parameters): Read<ReadonlySet<Prompt>> {
  const prompts = new Set<Prompt>();
  for (const word of (parameters.get("prompt") ?? "").split(" ")) {
    if (word === "") continue;
    // Initiating User Registration §4.1: a value that is not supported "SHOULD" be answered with invalid_request.
    if (!(promptValues as readonly string[]).includes(word)) {
      return refuse("invalid_request", "prompt has a value that is not in prompt_values_supported");
    }
    prompts.add(word as Prompt);
  }
  // "If this parameter contains none with any other value, an error is returned."
  if (prompts.has("none") && prompts.size > 1) {
    return refuse("invalid_request", "prompt has none beside another value");
  }
  return good(prompts);
}

/** OpenID Connect Core §3.1.2.1: seconds since the person last proved who they are. */
export function readMaxAge(parameters: Parameters): Read<number | undefined> {
  const text = parameters.get("max_age");
  if (text === undefined) return good(undefined);
  const seconds = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return seconds >= 0 ? good(seconds) : refuse("invalid_request", "max_age is not a number of seconds");
}

/** How sure it has to be who somebody is. */
export interface AcrDemand {
  /** In the order of preference: of ours when the client would do without, as they came when it would not. */
  readonly values: readonly string[];
  readonly isEssential: boolean;
}

interface ClaimsAsked {
  readonly acr: AcrDemand | undefined;
  /** OpenID Connect Core §5.5.1: the one person that the request is about. */
  readonly subject: string | undefined;
}

/** OpenID Connect Core §5.5. Of everything that can be asked for there, `acr` and `sub` of the ID token are looked at. */
export function readClaims(parameters: Parameters): Read<ClaimsAsked> {
  const text = parameters.get("claims");
  if (text === undefined) return good({ acr: undefined, subject: undefined });
  const claims = parsed(text);
  if (claims === undefined) return refuse("invalid_request", "claims is not a JSON object");
  const idToken = member(claims, "id_token");
  const acr = idToken && member(idToken, "acr");
  const subject = (idToken && member(idToken, "sub"))?.value;
  const wanted = [acr?.value, ...(Array.isArray(acr?.values) ? acr.values : [])];
  const values = wanted.filter((value) => typeof value === "string").slice(0, 20);
  return good({
    acr: values.length === 0 ? undefined : demand(values, acr?.essential === true),
    subject: typeof subject === "string" ? subject : undefined,
  });
}

/**
 * What `acr_values` asks for, or what the client is registered with. OpenID Connect Core §3.1.2.1 has it as voluntary:
 * values that are unknown here ask for nothing. RFC 9470 §5: it is RECOMMENDED that a value that is known is treated as
 * required.
 */
export function readAcrValues(
  parameters: Parameters,
  defaults: readonly string[] | undefined,
): AcrDemand | undefined {
  const text = parameters.get("acr_values");
  const values = text === undefined ? (defaults ?? []) : text.split(" ").filter((value) => value !== "");
  return demand(values, false);
}

function demand(values: readonly string[], isEssential: boolean): AcrDemand | undefined {
  const ours: readonly string[] = Object.values(acrValues);
  const known = values.filter((value) => ours.includes(value));
  if (isEssential) return { values, isEssential };
  return known.length === 0 ? undefined : { values: known, isEssential };
}

/** OpenID Connect Core §3.1.2.1, for the field of the form: nothing rests on it. */
export function readLoginHint(parameters: Parameters): string | undefined {
  const hint = parameters.get("login_hint");
  return hint !== undefined && hint.length <= limits.loginHintCharactersMax && !/\p{Cc}/u.test(hint)
    ? hint
    : undefined;
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function member(object: Record<string, unknown>, name: string): Record<string, unknown> | undefined {
  const value = Object.hasOwn(object, name) ? object[name] : undefined;
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
}
