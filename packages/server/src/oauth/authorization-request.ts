import type { Client } from "../clients/client.ts";
import { isRegistered } from "../clients/redirect-uris.ts";
import type { Parameters } from "../http/parameters.ts";
import { type AnswerTo, type ResponseMode, responseModes } from "./authorization-answer.ts";
import {
  type AcrDemand,
  type Prompt,
  type Read,
  type RequestRefusal,
  readAcrValues,
  readChallenge,
  readClaims,
  readLoginHint,
  readMaxAge,
  readPrompt,
  readThumbprint,
  refuse,
} from "./authorization-parameters.ts";
import type { Resources } from "./resources.ts";
import { grantableScope, scopesIn } from "./scopes.ts";

/** A request for authorization that may be put to a person. */
export interface AuthorizationRequest {
  readonly client: Client;
  readonly to: AnswerTo;
  /** What would be granted, separated by spaces. */
  readonly scope: string;
  /** RFC 8707. Empty: the audience of the settings. */
  readonly resources: readonly string[];
  readonly challenge: string;
  readonly nonce: string | undefined;
  readonly dpopThumbprint: string | undefined;
  readonly prompts: ReadonlySet<Prompt>;
  readonly maxAgeSeconds: number | undefined;
  readonly acr: AcrDemand | undefined;
  readonly loginHint: string | undefined;
  /** Who it is about, as the client calls them, when it says so. */
  readonly subject: string | undefined;
}

/** Why nothing can be answered to anybody: the page says it. */
export type RequestTrouble =
  | "unknown_client"
  | "not_for_people"
  | "redirect_uri_missing"
  | "redirect_uri_unknown"
  | "request_unknown"
  | "too_many";

export type Checked =
  | { readonly outcome: "good"; readonly request: AuthorizationRequest }
  /** Client and redirect URI are proven: it is told. */
  | { readonly outcome: "refused_there"; readonly to: AnswerTo; readonly refusal: RequestRefusal }
  | { readonly outcome: "trouble"; readonly trouble: RequestTrouble };

export interface ToCheck {
  readonly parameters: Parameters;
  /** Names of parameters that came more than once. */
  readonly repeated: readonly string[];
}

/** Whom an ID token speaks of that this server has signed for the client; undefined when it did not. */
export type SubjectOfHint = (token: string, client: Client) => Promise<string | undefined>;

interface Dependencies {
  /** A registered client, or one whose id is the address of its metadata. */
  readonly findClient: (id: string) => Promise<Client | undefined>;
  readonly resources: Pick<Resources, "find" | "scopes">;
  readonly subjectOfHint: SubjectOfHint;
}

export type AuthorizationRequests = ReturnType<typeof createAuthorizationRequests>;

