import { z } from "zod";
import { type RefusalCode, refreshRefusalReasons, refusals, sessionRefusalReasons } from "./errors.ts";
import { cookieName } from "./http/browser-sessions.ts";
import type { Endpoint } from "./http/endpoint.ts";

/** Every endpoint may answer with these; `busy` while the database is being moved. */
const always: readonly RefusalCode[] = ["busy", "unavailable", "server_error"];
const withBody: readonly RefusalCode[] = [
  "invalid_request",
  "invalid_json",
  "unsupported_media_type",
  "body_too_large",
];
const withForm: readonly RefusalCode[] = ["invalid_request", "unsupported_media_type", "body_too_large"];
const byAccess = {
  public: [],
  user: ["missing_token", "invalid_token", "invalid_session", "cross_site_request"],
  resource: ["invalid_client"],
  client: ["invalid_client"],
} as const satisfies Record<Endpoint["access"], readonly RefusalCode[]>;

const security = {
  public: [],
  user: [{ accessToken: [] }, { sessionCookie: [] }],
  resource: [{ resource: [] }],
  client: [{ client: [] }, {}],
};

/** All refusals that an endpoint can answer with. */
export function refusalsOf(endpoint: Endpoint): RefusalCode[] {
  const query: RefusalCode[] = endpoint.query === undefined ? [] : ["invalid_request"];
  const form: readonly RefusalCode[] = endpoint.parameters === undefined ? query : withForm;
  const body = endpoint.body === undefined ? form : withBody;
  return [...new Set([...endpoint.refusals, ...byAccess[endpoint.access], ...body, ...always])];
}

/** The OpenAPI 3.1 document, from the rows of the URL map: what is not served is not in it, and the reverse. */
export function openApiDocument(endpoints: readonly Endpoint[], about: { issuer: string; version: string }) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replaceAll(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(endpoint) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Keyturn",
      version: about.version,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: about.issuer }],
    paths,
    components: {
      securitySchemes: {
        accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        sessionCookie: { type: "apiKey", in: "cookie", name: cookieName(about.issuer) },
        resource: { type: "http", scheme: "basic" },
        client: { type: "http", scheme: "basic" },
      },
      schemas: { Error: errorSchema() },
    },
  };
}

function operation(endpoint: Endpoint) {
  const parameters = [
    ...[...endpoint.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    ...named(endpoint.query, "query"),
    ...named(endpoint.requestHeaders, "header"),
  ];
  return {
    operationId: operationId(endpoint),
    summary: endpoint.summary,
    security: security[endpoint.access],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(endpoint.body === undefined
      ? {}
      : {
          requestBody: {
            required: endpoint.bodyOptional !== true,
            content: { "application/json": { schema: jsonSchema(endpoint.body, "input") } },
          },
        }),
    ...(endpoint.parameters === undefined ? {} : { requestBody: formBody(endpoint.parameters) }),
    responses: { ...success(endpoint), ...refused(endpoint) },
  };
}

function formBody(parameters: Readonly<Record<string, { about: string }>>) {
  const properties = Object.fromEntries(
    Object.entries(parameters).map(([name, { about }]) => [name, { type: "string", description: about }]),
  );
  return {
    content: { "application/x-www-form-urlencoded": { schema: { type: "object", properties } } },
  };
}

function named(
  parameters: Readonly<Record<string, { about: string }>> | undefined,
  place: "query" | "header",
) {
  return Object.entries(parameters ?? {}).map(([name, { about }]) => ({
    name,
    in: place,
    description: about,
    schema: { type: "string" },
  }));
}

function success({ success: { status, about, schema, type } }: Endpoint) {
  const content =
    schema === undefined
      ? type === undefined
        ? undefined
        : { [type]: {} }
      : { "application/json": { schema: jsonSchema(schema, "output") } };
  return { [status]: { description: about, ...(content === undefined ? {} : { content }) } };
}

function refused(endpoint: Endpoint) {
  const byStatus = new Map<number, RefusalCode[]>();
  for (const code of refusalsOf(endpoint)) {
    const { status } = refusals[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${refusals[code].sentence}`).join("\n"),
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    ]),
  );
}

function errorSchema() {
  return {
    type: "object",
    required: ["error", "error_description"],
    properties: {
      error: { type: "string", enum: Object.keys(refusals) },
      error_description: { type: "string" },
      reason: {
        type: "string",
        enum: [...new Set([...Object.keys(refreshRefusalReasons), ...Object.keys(sessionRefusalReasons)])],
      },
    },
  };
}

function operationId({ method, path }: Endpoint): string {
  const words = path.split(/[/:._-]+/).filter((word) => word !== "");
  return [method.toLowerCase(), ...(words.length === 0 ? ["root"] : words)]
    .map((word, index) => (index === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join("");
}

function jsonSchema(schema: z.ZodType, io: "input" | "output") {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}
