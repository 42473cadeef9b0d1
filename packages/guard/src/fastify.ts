/// <reference types="fastify" preserve="true" />
/** Fastify 5: `app.get("/photos", { onRequest: protect(guard, { scopes: ["photos:read"] }) }, handler)`. */
import { type Admission, createAdmission, type RequestReader, type RouteRequirement } from "./admission.ts";
import type { Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
import { createMetadataAnswers, metadataOf } from "./metadata-answer.ts";
import { hostOf, type NodeRequest, nodeReader, protocolOf } from "./node-message.ts";
import { type Refusal, refusalBody } from "./refusal.ts";
import { requestUrl } from "./request-url.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set by @keyturn/guard/fastify; read it with `identityOf(request)`. */
    identity?: Identity | null;
  }
}

/** What is needed of Fastify's request and reply; Fastify itself is not imported. */
export type GuardedRequest = {
  readonly raw: NodeRequest;
  readonly protocol?: string;
  readonly originalUrl?: string;
  readonly routeOptions?: { readonly config?: object };
  identity?: Identity | null;
};
export type GuardedReply = {
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  send(body: unknown): unknown;
};
export type GuardHook = (request: GuardedRequest, reply: GuardedReply, done: (error?: Error) => void) => void;

type GuardedInstance = {
  hasRequestDecorator(name: string): boolean;
  decorateRequest(name: string, value: null): unknown;
  addHook(name: "onRequest", hook: GuardHook): unknown;
};
type RoutedInstance = {
  route(route: {
    readonly method: string[];
    readonly url: string;
    readonly config: object;
    handler(request: GuardedRequest, reply: GuardedReply): void;
  }): unknown;
};

/** Marks the routes of `metadataPlugin`: who has no token yet must be able to read how to get one. */
const isMetadata = Symbol("keyturn metadata");

const reader: RequestReader<GuardedRequest> = {
  authorization: ({ raw }) => nodeReader.authorization(raw),
  proof: ({ raw }) => nodeReader.proof(raw),
  method: ({ raw }) => nodeReader.method(raw),
  url: ({ raw, protocol = protocolOf(raw), originalUrl }) =>
    // Fastify reads X-Forwarded-Proto only where its `trustProxy` says so; `rewriteUrl` changes the raw URL.
    requestUrl({ protocol, host: hostOf(raw), target: originalUrl }),
};

function sendRefusal(reply: GuardedReply, refusal: Refusal): void {
  reply.code(refusal.status);
  for (const [name, value] of Object.entries(refusal.headers)) reply.header(name, value);
  reply.send(refusalBody(refusal));
}

/**
 * A hook for `onRequest` or `preHandler` that lets only requests with a good token through.
 *
 * Put CORS in front of it: a preflight (OPTIONS) carries no token and is refused like any other request without one.
 */
export function protect(guard: Guard, requirement?: RouteRequirement): GuardHook {
  const admit = createAdmission(guard, requirement, reader);
  return function keyturnGuard(request, reply, done) {
    function proceed(admission: Admission): void {
      if (!admission.ok) {
        sendRefusal(reply, admission.refusal);
        return;
      }
      if (admission.identity !== undefined) request.identity = admission.identity;
      done();
    }
    const admission = admit(request);
    if (admission instanceof Promise) admission.then(proceed).catch(done);
    else proceed(admission);
  };
}

export type GuardPluginOptions = { readonly guard: Guard; readonly requirement?: RouteRequirement };

/** A plugin that protects every route of the scope it is registered in: `app.register(guardPlugin, { guard })`. */
export function guardPlugin(
  instance: GuardedInstance,
  { guard, requirement }: GuardPluginOptions,
  done: () => void,
): void {
  // Gives every request the same shape, which Fastify asks for.
  if (!instance.hasRequestDecorator("identity")) instance.decorateRequest("identity", null);
  const hook = protect(guard, requirement);
  instance.addHook("onRequest", (request, reply, next) => {
    const { config = {} } = request.routeOptions ?? {};
    if (isMetadata in config) next();
    else hook(request, reply, next);
  });
  done();
}

/**
 * A plugin that serves the guard's `resourceMetadata` (RFC 9728), to any origin: `app.register(metadataPlugin, { guard })`
 * on the app itself. `guardPlugin` beside it lets these routes through. Fails when the guard has none.
 */
export function metadataPlugin(
  instance: RoutedInstance,
  { guard }: Pick<GuardPluginOptions, "guard">,
  done: (error?: Error) => void,
): void {
  try {
    addMetadataRoutes(instance, guard);
    done();
  } catch (error) {
    done(error as Error);
  }
}

function addMetadataRoutes(instance: RoutedInstance, guard: Guard): void {
  const answer = createMetadataAnswers(guard);
  for (const path of metadataOf(guard).paths) {
    instance.route({
      method: ["GET", "HEAD", "OPTIONS"],
      // To Fastify a colon begins a parameter.
      url: path.replaceAll(":", "::"),
      config: { [isMetadata]: true },
      handler({ raw }, reply) {
        const found = answer({ method: raw.method, target: path });
        reply.code(found?.status ?? 404);
        for (const [name, value] of Object.entries(found?.headers ?? {})) reply.header(name, value);
        reply.send(found?.body);
      },
    });
  }
}

// Fastify's word for "belongs to the scope that registers it", instead of a scope of its own that has no routes.
Object.assign(guardPlugin, { [Symbol.for("skip-override")]: true });