/** The rules for a request for authorization, whether it comes by a browser or was pushed. RFC 6749 §4.1.1. */
export function createAuthorizationRequests({ findClient, resources, subjectOfHint }: Dependencies) {
  /** What the client asks for, once it is known that it asks. */
  async function read(
    client: Client,
    to: AnswerTo,
    { parameters }: ToCheck,
  ): Promise<Read<AuthorizationRequest>> {
    const { metadata } = client;
    const shape = shapeProblem(client, parameters);
    if (shape !== undefined) return shape;
    const challenge = readChallenge(parameters);
    if (challenge.outcome === "refused") return challenge;
    const thumbprint = readThumbprint(parameters);
    if (thumbprint.outcome === "refused") return thumbprint;
    const prompts = readPrompt(parameters);
    if (prompts.outcome === "refused") return prompts;
    const maxAge = readMaxAge(parameters);
    if (maxAge.outcome === "refused") return maxAge;
    const claims = readClaims(parameters);
    if (claims.outcome === "refused") return claims;
    const subject = await subjectIn(client, { parameters, claimed: claims.value.subject });
    if (subject.outcome === "refused") return subject;
    const access = await readAccess(client, parameters);
    if (access.outcome === "refused") return access;
    return {
      outcome: "good",
      value: {
        client,
        to,
        ...access.value,
        challenge: challenge.value,
        nonce: parameters.get("nonce"),
        dpopThumbprint: thumbprint.value,
        prompts: prompts.value,
        maxAgeSeconds: maxAge.value ?? metadata.default_max_age,
        acr: claims.value.acr ?? readAcrValues(parameters, metadata.default_acr_values),
        loginHint: readLoginHint(parameters),
        subject: subject.value,
      },
    };
  }

  async function readAccess(
    client: Client,
    parameters: Parameters,
  ): Promise<Read<Pick<AuthorizationRequest, "scope" | "resources">>> {
    const asked = parameters.all("resource");
    // URL parsers write a control character in another way; an engine may refuse it.
    const found = asked.some((one) => /\p{Cc}/u.test(one)) ? undefined : await resources.find(asked);
    if (found === undefined) return refuse("invalid_target");
    const known = await resources.scopes();
    const granted = grantableScope({ asked: parameters.get("scope"), client, known });
    // OpenID Connect Core §11: without a refresh token there is nothing to be done while nobody is there.
    const mayRefresh = client.metadata.grant_types.includes("refresh_token");
    const scope = scopesIn(granted).filter((one) => mayRefresh || one !== "offline_access");
    if (scope.length === 0) return refuse("invalid_scope");
    const value = { scope: scope.join(" "), resources: found.map(({ identifier }) => identifier) };
    return { outcome: "good", value };
  }

  /** OpenID Connect Core §3.1.2.1, `id_token_hint`, and the `sub` of §5.5.1. */
  async function subjectIn(
    client: Client,
    { parameters, claimed }: { parameters: Parameters; claimed: string | undefined },
  ): Promise<Read<string | undefined>> {
    const hint = parameters.get("id_token_hint");
    if (hint === undefined) return { outcome: "good", value: claimed };
    const subject = await subjectOfHint(hint, client);
    if (subject === undefined) {
      return refuse(
        "invalid_request",
        "id_token_hint is not an ID token that this server gave to this client",
      );
    }
    return { outcome: "good", value: subject };
  }

  async function checkFor(client: Client, toCheck: ToCheck): Promise<Checked> {
    const { repeated } = toCheck;
    const place = answerPlace(client, toCheck);
    if (place.outcome === "trouble") return place;
    const { to } = place;
    if (repeated.length > 0) {
      return { outcome: "refused_there", to, refusal: refuse("invalid_request", "A parameter is repeated") };
    }
    const request = await read(client, to, toCheck);
    if (request.outcome === "refused") return { outcome: "refused_there", to, refusal: request };
    return { outcome: "good", request: request.value };
  }

  return {
    findClient,
    checkFor,

    /** A refusal from before the request could be read: to the client, if what came with it says where that is. */
    refused(client: Client, toCheck: ToCheck, refusal: RequestRefusal): Checked {
      const place = answerPlace(client, toCheck);
      return place.outcome === "trouble" ? place : { outcome: "refused_there", to: place.to, refusal };
    },
  };
}

/**
 * Where the answer may go. RFC 6749 §4.1.2.1: "If the request fails due to a missing, invalid, or mismatching
 * redirection URI, or if the client identifier is missing or invalid, the authorization server […] MUST NOT
 * automatically redirect the user-agent to the invalid redirection URI."
 */
function answerPlace(
  client: Client,
  { parameters, repeated }: ToCheck,
): { outcome: "good"; to: AnswerTo } | { outcome: "trouble"; trouble: RequestTrouble } {
  const trouble = (code: RequestTrouble) => ({ outcome: "trouble", trouble: code }) as const;
  const { redirect_uris: registered, keyturn_profile: profile } = client.metadata;
  if (registered.length === 0) return trouble("not_for_people");
  const asked = parameters.get("redirect_uri");
  if (repeated.includes("redirect_uri")) return trouble("redirect_uri_unknown");
  // RFC 6749 §3.1.2.3: it may be left out where one alone is registered. FAPI 2.0 §5.3.2.2: "shall require the
  // redirect_uri parameter in pushed authorization requests".
  if (asked === undefined && (registered.length > 1 || profile === "fapi2"))
    return trouble("redirect_uri_missing");
  const redirectUri = asked ?? registered[0] ?? "";
  if (!isRegistered(redirectUri, { registered, type: client.type })) return trouble("redirect_uri_unknown");
  const mode = parameters.get("response_mode");
  return {
    outcome: "good",
    to: {
      redirectUri,
      mode: mode === "form_post" ? "form_post" : "query",
      state: repeated.includes("state") ? undefined : parameters.get("state"),
    },
  };
}

/** Of what kind the request is. */
function shapeProblem(client: Client, parameters: Parameters): RequestRefusal | undefined {
  const { metadata } = client;
  const type = parameters.get("response_type");
  if (type === undefined) return refuse("invalid_request", "response_type is missing");
  // RFC 9700 §2.1.2: no implicit grant, and no token in an address.
  if (type !== "code") return refuse("unsupported_response_type");
  if (!metadata.grant_types.includes("authorization_code")) return refuse("unauthorized_client");
  const mode = parameters.get("response_mode");
  if (mode !== undefined && !responseModes.includes(mode as ResponseMode)) {
    return refuse("invalid_request", "response_mode takes query or form_post");
  }
  return undefined;
}
