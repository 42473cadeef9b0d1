import { z } from "zod";
import { isConfidential } from "../clients/client.ts";
import { Refusal } from "../errors.ts";
import type { Answer, ClientRequest, Endpoint } from "../http/endpoint.ts";
import type { Pairs } from "../http/parameters.ts";
import { type Proofs, proofAbout } from "../http/proofs.ts";
import { addressBlock } from "../rate-limits/address.ts";
import type { RateLimits } from "../rate-limits/rate-limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import { authorizationParameters } from "./authorization-metadata.ts";
import type { RequestRefusal } from "./authorization-parameters.ts";
import type { AuthorizationRequests, Checked, RequestTrouble } from "./authorization-request.ts";
import type { KeptRequests } from "./kept-requests.ts";
import { toCheck } from "./loading.ts";
import type { RequestObjects } from "./request-objects.ts";
import { clientParameters } from "./token.ts";

const reply = z.object({ request_uri: z.string(), expires_in: z.int() });

/** Of how the client has authenticated nothing is kept. */
const NOT_KEPT: ReadonlySet<string> = new Set(Object.keys(clientParameters));

interface Dependencies {
  readonly requests: AuthorizationRequests;
  readonly kept: KeptRequests;
  readonly requestObjects: RequestObjects;
  readonly proofs: Proofs;
  readonly rateLimits: Pick<RateLimits, "consumeAll">;
}

/** POST /oauth/par, RFC 9126: the client sends its request itself, and the browser carries a reference to it. */
export function pushedRequestsEndpoint(dependencies: Dependencies): Endpoint {
  const { requests, kept, requestObjects, proofs, rateLimits } = dependencies;

  async function limit(ip: string | undefined): Promise<void> {
    const bucket = { rule: rateRules.authorizationRequest, subject: addressBlock(ip) ?? "none" };
    const consumed = await rateLimits.consumeAll([bucket]);
    if (consumed.allowed) return;
    throw new Refusal("too_many_attempts", {
      headers: { "Retry-After": String(consumed.retryAfterSeconds) },
    });
  }

  async function handle(request: ClientRequest): Promise<Answer> {
    const { client, parameters } = request;
    // RFC 9126 §2.1: "The request_uri authorization request parameter is one exception, and it MUST NOT be provided."
    if (parameters.get("request_uri") !== undefined) {
      throw new Refusal("invalid_request", { description: "request_uri must not be pushed." });
    }
    const clientId = parameters.get("client_id");
    if (clientId !== undefined && clientId !== client.id) throw new Refusal("invalid_request");
    // Who need not prove anything must not fill the table.
    if (!isConfidential(client)) await limit(request.ip);
    const thumbprint = await proofs.thumbprintOf(request);
    const sent: Pairs = [
      ["client_id", client.id],
      ...parameters.names
        .filter((name) => !NOT_KEPT.has(name))
        .flatMap((name) => parameters.all(name).map((value) => [name, value] as const)),
    ];
    const opened = await requestObjects.open(client, sent);
    if (opened.outcome === "refused") throw thrown(opened);
    const given = toCheck(opened.value);
    const named = given.parameters.get("dpop_jkt");
    // RFC 9449 §10.1: "If both mechanisms are used at the same time, the authorization server MUST reject the request if
    // the JWK Thumbprint in dpop_jkt does not match the public key in the DPoP header."
    if (thumbprint !== undefined && named !== undefined && thumbprint !== named) {
      throw new Refusal("invalid_dpop_proof", { description: "dpop_jkt is not the key of the DPoP header." });
    }
    const checked = await requests.checkFor(client, given);
    if (checked.outcome !== "good") throw refusalOf(checked);
    const isBound = thumbprint !== undefined && named === undefined;
    const pairs: Pairs = isBound ? [...opened.value, ["dpop_jkt", thumbprint]] : opened.value;
    const { uri, expiresIn } = await kept.push({ clientId: client.id, pairs });
    return {
      status: 201,
      json: { request_uri: uri, expires_in: expiresIn },
      ...(thumbprint !== undefined && { headers: proofs.nonceHeader() }),
    };
  }

  return {
    method: "POST",
    path: "/oauth/par",
    summary: "Takes a request for authorization from its client, RFC 9126",
    access: "client",
    parameters: {
      ...authorizationParameters,
      ...clientParameters,
    },
    requestHeaders: { DPoP: proofAbout },
    success: { status: 201, about: "The reference for the browser to carry, good once", schema: reply },
    refusals: [
      "unauthorized_client",
      "unsupported_response_type",
      "invalid_scope",
      "invalid_target",
      "request_not_supported",
      "invalid_request_object",
      "invalid_dpop_proof",
      "use_dpop_nonce",
      "too_many_attempts",
    ],
    anyOrigin: true,
    handle,
  };
}

/** RFC 9126 §2.3: "the authorization server returns an error response to the client", whatever is wrong. */
function refusalOf(checked: Exclude<Checked, { outcome: "good" }>): Refusal {
  if (checked.outcome === "trouble") {
    return new Refusal("invalid_request", { description: sentences[checked.trouble] });
  }
  return thrown(checked.refusal);
}

const thrown = ({ code, description }: RequestRefusal): Refusal =>
  new Refusal(code, description === undefined ? {} : { description: `${description}.` });

const sentences: Readonly<Record<RequestTrouble, string>> = {
  unknown_client: "The client is unknown.",
  not_for_people: "This client is registered without a redirect URI.",
  redirect_uri_missing: "redirect_uri is missing.",
  redirect_uri_unknown: "redirect_uri is not registered for this client, byte for byte.",
  request_unknown: "The request is unknown.",
  too_many: "Too many requests.",
};
