import { z } from "zod";
import type { Client } from "../clients/client.ts";
import { Refusal } from "../errors.ts";
import { attemptKeyOf } from "../http/attempt-key.ts";
import type { Answer, ClientRequest, Endpoint } from "../http/endpoint.ts";
import { type Proofs, proofAbout } from "../http/proofs.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Grant, GrantRequest } from "./grants/grant.ts";
import type { TokenReply } from "./issuing.ts";

const reply = z.object({
  access_token: z.string(),
  token_type: z.enum(["Bearer", "DPoP"]),
  expires_in: z.int(),
  scope: z.string(),
  refresh_token: z.string().optional(),
  id_token: z.string().optional(),
  issued_token_type: z.string().optional(),
});

interface Dependencies {
  readonly grants: readonly Grant[];
  readonly proofs: Proofs;
  readonly metrics: Pick<Metrics, "granted">;
}

/** Parameters by which a client authenticates in the form. */
export const clientParameters = {
  client_id: { about: "The client, where it does not authenticate by the Authorization header" },
  client_secret: { about: "Its secret, RFC 6749 §2.3.1" },
  client_assertion_type: { about: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" },
  client_assertion: { about: "A JWT signed by the client's key, RFC 7523 §2.2" },
} as const;

/** POST /oauth/token, RFC 6749 §3.2: a grant for tokens. */
export function tokenEndpoint({ grants, proofs, metrics }: Dependencies): Endpoint {
  const byType = new Map<string, Grant>(grants.map((grant) => [grant.type, grant]));

  async function counted(grant: Grant, request: GrantRequest): Promise<TokenReply> {
    try {
      const reply = await grant.handle(request);
      metrics.granted(grant.type, "issued");
      return reply;
    } catch (error) {
      metrics.granted(grant.type, error instanceof Refusal ? error.code : "server_error");
      throw error;
    }
  }

  /** RFC 9449 §5.2: a client that is registered so "MUST" send proofs. */
  function mustProve(client: Client, thumbprint: string | undefined): void {
    if (thumbprint !== undefined || !client.metadata.dpop_bound_access_tokens) return;
    throw new Refusal("invalid_dpop_proof", {
      description: "This client is registered for DPoP: send a proof in the DPoP header.",
      headers: proofs.nonceHeader(),
    });
  }

  async function handle(request: ClientRequest): Promise<Answer> {
    const { client, parameters, ip, userAgent } = request;
    const type = parameters.get("grant_type");
    if (type === undefined) throw new Refusal("invalid_request", { description: "grant_type is missing." });
    const grant = byType.get(type);
    if (grant === undefined) throw new Refusal("unsupported_grant_type");
    mayUse(client, grant);
    const dpopThumbprint = await proofs.thumbprintOf(request);
    mustProve(client, dpopThumbprint);
    const anew = async (): Promise<Client> => {
      const found = await request.clientAnew();
      mayUse(found, grant);
      mustProve(found, dpopThumbprint);
      return found;
    };
    const attemptKey = attemptKeyOf(request);
    const json = await counted(grant, {
      client,
      clientAnew: anew,
      parameters,
      dpopThumbprint,
      attemptKey,
      ip,
      userAgent,
    });
    return {
      status: 200,
      json,
      // RFC 6749 §5.1: "Pragma: no-cache" too, beside the Cache-Control of every answer.
      headers: { Pragma: "no-cache", ...(dpopThumbprint !== undefined && proofs.nonceHeader()) },
    };
  }

  return {
    method: "POST",
    path: "/oauth/token",
    summary: "Tokens for a grant, RFC 6749 §3.2",
    access: "client",
    // The turn asks the database whether the client is still what is remembered of it.
    remembersClient: ({ parameters }) => parameters.get("grant_type") === "refresh_token",
    parameters: {
      grant_type: { about: `One of ${grants.map(({ type }) => type).join(", ")}` },
      ...Object.assign({}, ...grants.map(({ parameters }) => parameters)),
      ...clientParameters,
    },
    requestHeaders: {
      DPoP: proofAbout,
      "Idempotency-Key": { about: "As at POST /refresh: the client's attempt key, for refresh_token" },
    },
    success: { status: 200, about: "The tokens", schema: reply },
    refusals: [
      "unsupported_grant_type",
      "unauthorized_client",
      "invalid_dpop_proof",
      "use_dpop_nonce",
      ...grants.flatMap(({ refusals }) => refusals),
    ],
    anyOrigin: true,
    handle,
  };
}

/** RFC 6749 §5.2: "The authenticated client is not authorized to use this authorization grant type." */
function mayUse(client: Client, { type }: Grant): void {
  if (!client.metadata.grant_types.includes(type)) throw new Refusal("unauthorized_client");
}
