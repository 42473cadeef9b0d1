/** Express 5 and 4: `app.get("/photos", protect(guard, { scopes: ["photos:read"] }), handler)`. */
import { type Admission, admit, type RouteRequirement } from "./admission.ts";
import type { Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
import { authorizationOf, type NodeRequest, type NodeResponse, sendRefusal } from "./node-message.ts";

declare global {
  // Express merges its Request with this one (@types/express-serve-static-core). Where these types are not installed
  // it is a name that nobody uses.
  // biome-ignore lint/style/noNamespace: the place where Express looks for additions to its Request
  namespace Express {
    interface Request {
      /** Set by `protect` of @keyturn/guard/express; read it with `identityOf(request)`. */
      identity?: Identity;
    }
  }
}

export type ExpressRequest = NodeRequest & { identity?: Identity };
export type ExpressMiddleware = (
  request: ExpressRequest,
  response: NodeResponse,
  next: (error?: unknown) => void,
) => void;

/**
 * Middleware that lets only requests with a good token through and puts `identity` on the request.
 *
 * Put CORS in front of it: a preflight (OPTIONS) carries no token and is refused like any other request without one.
 */
export function protect(guard: Guard, requirement?: RouteRequirement): ExpressMiddleware {
  return function keyturnGuard(request, response, next) {
    function proceed(admission: Admission): void {
      if (!admission.ok) {
        sendRefusal(response, admission.refusal);
        return;
      }
      if (admission.identity !== undefined) request.identity = admission.identity;
      next();
    }
    const admission = admit(guard, authorizationOf(request), requirement);
    if (admission instanceof Promise) admission.then(proceed).catch(next);
    else proceed(admission);
  };
}
