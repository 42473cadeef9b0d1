import { type Context, Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { Client } from "./clients/client.ts";
import { Refusal, type RefusalCode } from "./errors.ts";
import { callerAddress } from "./http/address.ts";
import { commonHeaders, refusalAnswer } from "./http/answers.ts";
import type { ClientLook } from "./http/authenticate.ts";
import { readJsonBody } from "./http/body.ts";
import type {
  Answer,
  ClientRequest,
  Endpoint,
  EndpointRequest,
  ResourceRequest,
  UserRequest,
} from "./http/endpoint.ts";
import { parametersOf, readParameters } from "./http/parameters.ts";
import type { Traffic } from "./http/traffic.ts";
import type { Log } from "./observability/log.ts";
import type { Metrics } from "./observability/metrics.ts";
import { limits } from "./primitives/limits.ts";
import type { Session } from "./sessions/session.ts";
import { DatabasePaused, DatabaseUnavailable } from "./storage/database.ts";

/** What a caller of `fetch` may say about the connection, besides the request. */
export interface ConnectionInfo {
  /** As @hono/node-server gives it. */
  readonly incoming?:
    | { readonly socket?: { readonly remoteAddress?: string | undefined } | undefined }
    | undefined;
  /** For a caller that has no socket to show: the address that the request came from. */
  readonly remoteAddress?: string | undefined;
}

interface Dependencies {
  readonly endpoints: readonly Endpoint[];
  /** What people see, beside the endpoints: page-routes.ts. */
  readonly pages: {
    addTo(app: Hono<RouterEnv>): void;
    notFound(context: Context<RouterEnv>): Response | undefined;
  };
  readonly authentication: {
    user(request: EndpointRequest): Promise<Session>;
    resource(request: EndpointRequest): Promise<Client>;
    client(request: EndpointRequest, how?: ClientLook): Promise<Client>;
  };
  readonly settings: {
    readonly issuer: string;
    readonly trustedProxies: number;
    readonly allowedOrigins: readonly string[];
  };
  readonly metrics: Metrics;
  readonly log: Log;
  readonly traffic: Traffic;
}

export type RouterEnv = { Bindings: ConnectionInfo };

/**
 * The pipeline of every request, from the rows of the URL map: caller, body, access, handler, answer. An endpoint
 * cannot be reached around it.
 */
export function createRouter(dependencies: Dependencies): Hono<RouterEnv> {
  const { endpoints, settings } = dependencies;
  const common = commonHeaders(settings.issuer);
  const app = new Hono<RouterEnv>();
  // First: pages are for this origin only, so the rules for others below do not touch them.
  dependencies.pages.addTo(app);
  if (settings.allowedOrigins.length > 0) {
    const allow = corsFor(settings.allowedOrigins);
    const own = endpoints.filter((endpoint) => endpoint.anyOrigin !== true);
    for (const path of new Set(own.map((endpoint) => endpoint.path))) app.use(path, allow);
  }
  const open = new Set(endpoints.filter(({ anyOrigin }) => anyOrigin === true).map(({ path }) => path));
  for (const path of open) app.options(path, preflightForAnyone);
  // Made once: the library would do it for each answer, at a tenth of the time that a refresh takes.
  const commonOf = (path: string) => (open.has(path) ? { ...common, ...headersForAnyone } : common);
  for (const endpoint of endpoints) {
    const own = commonOf(endpoint.path);
    const headers = headersOf(endpoint, own);
    app.on(endpoint.method, endpoint.path, (context) =>
      serve({ context, endpoint, common: own, headers, dependencies }),
    );
  }
  const methods = new Map<string, string[]>();
  for (const { method, path } of endpoints) methods.set(path, [...(methods.get(path) ?? []), method]);
  for (const [path, allowed] of methods) {
    const own = commonOf(path);
    app.all(path, (context) => refuse(context, { refusal: notAllowed(allowed), common: own }));
  }
  app.notFound(
    (context) =>
      dependencies.pages.notFound(context) ?? refuse(context, { refusal: new Refusal("not_found"), common }),
  );
  app.onError((error, context) => {
    dependencies.log.error(
      { err: error, path: context.req.path },
      "A request failed before it reached its endpoint",
    );
    return refuse(context, { refusal: new Refusal("server_error"), common });
  });
  return app;
}

/** Fetch §3.2: pages of these origins may call the API with the browser's cookie and read the answers. */
function corsFor(origins: readonly string[]) {
  return cors({
    origin: [...origins],
    credentials: true,
    allowMethods: ["GET", "HEAD", "POST", "DELETE"],
    allowHeaders: ["Authorization", "Content-Type", "DPoP", "Idempotency-Key"],
    exposeHeaders: ["DPoP-Nonce", "Retry-After", "WWW-Authenticate"],
    maxAge: 600,
  });
}

/** Without cookies: what these answer, they would answer anybody who knows what the page knows. */
const preflightForAnyone: MiddlewareHandler<RouterEnv> = (context, next) => {
  // Only a browser's preflight is answered here; any other OPTIONS is a method that the address does not take.
  const isOther =
    context.req.method === "OPTIONS" && context.req.header("access-control-request-method") === undefined;
  return isOther ? next() : corsForAnyone(context, next);
};

const exposedHeaders = ["DPoP-Nonce", "Retry-After", "WWW-Authenticate"];
const headersForAnyone = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": exposedHeaders.join(","),
};

const corsForAnyone = cors({
  origin: "*",
  allowMethods: ["GET", "HEAD", "POST", "PUT", "DELETE"],
  // None: whatever the preflight asks for. Libraries in pages send headers of their own (X-Requested-With, traceparent).
  exposeHeaders: exposedHeaders,
  maxAge: 600,
});

