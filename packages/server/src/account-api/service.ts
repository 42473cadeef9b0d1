import { z } from "zod";
import type { ResolvedSettings } from "../config.ts";
import { Refusal } from "../errors.ts";
import { isLoopbackAddress } from "../http/address.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Database } from "../storage/database.ts";
import { DatabaseTooNew, tablesAre } from "../storage/migrate.ts";

interface Dependencies {
  readonly settings: ResolvedSettings;
  readonly version: string;
  readonly database: Database;
  readonly signingKeys: Pick<SigningKeys, "jwks">;
  readonly metrics: Metrics;
  readonly openApi: () => string;
  /** True once the server is stopping: a load balancer should send nothing more. */
  readonly isStopping: () => boolean;
}

/** What programs around the server ask: who it is, how it is, which keys it signs with. */
export function serviceEndpoints(dependencies: Dependencies): Endpoint[] {
  return [
    root(dependencies),
    ...health(dependencies),
    metricsEndpoint(dependencies),
    openApiEndpoint(dependencies),
    jwks(dependencies),
  ];
}

function root({ settings, version }: Dependencies): Endpoint {
  const { issuer } = settings;
  const links = {
    openapi: `${issuer}/openapi.json`,
    discovery: `${issuer}/.well-known/openid-configuration`,
    oauthMetadata: `${issuer}/.well-known/oauth-authorization-server`,
    jwks: `${issuer}/.well-known/jwks.json`,
    health: `${issuer}/healthz`,
  };
  return {
    method: "GET",
    path: "/",
    summary: "Name, version and links",
    access: "public",
    success: {
      status: 200,
      about: "JSON; who asks for text/html, as browsers do, gets the start page instead",
      schema: z.object({
        name: z.string(),
        version: z.string(),
        issuer: z.string(),
        links: z.record(z.string(), z.string()),
      }),
    },
    refusals: [],
    cache: "no-cache",
    // A browser gets a page from the same address: pages/home.ts.
    handle: () => ({
      status: 200,
      json: { name: "Keyturn", version, issuer, links },
      headers: { Vary: "Accept" },
    }),
  };
}

function health({ database, isStopping }: Dependencies): Endpoint[] {
  const schema = z.object({ status: z.string() });
  return [
    {
      method: "GET",
      path: "/healthz",
      summary: "Whether the process is alive",
      access: "public",
      success: { status: 200, about: "It is", schema },
      refusals: [],
      handle: () => ({ status: 200, json: { status: "ok" } }),
    },
    {
      method: "GET",
      path: "/readyz",
      summary:
        "Whether this node can serve: its database answers, with tables that it knows, and it is not stopping",
      access: "public",
      success: { status: 200, about: "It can", schema },
      refusals: ["unavailable"],
      async handle() {
        if (isStopping()) throw new Refusal("unavailable", { description: "This node is stopping." });
        await tablesAre(database).catch((error) => {
          if (!(error instanceof DatabaseTooNew)) throw error;
          throw new Refusal("unavailable", { description: "This node is too old for its database." });
        });
        return { status: 200, json: { status: "ready" } };
      },
    },
  ];
}

function metricsEndpoint({ settings, metrics }: Dependencies): Endpoint {
  return {
    method: "GET",
    path: "/metrics",
    summary: "Metrics in the Prometheus text format, for whom the setting `metrics` allows",
    access: "public",
    success: { status: 200, about: "Metrics", type: "text/plain" },
    refusals: ["not_found"],
    async handle(request: EndpointRequest): Promise<Answer> {
      // A request that a proxy has forwarded did not come from this machine, whatever its socket says.
      const isLocal = isLoopbackAddress(request.ip) && request.header("x-forwarded-for") === undefined;
      if (settings.metrics === "off" || (settings.metrics === "loopback" && !isLocal))
        throw new Refusal("not_found");
      const { text, contentType } = await metrics.text();
      return { status: 200, text, headers: { "Content-Type": contentType } };
    },
  };
}

function openApiEndpoint({ openApi }: Dependencies): Endpoint {
  return {
    method: "GET",
    path: "/openapi.json",
    summary: "This API, described in OpenAPI 3.1",
    access: "public",
    success: { status: 200, about: "The document", type: "application/json" },
    refusals: [],
    cache: "public, max-age=300",
    anyOrigin: true,
    handle: () => ({ status: 200, text: openApi(), headers: { "Content-Type": "application/json" } }),
  };
}

function jwks({ settings, signingKeys }: Dependencies): Endpoint {
  return {
    method: "GET",
    path: "/.well-known/jwks.json",
    summary: "The public keys that verify tokens, RFC 7517",
    access: "public",
    success: { status: 200, about: "The key set; 304 for one you have", type: "application/jwk-set+json" },
    refusals: [],
    cache: `public, max-age=${settings.jwksCacheSeconds}`,
    anyOrigin: true,
    handle(request: EndpointRequest): Answer {
      const { body, etag } = signingKeys.jwks();
      const headers = { ETag: etag };
      // RFC 9110 §13.1.2
      const known = request
        .header("if-none-match")
        ?.split(",")
        .map((tag) => tag.trim().replace(/^W\//, ""));
      if (known?.includes(etag) || known?.includes("*")) return { status: 304, headers };
      return { status: 200, text: body, headers: { ...headers, "Content-Type": "application/jwk-set+json" } };
    },
  };
}
