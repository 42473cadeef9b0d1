import type { z } from "zod";
import type { Client } from "../clients/client.ts";
import type { RefusalCode } from "../errors.ts";
import type { Session } from "../sessions/session.ts";
import type { Parameters } from "./parameters.ts";

/** What an endpoint is given: everything about the request that has been checked by its row in routes.ts. */
export interface EndpointRequest<Body = unknown> {
  readonly method: string;
  /** The address that the client used, without a query: the issuer's, whatever a proxy made of it. */
  url(): string;
  readonly body: Body;
  /** Parameters of the path. */
  readonly path: Readonly<Record<string, string>>;
  /** Query parameters; a repeated one has been refused. */
  readonly query: Readonly<Record<string, string>>;
  /** Those of a posted form, for an endpoint whose row has `parameters`; else empty. */
  readonly parameters: Parameters;
  header(name: string): string | undefined;
  /** The address that the request came from, behind as many proxies as the settings trust. */
  readonly ip: string | undefined;
  readonly userAgent: string | undefined;
  /** Aborted when the caller is gone; for an endpoint that `streams`. A function, for making one is dear. */
  signal(): AbortSignal;
}

/** A request with a good access token, or the cookie, of a session that is not over. */
export interface UserRequest<Body = unknown> extends EndpointRequest<Body> {
  readonly session: Session;
}

/** A request that a registered resource has authenticated (HTTP Basic). */
export interface ResourceRequest<Body = unknown> extends EndpointRequest<Body> {
  readonly resource: Client;
}

/** A request that a registered client has authenticated, in the way that it is registered for. RFC 6749 §2.3. */
export interface ClientRequest<Body = unknown> extends EndpointRequest<Body> {
  readonly client: Client;
  /** Authenticates it again, by what the database has now. For an endpoint that `remembersClient`. */
  clientAnew(): Promise<Client>;
}

export interface Answer {
  readonly status: 200 | 201 | 202 | 204 | 304;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** JSON made already, or text of the type that the headers name. */
  readonly text?: string;
  readonly stream?: ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
}

interface EndpointBase {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** As Hono writes it: /sessions/:id */
  readonly path: string;
  /** One sentence for the OpenAPI document and docs/endpoints.md. */
  readonly summary: string;
  /** The JSON body. Without one, a body is not read. */
  readonly body?: z.ZodType;
  /** The body may be left out altogether. */
  readonly bodyOptional?: boolean;
  readonly query?: Readonly<Record<string, { readonly about: string }>>;
  /** The parameters of a posted form, as OAuth has them. */
  readonly parameters?: Readonly<Record<string, { readonly about: string }>>;
  readonly requestHeaders?: Readonly<Record<string, { readonly about: string }>>;
  readonly success: {
    readonly status: 200 | 201 | 202 | 204;
    readonly about: string;
    readonly schema?: z.ZodType;
    readonly type?: string;
  };
  /** Codes of the catalogue that this endpoint itself may answer with, besides those every endpoint may. */
  readonly refusals: readonly RefusalCode[];
  /** Whether an answer may be a stream, or the handler asks for `signal`: then it has the door that knows both. */
  readonly streams?: true;
  /** Default: no-store. */
  readonly cache?: string;
  /** Whether pages of any origin may call it, without cookies (public keys, discovery, OAuth). Default: no. */
  readonly anyOrigin?: boolean;
}

/** One row of the URL map. `access` says who may call, and so what the handler is given. */
export type Endpoint = EndpointBase &
  (
    | { readonly access: "public"; handle(request: EndpointRequest<never>): Answer | Promise<Answer> }
    | { readonly access: "user"; handle(request: UserRequest<never>): Answer | Promise<Answer> }
    | { readonly access: "resource"; handle(request: ResourceRequest<never>): Answer | Promise<Answer> }
    | {
        readonly access: "client";
        /** Whether a client as it was a moment ago will do, because the handler has the database compare it. */
        remembersClient?(request: EndpointRequest): boolean;
        handle(request: ClientRequest<never>): Answer | Promise<Answer>;
      }
  );
