/** Fetch handlers (Deno, Bun, workers, Next.js routes): `protect(guard, (request, { identity }) => new Response())`. */
import { createAdmission, type RequestReader, type RouteRequirement } from "./admission.ts";
import type { Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
import { createMetadataAnswers, metadataResponse } from "./metadata-answer.ts";
import { type Refusal, refusalBody } from "./refusal.ts";

type Handler<I, Rest extends readonly unknown[]> = (
  request: Request,
  context: { readonly identity: I },
  ...rest: Rest
) => Response | Promise<Response>;
type Protected<Rest extends readonly unknown[]> = (request: Request, ...rest: Rest) => Promise<Response>;

const reader: RequestReader<Request> = {
  authorization: ({ headers }) => headers.get("authorization") ?? undefined,
  // Several come joined with a comma.
  proof: ({ headers }) => headers.get("dpop") ?? undefined,
  method: ({ method }) => method,
  url: ({ url }) => url,
};

/** The answer to a refused request. */
export function refusalResponse(refusal: Refusal): Response {
  return Response.json(refusalBody(refusal), { status: refusal.status, headers: refusal.headers });
}

/**
 * A fetch handler that calls yours only for requests with a good token; whatever else the platform hands over
 * (environment, context) is passed on behind the identity.
 */
export function protect<Rest extends readonly unknown[]>(
  guard: Guard,
  handler: Handler<Identity | undefined, Rest>,
  requirement: RouteRequirement & { optional: true },
): Protected<Rest>;
export function protect<Rest extends readonly unknown[]>(
  guard: Guard,
  handler: Handler<Identity, Rest>,
  requirement?: RouteRequirement,
): Protected<Rest>;
export function protect<Rest extends readonly unknown[]>(
  guard: Guard,
  handler: Handler<never, Rest>,
  requirement?: RouteRequirement,
): Protected<Rest> {
  const admit = createAdmission(guard, requirement, reader);
  return async function keyturnGuard(request, ...rest) {
    const admission = await admit(request);
    if (!admission.ok) return refusalResponse(admission.refusal);
    return handler(request, { identity: admission.identity as never }, ...rest);
  };
}

/**
 * A fetch handler that serves the guard's `resourceMetadata` (RFC 9728), to any origin, and hands every other request to
 * yours: `serveMetadata(guard, protect(guard, handler))`. Without a handler of yours it answers 404 to these; that form
 * is for a route of its own, such as `app/.well-known/oauth-protected-resource/[[...path]]/route.ts`.
 *
 * @throws TypeError when the guard has none.
 */
export function serveMetadata<Rest extends readonly unknown[]>(
  guard: Guard,
  handler?: (request: Request, ...rest: Rest) => Response | Promise<Response>,
): Protected<Rest> {
  const answer = createMetadataAnswers(guard);
  return async function keyturnMetadata(request, ...rest) {
    const found = answer({ method: request.method, target: new URL(request.url).pathname });
    if (found !== undefined) return metadataResponse(found);
    return handler === undefined ? new Response(null, { status: 404 }) : handler(request, ...rest);
  };
}
