/** node:http: `createServer(protect(guard, (request, response, { identity }) => { ... }))`. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Admission, createAdmission, type RouteRequirement } from "./admission.ts";
import type { Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
import { createMetadataAnswers } from "./metadata-answer.ts";
import { nodeReader, sendMetadata, sendRefusal } from "./node-message.ts";

type Handler<I> = (
  request: IncomingMessage,
  response: ServerResponse,
  context: { readonly identity: I },
) => unknown;
export type NodeHandler = Handler<Identity>;
export type OptionalNodeHandler = Handler<Identity | undefined>;
type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * A request listener that calls the handler only for requests with a good token. What the handler does with its
 * errors is its own business, as without the guard.
 */
export function protect(
  guard: Guard,
  handler: OptionalNodeHandler,
  requirement: RouteRequirement & { optional: true },
): Listener;
export function protect(guard: Guard, handler: NodeHandler, requirement?: RouteRequirement): Listener;
export function protect(guard: Guard, handler: Handler<never>, requirement?: RouteRequirement): Listener {
  const admit = createAdmission(guard, requirement, nodeReader);
  return function keyturnGuard(request, response) {
    function proceed(admission: Admission): unknown {
      if (!admission.ok) return sendRefusal(response, admission.refusal);
      return handler(request, response, { identity: admission.identity as never });
    }
    const admission = admit(request);
    if (admission instanceof Promise) void admission.then(proceed);
    else proceed(admission);
  };
}

/**
 * A request listener that serves the guard's `resourceMetadata` (RFC 9728), to any origin, and hands every other request
 * to yours: `createServer(serveMetadata(guard, protect(guard, handler)))`.
 *
 * @throws TypeError when the guard has none.
 */
export function serveMetadata(guard: Guard, listener: Listener): Listener {
  const answer = createMetadataAnswers(guard);
  return function keyturnMetadata(request, response) {
    const found = answer({ method: request.method, target: request.url });
    if (found === undefined) listener(request, response);
    else sendMetadata(response, found);
  };
}
