import type { AuthorizationHeader, RequestReader } from "./admission.ts";
import type { MetadataAnswer } from "./metadata-answer.ts";
import { type Refusal, refusalBody } from "./refusal.ts";
import { requestUrl } from "./request-url.ts";

/** What is needed of a request of node:http, so that Express needs no types of Node's. */
export type NodeRequest = {
  readonly headers: {
    readonly authorization?: string | undefined;
    readonly host?: string | undefined;
    readonly [name: string]: string | string[] | undefined;
  };
  readonly rawHeaders?: readonly string[] | undefined;
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly socket?: object | undefined;
};

/** What is needed of a response of node:http. */
export type NodeResponse = {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
};

/**
 * The Authorization headers of a request. Node keeps the first of several and drops the rest in silence; a proxy in
 * front may have looked at another one, so they are counted.
 */
function authorizationOf({ headers, rawHeaders }: NodeRequest): AuthorizationHeader {
  const first = headers.authorization;
  if (first === undefined || rawHeaders === undefined) return first;
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 13 && name.toLowerCase() === "authorization") seen++;
  }
  return seen > 1 ? [first, ""] : first;
}

/** Whether the request came by TLS to this process. */
export function protocolOf({ socket }: NodeRequest): string {
  return (socket as { readonly encrypted?: unknown } | undefined)?.encrypted === true ? "https" : "http";
}

/** The host that was asked for, in HTTP/1 or 2. */
export function hostOf({ headers }: NodeRequest): string | undefined {
  const host = headers[":authority"] ?? headers.host;
  return typeof host === "string" ? host : undefined;
}

/** Reads a request of node:http or node:http2. */
export const nodeReader: RequestReader<NodeRequest> = {
  authorization: authorizationOf,
  // Node joins several with a comma.
  proof: ({ headers }) => headers.dpop,
  method: ({ method }) => method ?? "",
  url: (request) => requestUrl({ protocol: protocolOf(request), host: hostOf(request), target: request.url }),
};

/** Answers with the refusal. */
export function sendRefusal(response: NodeResponse, refusal: Refusal): void {
  response.statusCode = refusal.status;
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.end(JSON.stringify(refusalBody(refusal)));
}

/** Answers with the metadata. */
export function sendMetadata(response: NodeResponse, { status, headers, body }: MetadataAnswer): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(body);
}
