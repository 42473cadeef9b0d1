import { type Context, Hono, type MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { Refusal } from "./errors.ts";
import { type Arrival, fetchBody } from "./http/arrival.ts";
import type { Log } from "./observability/log.ts";
import { type Departure, exposedHeaders, type Pipeline } from "./pipeline.ts";

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
  readonly pipeline: Pipeline;
  /** What people see, beside the endpoints: page-routes.ts. */
  readonly pages: {
    addTo(app: Hono<RouterEnv>): void;
    notFound(context: Context<RouterEnv>): Response | undefined;
  };
  readonly settings: { readonly allowedOrigins: readonly string[] };
  readonly log: Log;
}

export type RouterEnv = { Bindings: ConnectionInfo };

/** The door for requests as the Fetch Standard has them: finds the row of the URL map, or says what is wrong. */
export function createRouter({ pipeline, pages, settings, log }: Dependencies): Hono<RouterEnv> {
  const { rows } = pipeline;
  const app = new Hono<RouterEnv>();
  const refuse = (context: Context<RouterEnv>, refusal: Refusal, path?: string) =>
    responseOf(pipeline.refuse(refusal, { method: context.req.method, path }));
  // First: pages are for this origin only, so the rules for others below do not touch them.
  pages.addTo(app);
  const anyOrigin = rows.filter(({ endpoint }) => endpoint.anyOrigin === true);
  if (settings.allowedOrigins.length > 0) {
    const allow = corsFor(settings.allowedOrigins);
    const own = rows.filter((row) => !anyOrigin.includes(row));
    for (const path of new Set(own.map(({ endpoint }) => endpoint.path))) app.use(path, allow);
  }
  for (const path of new Set(anyOrigin.map(({ endpoint }) => endpoint.path)))
    app.options(path, preflightForAnyone);
  for (const { endpoint, serve } of rows) {
    app.on(endpoint.method, endpoint.path, async (context) => responseOf(await serve(arrivalOf(context))));
  }
  const methods = Map.groupBy(rows, ({ endpoint }) => endpoint.path);
  for (const [path, taking] of methods) {
    const allowed = taking.map(({ endpoint }) => endpoint.method);
    app.all(path, (context) => refuse(context, notAllowed(allowed), path));
  }
  app.notFound((context) => pages.notFound(context) ?? refuse(context, new Refusal("not_found")));
  app.onError((error, context) => {
    log.error({ err: error, path: context.req.path }, "A request failed before it reached its endpoint");
    return refuse(context, new Refusal("server_error"));
  });
  return app;
}

function arrivalOf(context: Context<RouterEnv>): Arrival {
  const { req } = context;
  return {
    ...fetchBody(req.raw),
    method: req.method,
    path: req.path,
    pathParameters: () => req.param() as Record<string, string>,
    queries: () => req.queries(),
    socketAddress: socketAddressOf(context),
    signal: () => req.raw.signal,
  };
}

export function socketAddressOf({ env }: Context<RouterEnv>): string | undefined {
  const { incoming, remoteAddress } = env ?? {};
  return remoteAddress ?? incoming?.socket?.remoteAddress;
}

/** The headers are a copy: CORS adds to those of the answer, and the endpoint's own are for all its answers. */
function responseOf({ status, headers, body }: Departure): Response {
  return new Response(body ?? null, { status, headers: { ...headers } });
}

/** Fetch §3.2: pages of these origins may call the API with the browser's cookie and read the answers. */
function corsFor(origins: readonly string[]) {
  return cors({
    origin: [...origins],
    credentials: true,
    allowMethods: ["GET", "HEAD", "POST", "DELETE"],
    allowHeaders: ["Authorization", "Content-Type", "DPoP", "Idempotency-Key"],
    exposeHeaders: exposedHeaders,
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

const corsForAnyone = cors({
  origin: "*",
  allowMethods: ["GET", "HEAD", "POST", "PUT", "DELETE"],
  // None: whatever the preflight asks for. Libraries in pages send headers of their own (X-Requested-With, traceparent).
  exposeHeaders: exposedHeaders,
  maxAge: 600,
});

function notAllowed(allowed: readonly string[]): Refusal {
  const methods = allowed.includes("GET") ? [...allowed, "HEAD"] : allowed;
  return new Refusal("method_not_allowed", { headers: { Allow: methods.join(", ") } });
}
