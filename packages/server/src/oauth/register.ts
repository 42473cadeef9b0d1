import { z } from "zod";
import type { Client } from "../clients/client.ts";
import type { Registered, Registration, Registrations, Replaced } from "../clients/registrations.ts";
import type { ResolvedSettings } from "../config.ts";
import { Refusal } from "../errors.ts";
import { invalidToken } from "../http/authenticate.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import { addressBlock } from "../rate-limits/address.ts";
import type { RateLimits } from "../rate-limits/rate-limits.ts";
import { rateRules } from "../rate-limits/rules.ts";

const metadata = z.looseObject({});
const information = z
  .object({
    client_id: z.string(),
    client_id_issued_at: z.int(),
    client_secret: z.string().optional(),
    client_secret_expires_at: z.int().optional(),
    registration_access_token: z.string(),
    registration_client_uri: z.string(),
    client_name: z.string(),
    redirect_uris: z.array(z.string()),
    grant_types: z.array(z.string()),
    token_endpoint_auth_method: z.string(),
  })
  .loose();

interface Dependencies {
  readonly registrations: Registrations;
  readonly rateLimits: RateLimits;
  readonly settings: Pick<ResolvedSettings, "issuer" | "dynamicRegistration" | "registrationToken">;
}

const PATH = "/oauth/register";
const authorization = { Authorization: { about: "Bearer, the registration access token" } };

/** RFC 7591 §3: a client registers itself; RFC 7592 §2: it looks after its registration. */
export function registrationEndpoints(dependencies: Dependencies): Endpoint[] {
  const { registrations, settings } = dependencies;

  async function register(request: EndpointRequest<Record<string, unknown>>): Promise<Answer> {
    if (settings.dynamicRegistration === "off") throw new Refusal("not_found");
    await takeOne(dependencies, request);
    const vouched = settings.dynamicRegistration === "token";
    if (vouched && !isInitialToken(bearerOf(request), settings.registrationToken)) throw invalidToken();
    const made = await registrations.register(request.body, { ip: request.ip, vouched });
    if (made.outcome !== "registered") throw refusalOf(made);
    return { status: 201, json: informationOf(made, { token: made.token, settings }) };
  }

  /** RFC 7592 §2.1: a token that is not good, or a client that is not there, is answered alike with 401. */
  function tokenOf(request: EndpointRequest): string {
    const token = bearerOf(request);
    if (token === undefined) {
      // RFC 6750 §3.1: without any authentication information, the challenge SHOULD NOT carry an error code.
      throw new Refusal("missing_token", {
        description: "Send the registration access token: Authorization: Bearer <token>.",
        headers: { "WWW-Authenticate": "Bearer" },
      });
    }
    return token;
  }

  async function read(request: EndpointRequest): Promise<Answer> {
    const token = tokenOf(request);
    const client = await registrations.find(request.path.id ?? "", token);
    if (client === undefined) throw invalidToken();
    return { status: 200, json: informationOf({ client, secret: undefined }, { token, settings }) };
  }

  async function replace(request: EndpointRequest<Record<string, unknown>>): Promise<Answer> {
    const token = tokenOf(request);
    // Each is written to the audit log.
    await takeOne(dependencies, request);
    const presented = { token, ip: request.ip };
    const replaced = await registrations.replace(request.path.id ?? "", request.body, presented);
    if (replaced.outcome !== "registered") throw refusalOf(replaced);
    return { status: 200, json: informationOf(replaced, { token, settings }) };
  }

  async function remove(request: EndpointRequest): Promise<Answer> {
    const presented = { token: tokenOf(request), ip: request.ip };
    if (!(await registrations.remove(request.path.id ?? "", presented))) throw invalidToken();
    return { status: 204 };
  }

  const common = { access: "public", anyOrigin: true } as const;
  const refusals = [
    "invalid_client_metadata",
    "invalid_redirect_uri",
    "unapproved_software_statement",
  ] as const;
  const byToken = ["missing_token", "invalid_token"] as const;
  const one = { ...common, path: `${PATH}/:id`, requestHeaders: authorization };
  return [
    {
      ...common,
      method: "POST",
      path: PATH,
      summary:
        "A client registers itself, RFC 7591 §3, where the setting `dynamicRegistration` allows it; one that is not used within a day is forgotten",
      body: metadata,
      requestHeaders: {
        Authorization: { about: "Bearer, the setting `registrationToken`, where the settings ask for it" },
      },
      success: {
        status: 201,
        about: "The client, with its metadata as it was registered",
        schema: information,
      },
      refusals: [...refusals, "too_many_attempts", "not_found", "invalid_token"],
      handle: register,
    },
    {
      ...one,
      method: "GET",
      summary: "A client reads its registration, RFC 7592 §2.1; the token stays the same",
      success: { status: 200, about: "The client; its secret is not shown again", schema: information },
      refusals: byToken,
      handle: read,
    },
    {
      ...one,
      method: "PUT",
      summary: "A client replaces its registration, RFC 7592 §2.2: what is left out goes",
      body: metadata,
      success: { status: 200, about: "The client, with its metadata as it is now", schema: information },
      refusals: [...refusals, ...byToken, "too_many_attempts"],
      handle: replace,
    },
    {
      ...one,
      method: "DELETE",
      summary:
        "A client deletes its registration, RFC 7592 §2.3, and with it all sessions that it was let in to",
      success: { status: 204, about: "It is gone" },
      refusals: byToken,
      handle: remove,
    },
  ];
}

