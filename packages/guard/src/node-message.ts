import type { AuthorizationHeader } from "./admission.ts";
import { type Refusal, refusalBody } from "./refusal.ts";

/** What is needed of a request of node:http, so that Express needs no types of Node's. */
export type NodeRequest = {
  readonly headers: { readonly authorization?: string | undefined };
  readonly rawHeaders?: readonly string[] | undefined;
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
export function authorizationOf({ headers, rawHeaders }: NodeRequest): AuthorizationHeader {
  const first = headers.authorization;
  if (first === undefined || rawHeaders === undefined) return first;
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 13 && name.toLowerCase() === "authorization") seen++;
  }
  return seen > 1 ? [first, ""] : first;
}

/** Answers with the refusal. */
export function sendRefusal(response: NodeResponse, refusal: Refusal): void {
  response.statusCode = refusal.status;
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.end(JSON.stringify(refusalBody(refusal)));
}