interface Serving {
  readonly context: Context<RouterEnv>;
  readonly endpoint: Endpoint;
  readonly common: Readonly<Record<string, string>>;
  /** Of an answer in JSON. */
  readonly headers: Readonly<Record<string, string>>;
  readonly dependencies: Dependencies;
}

async function serve(serving: Serving): Promise<Response> {
  const { context, endpoint, common, headers, dependencies } = serving;
  const started = performance.now();
  let response: Response;
  try {
    const answer = await dependencies.traffic.through(() => handle(serving));
    response = respond(context.req.method === "HEAD" ? headOf(answer) : answer, headers);
  } catch (error) {
    response = refuse(context, { refusal: asRefusal(error, { endpoint, log: dependencies.log }), common });
  }
  dependencies.metrics.requestTook(endpoint.path, response.status, (performance.now() - started) / 1000);
  return response;
}

async function handle({ context, endpoint, dependencies }: Serving): Promise<Answer> {
  const { req } = context;
  const { authentication, settings } = dependencies;
  const header = (name: string) => req.header(name);
  const request = {
    method: req.method,
    url: () => settings.issuer + req.path,
    body: undefined as unknown,
    path: endpoint.path.includes(":") ? req.param() : {},
    query: endpoint.query === undefined ? {} : singleQuery(req.queries()),
    header,
    ip: callerOf(context, settings),
    userAgent: header("user-agent")?.slice(0, limits.userAgentCharactersMax),
    signal: () => req.raw.signal,
    session: undefined as Session | undefined,
    parameters: noParameters,
    resource: undefined as Client | undefined,
    client: undefined as Client | undefined,
    clientAnew: () => authentication.client(request, "anew"),
  };
  // Access before body: a stranger's body is not even read where only users may call.
  if (endpoint.access === "user") request.session = await authentication.user(request);
  if (endpoint.access === "resource") request.resource = await authentication.resource(request);
  if (endpoint.body !== undefined) {
    request.body = await readJsonBody(req.raw, endpoint.body, endpoint.bodyOptional === true);
  }
  if (endpoint.parameters !== undefined) request.parameters = await readParameters(req.raw);
  // A client may authenticate by parameters of the form, so this is after it.
  if (endpoint.access === "client") {
    const look = endpoint.remembersClient?.(request) ? "remembered" : "fresh";
    request.client = await authentication.client(request, look);
  }
  return endpoint.handle(request as UserRequest<never> & ResourceRequest<never> & ClientRequest<never>);
}

const noParameters = parametersOf([]);

/** The address of the caller, by the connection and the proxies that the settings trust. */
export function callerOf(
  context: Context<RouterEnv>,
  settings: { trustedProxies: number },
): string | undefined {
  const { incoming, remoteAddress } = context.env ?? {};
  return callerAddress({
    socketAddress: remoteAddress ?? incoming?.socket?.remoteAddress,
    forwardedFor: settings.trustedProxies === 0 ? undefined : context.req.header("x-forwarded-for"),
    trustedProxies: settings.trustedProxies,
  });
}

/** @throws Refusal invalid_request for a parameter that is repeated, so that no two readers can differ. */
export function singleQuery(queries: Record<string, string[]>): Record<string, string> {
  const single: Record<string, string> = {};
  for (const [name, values] of Object.entries(queries)) {
    if (values.length > 1) {
      throw new Refusal("invalid_request", { description: "A query parameter is repeated. Send it once." });
    }
    single[name] = values[0] ?? "";
  }
  return single;
}

/** RFC 9110 §9.3.2. A stream would go on for a reader who is not there. */
function headOf(answer: Answer): Answer {
  const { stream, ...rest } = answer;
  void stream?.cancel();
  return rest;
}

/** Put together once an endpoint: an answer takes a copy. */
function headersOf(endpoint: Endpoint, common: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ...common,
    "Cache-Control": endpoint.cache ?? "no-store",
    "Content-Type": "application/json",
  };
}

function respond(answer: Answer, base: Readonly<Record<string, string>>): Response {
  const { status } = answer;
  if (answer.json !== undefined) {
    return new Response(JSON.stringify(answer.json), { status, headers: { ...base, ...answer.headers } });
  }
  const { "Content-Type": _, ...rest } = base;
  return new Response(answer.stream ?? answer.text ?? null, {
    status,
    headers: { ...rest, ...answer.headers },
  });
}

function refuse(
  context: Context<RouterEnv>,
  { refusal, common }: { refusal: Refusal; common: Readonly<Record<string, string>> },
): Response {
  const { status, headers, text } = refusalAnswer(refusal, common);
  return new Response(context.req.method === "HEAD" ? null : text, { status, headers });
}

function notAllowed(allowed: readonly string[]): Refusal {
  const methods = allowed.includes("GET") ? [...allowed, "HEAD"] : allowed;
  return new Refusal("method_not_allowed", { headers: { Allow: methods.join(", ") } });
}

function asRefusal(error: unknown, { endpoint, log }: { endpoint: Endpoint; log: Log }): Refusal {
  if (error instanceof Refusal) return error;
  const where = { endpoint: `${endpoint.method} ${endpoint.path}` };
  // No line in the log for each: a pause is the operator's own doing, and every request meets it.
  if (error instanceof DatabasePaused) return new Refusal("busy", { headers: { "Retry-After": "2" } });
  if (error instanceof DatabaseUnavailable) {
    log.error({ err: error, ...where }, "The database could not do its part");
    return new Refusal("unavailable", { headers: { "Retry-After": "1" } });
  }
  log.error({ err: error, ...where }, "A request failed");
  return new Refusal("server_error" satisfies RefusalCode);
}
