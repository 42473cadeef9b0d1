/** Hono 4: `app.get("/photos", protect(guard, { scopes: ["photos:read"] }), handler)`. */
import { createAdmission, type RequestReader, type RouteRequirement } from "./admission.ts";
import type { Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
import { createMetadataAnswers, metadataResponse } from "./metadata-answer.ts";
import { refusalBody } from "./refusal.ts";

/** For `new Hono<{ Variables: GuardVariables }>()`: then `c.get("identity")` is typed. */
export type GuardVariables = { identity: Identity };
/** The same where routes are protected with `optional: true`. */
export type OptionalGuardVariables = { identity: Identity | undefined };

/** What is needed of Hono's context; Hono itself is not imported. */
export type GuardedContext = {
  readonly req: {
    readonly method: string;
    readonly url: string;
    header(name: string): string | undefined;
  };
  set(key: "identity", value: Identity): void;
  body(body: string, status: 400 | 401 | 403 | 503, headers: Record<string, string>): Response;
};
export type HonoMiddleware = (
  // biome-ignore lint/suspicious/noExplicitAny: a context of any variables; what is used of it is GuardedContext
  context: any,
  next: () => Promise<void>,
) => Promise<Response | undefined>;

const reader: RequestReader<GuardedContext> = {
  authorization: ({ req }) => req.header("authorization"),
  // Several come joined with a comma.
  proof: ({ req }) => req.header("dpop"),
  method: ({ req }) => req.method,
  url: ({ req }) => req.url,
};

/**
 * Middleware that lets only requests with a good token through and sets `identity` on the context.
 *
 * Put CORS in front of it: a preflight (OPTIONS) carries no token and is refused like any other request without one.
 */
export function protect(guard: Guard, requirement?: RouteRequirement): HonoMiddleware {
  const admit = createAdmission(guard, requirement, reader);
  return async function keyturnGuard(context: GuardedContext, next) {
    const pending = admit(context);
    const admission = pending instanceof Promise ? await pending : pending;
    if (!admission.ok) {
      const { refusal } = admission;
      const headers = { ...refusal.headers, "Content-Type": "application/json; charset=utf-8" };
      return context.body(JSON.stringify(refusalBody(refusal)), refusal.status, headers);
    }
    if (admission.identity !== undefined) context.set("identity", admission.identity);
    await next();
    return undefined;
  };
}

/**
 * Middleware that serves the guard's `resourceMetadata` (RFC 9728), to any origin: `app.use(serveMetadata(guard))`, on
 * the app itself and in front of `protect`.
 *
 * @throws TypeError when the guard has none.
 */
export function serveMetadata(guard: Guard): HonoMiddleware {
  const answer = createMetadataAnswers(guard);
  return async function keyturnMetadata({ req }: Pick<GuardedContext, "req">, next) {
    const found = answer({ method: req.method, target: new URL(req.url).pathname });
    if (found !== undefined) return metadataResponse(found);
    await next();
    return undefined;
  };
}
