import type { Guard } from "./guard.ts";
import type { ResourceMetadata } from "./resource-metadata.ts";

export type MetadataAnswer = {
  readonly status: 200 | 204;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where there is none. */
  readonly body: string;
};

/** What is asked of the metadata: a method, and the target as it came: a path with its query. */
export type MetadataRequest = { readonly method: string | undefined; readonly target: string | undefined };

// Clients in browsers read it too. It is public and no cookie has a say in it, so any origin may.
const anyOrigin = { "Access-Control-Allow-Origin": "*" } as const;
const preflight: MetadataAnswer = Object.freeze({
  status: 204,
  headers: Object.freeze({
    ...anyOrigin,
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    // Clients of MCP send MCP-Protocol-Version.
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
  }),
  body: "",
});

function pathOf(target: string): string {
  const end = target.search(/[?#]/);
  return end === -1 ? target : target.slice(0, end);
}

/**
 * The metadata of a guard that has some.
 *
 * @throws TypeError when createGuard was told none: at the start, rather than by a 404 that nobody sees.
 */
export function metadataOf(guard: Guard): ResourceMetadata {
  if (guard.resourceMetadata !== undefined) return guard.resourceMetadata;
  throw new TypeError("This guard has no metadata to serve: give createGuard `resourceMetadata`.");
}

/** Makes what answers requests for a guard's metadata (RFC 9728 §3), and leaves all others alone. */
export function createMetadataAnswers(guard: Guard) {
  const { paths, document } = metadataOf(guard);
  const served = new Set(paths);
  const body = JSON.stringify(document);
  const headers = Object.freeze({
    ...anyOrigin,
    // RFC 9728 §3.2: "MUST use the 200 OK HTTP status code and return a JSON object using the application/json content
    // type".
    "Content-Type": "application/json",
    "Cache-Control": "public, max-age=300",
    "X-Content-Type-Options": "nosniff",
  });
  const whole: MetadataAnswer = Object.freeze({ status: 200, headers, body });
  const head: MetadataAnswer = Object.freeze({ status: 200, headers, body: "" });

  return function answer({ method, target }: MetadataRequest): MetadataAnswer | undefined {
    if (target === undefined || !served.has(pathOf(target))) return undefined;
    switch (method) {
      case "GET":
        return whole;
      case "HEAD":
        return head;
      case "OPTIONS":
        return preflight;
      default:
        return undefined;
    }
  };
}

/** The answer as the fetch API has it. */
export function metadataResponse({ status, headers, body }: MetadataAnswer): Response {
  return new Response(body === "" ? null : body, { status, headers });
}
