/** Express 5 and 4: `app.get("/photos", protect(guard, { scopes: ["photos:read"] }), handler)`. */
import { type Admission, createAdmission, type RequestReader, type RouteRequirement } from "./admission.ts";
import type { Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
import { createMetadataAnswers } from "./metadata-answer.ts";
import {
  hostOf,
  type NodeRequest,
  type NodeResponse,
  nodeReader,
  protocolOf,
  sendMetadata,
  sendRefusal,
} from "./node-message.ts";
import { requestUrl } from "./request-url.ts";

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

export type ExpressRequest = NodeRequest & {
  readonly protocol?: string;
  readonly originalUrl?: string;
  identity?: Identity;
};
export type ExpressMiddleware = (
  request: ExpressRequest,
  response: NodeResponse,
  next: (error?: unknown) => void,
) => void;

const reader: RequestReader<ExpressRequest> = {
  ...nodeReader,
  url: (request) =>
    requestUrl({
      // Express reads X-Forwarded-Proto only where its "trust proxy" says so.
      protocol: request.protocol ?? protocolOf(request),
      host: hostOf(request),
      // A router that is mounted takes its prefix off `url`.
      target: request.originalUrl,
    }),
};

/**
 * Middleware that lets only requests with a good token through and puts `identity` on the request.
 *
 * Put CORS in front of it: a preflight (OPTIONS) carries no token and is refused like any other request without one.
 */
export function protect(guard: Guard, requirement?: RouteRequirement): ExpressMiddleware {
  const admit = createAdmission(guard, requirement, reader);
  return function keyturnGuard(request, response, next) {
    function proceed(admission: Admission): void {
      if (!admission.ok) {
        sendRefusal(response, admission.refusal);
        return;
      }
      if (admission.identity !== undefined) request.identity = admission.identity;
      next();
    }
    const admission = admit(request);
    if (admission instanceof Promise) admission.then(proceed).catch(next);
    else proceed(admission);
  };
}

/**
 * Middleware that serves the guard's `resourceMetadata` (RFC 9728), to any origin: `app.use(serveMetadata(guard))`, on
 * the app itself and in front of `protect`.
 *
 * @throws TypeError when the guard has none.
 */
export function serveMetadata(guard: Guard): ExpressMiddleware {
  const answer = createMetadataAnswers(guard);
  return function keyturnMetadata(request, response, next) {
    const found = answer({ method: request.method, target: request.originalUrl ?? request.url });
    if (found === undefined) next();
    else sendMetadata(response, found);
  };
}