async function takeOne({ rateLimits }: Dependencies, { ip }: EndpointRequest): Promise<void> {
  const subject = addressBlock(ip) ?? "unknown";
  const taken = await rateLimits.consume(rateRules.clientRegistration, subject);
  if (taken.allowed) return;
  throw new Refusal("too_many_attempts", { headers: { "Retry-After": String(taken.retryAfterSeconds) } });
}

/** RFC 6750 §2.1. */
function bearerOf(request: { header(name: string): string | undefined }): string | undefined {
  return /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(request.header("authorization") ?? "")?.[1];
}

function isInitialToken(given: string | undefined, expected: string | undefined): boolean {
  return given !== undefined && expected !== undefined && equalBytes(sha256(given), sha256(expected));
}

function refusalOf(refused: Exclude<Registration | Replaced, Registered>): Refusal {
  switch (refused.outcome) {
    case "invalid":
      return new Refusal(refused.code, { description: refused.problem });
    case "unapproved_software_statement":
      return new Refusal("unapproved_software_statement");
    case "unknown_client":
      return invalidToken();
  }
}

/**
 * RFC 7591 §3.2.1, RFC 7592 §3: "the authorization server MUST return all registered metadata about this client".
 * Members of ours are for the operator. The token does not change: a lost reply must not lock a client out.
 */
function informationOf(
  { client, secret }: { client: Client; secret: string | undefined },
  { token, settings }: { token: string; settings: { issuer: string } },
) {
  const standard = Object.entries(client.metadata).filter(([name]) => !name.startsWith("keyturn_"));
  return {
    client_id: client.id,
    client_id_issued_at: Math.floor(client.createdAt / 1000),
    // RFC 7591 §3.2.1: "REQUIRED if "client_secret" is issued. […] or 0 if it will not expire."
    ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
    registration_access_token: token,
    registration_client_uri: `${settings.issuer}${PATH}/${client.id}`,
    client_name: client.name,
    ...Object.fromEntries(standard),
  };
}

/** What discovery says of it. */
export function registrationMetadata({
  issuer,
  dynamicRegistration,
  clientDocuments,
}: Pick<ResolvedSettings, "issuer" | "dynamicRegistration" | "clientDocuments">) {
  return {
    // Whoever has no token would find it shut.
    ...(dynamicRegistration !== "off" && { registration_endpoint: `${issuer}${PATH}` }),
    client_id_metadata_document_supported: clientDocuments === "on",
  };
}
