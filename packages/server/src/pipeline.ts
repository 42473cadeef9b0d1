import type { Client } from "./clients/client.ts";
import { Refusal, type RefusalCode } from "./errors.ts";
import { callerAddress } from "./http/address.ts";
import { commonHeaders, refusalAnswer } from "./http/answers.ts";
import type { Arrival } from "./http/arrival.ts";
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

export interface PipelineDependencies {
  readonly endpoints: readonly Endpoint[];
  readonly authentication: {
    user(request: EndpointRequest): Promise<Session>;
    resource(request: EndpointRequest): Promise<Client>;
    client(request: EndpointRequest, how?: ClientLook): Promise<Client>;
  };
  readonly settings: { readonly issuer: string; readonly trustedProxies: number };
  readonly metrics: Pick<Metrics, "requestTook">;
  readonly log: Log;
  readonly traffic: Traffic;
}

/** What leaves, by the door that the request came in by. */
export interface Departure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: nothing is said. */
  readonly body: string | ReadableStream<Uint8Array> | undefined;
}

/** A row of the URL map, with what can be made once for all its answers. */
export interface Row {
  readonly endpoint: Endpoint;
  /** Of an answer in JSON that has no headers of its own: the same object in its departure. */
  readonly headers: Readonly<Record<string, string>>;
  /** Serves a request that has been found to be for this row. It never rejects. */
  serve(arrival: Arrival): Promise<Departure>;
}

export type Pipeline = ReturnType<typeof createPipeline>;

/**
 * The pipeline of every request, from the rows of the URL map: caller, body, access, handler, answer. An endpoint
 * cannot be reached around it, whichever door a request comes in by: routes.ts (fetch) or node-door.ts (node:http).
 */
export function createPipeline(dependencies: PipelineDependencies) {
  const { endpoints, settings } = dependencies;
  const common = commonHeaders(settings.issuer);
  const open = new Set(endpoints.filter(({ anyOrigin }) => anyOrigin === true).map(({ path }) => path));
  // Made once: to put them together for each answer was a tenth of the time that a refresh takes.
  const commonOf = (path: string) => (open.has(path) ? { ...common, ...headersForAnyone } : common);

  return {
    rows: endpoints.map((endpoint): Row => {
      const own = commonOf(endpoint.path);
      const hasParametersInPath = endpoint.path.includes(":");
      const headers = headersOf(endpoint, own);
      const serving = { endpoint, hasParametersInPath, common: own, headers, dependencies };
      return { endpoint, headers, serve: (arrival) => serve(arrival, serving) };
    }),
    /** A refusal of what came to an address and did not become a request of one of its rows. */
    refuse: (refusal: Refusal, arrival: { method: string; path?: string | undefined }): Departure =>
      refusalDeparture(refusal, arrival, arrival.path === undefined ? common : commonOf(arrival.path)),
  };
}

export const exposedHeaders = ["DPoP-Nonce", "Retry-After", "WWW-Authenticate"];
/** Without cookies: what these answer, they would answer anybody who knows what the page knows. */
const headersForAnyone = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": exposedHeaders.join(","),
};

interface Serving {
  readonly endpoint: Endpoint;
  readonly hasParametersInPath: boolean;
  readonly common: Readonly<Record<string, string>>;
  /** Of an answer in JSON. */
  readonly headers: Readonly<Record<string, string>>;
  readonly dependencies: PipelineDependencies;
}

async function serve(arrival: Arrival, serving: Serving): Promise<Departure> {
  const { endpoint, common, headers, dependencies } = serving;
  const started = performance.now();
  const { traffic } = dependencies;
  let departure: Departure;
  try {
    traffic.enters();
    let answer: Answer;
    try {
      answer = await handle(arrival, serving);
    } finally {
      traffic.leaves();
    }
    departure = depart(arrival.method === "HEAD" ? headOf(answer) : answer, headers);
  } catch (error) {
    departure = refusalDeparture(asRefusal(error, { endpoint, log: dependencies.log }), arrival, common);
  }
  dependencies.metrics.requestTook(endpoint.path, departure.status, (performance.now() - started) / 1000);
  return departure;
}

async function handle(arrival: Arrival, serving: Serving): Promise<Answer> {
  const { endpoint, dependencies } = serving;
  const { authentication, settings } = dependencies;
  const { header } = arrival;
  const request = {
    method: arrival.method,
    url: () => settings.issuer + arrival.path,
    body: undefined as unknown,
    path: serving.hasParametersInPath ? arrival.pathParameters() : noNames,
    query: endpoint.query === undefined ? noNames : singleQuery(arrival.queries()),
    header,
    ip: callerOf(arrival, settings),
    userAgent: header("user-agent")?.slice(0, limits.userAgentCharactersMax),
    signal: arrival.signal,
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
    request.body = await readJsonBody(arrival, endpoint.body, endpoint.bodyOptional === true);
  }
  if (endpoint.parameters !== undefined) request.parameters = await readParameters(arrival);
  // A client may authenticate by parameters of the form, so this is after it.
  if (endpoint.access === "client") {
    const look = endpoint.remembersClient?.(request) ? "remembered" : "fresh";
    request.client = await authentication.client(request, look);
  }
  return endpoint.handle(request as UserRequest<never> & ResourceRequest<never> & ClientRequest<never>);
}

const noNames: Readonly<Record<string, string>> = Object.freeze({});
const noParameters = parametersOf([]);

/** The address of the caller, by the connection and the proxies that the settings trust. */
export function callerOf(
  { header, socketAddress }: Pick<Arrival, "header" | "socketAddress">,
  { trustedProxies }: { trustedProxies: number },
): string | undefined {
  return callerAddress({
    socketAddress,
    forwardedFor: trustedProxies === 0 ? undefined : header("x-forwarded-for"),
    trustedProxies,
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

/** Put together once an endpoint; for all its answers that have no headers of their own. */
function headersOf(endpoint: Endpoint, common: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ...common,
    "Cache-Control": endpoint.cache ?? "no-store",
    "Content-Type": "application/json",
  };
}

function depart(answer: Answer, base: Readonly<Record<string, string>>): Departure {
  const { status, json, headers } = answer;
  if (json !== undefined) {
    return {
      status,
      headers: headers === undefined ? base : { ...base, ...headers },
      body: JSON.stringify(json),
    };
  }
  const { "Content-Type": _, ...rest } = base;
  return { status, headers: { ...rest, ...headers }, body: answer.stream ?? answer.text };
}

function refusalDeparture(
  refusal: Refusal,
  { method }: { method: string },
  common: Readonly<Record<string, string>>,
): Departure {
  const { status, headers, text } = refusalAnswer(refusal, common);
  return { status, headers, body: method === "HEAD" ? undefined : text };
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
