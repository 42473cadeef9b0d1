/// <reference types="fastify" preserve="true" />
/** Fastify 5: `app.get("/photos", { onRequest: protect(guard, { scopes: ["photos:read"] }) }, handler)`. */
import { type Admission, createAdmission, type RequestReader, type RouteRequirement } from "./admission.ts";
import type { Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
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
  instance.addHook("onRequest", protect(guard, requirement));
  done();
}

// Fastify's word for "belongs to the scope that registers it", instead of a scope of its own that has no routes.
Object.assign(guardPlugin, { [Symbol.for("skip-override")]: true });
