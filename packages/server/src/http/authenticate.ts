import type { Guard, Refusal as GuardRefusal } from "@keyturn/guard";
import type { Client } from "../clients/client.ts";
import { basicReadings, type createClientAuthentication } from "../clients/client-authentication.ts";
import type { Clients } from "../clients/clients.ts";
import { Refusal, type SessionRefusalReason, sessionRefusalReasons } from "../errors.ts";
import { isId } from "../primitives/id.ts";
import type { Session } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { BrowserSessions } from "./browser-sessions.ts";
import type { CrossSite } from "./cross-site.ts";
import type { Parameters } from "./parameters.ts";

type WithHeaders = { header(name: string): string | undefined };
type Asking = WithHeaders & {
  readonly method: string;
  readonly ip: string | undefined;
  url(): string;
};

/**
 * The session that a request's access token belongs to. The signature is checked by the guard, as in any API;
 * whether the session is over is asked of the database, for here is where the truth is.
 */
export function createAuthentication(dependencies: Dependencies) {
  const { guard, sessions, clients, browserSessions, crossSite, authenticateClient } = dependencies;

  async function byCookie(request: Asking): Promise<Session> {
    // Before the cookie is looked at: another site must not learn by the answer whether somebody is signed in.
    crossSite.check(request);
    const found = await browserSessions.find(request);
    if (found.outcome === "found") return found.session;
    throw found.outcome === "missing" ? missingSession() : invalidSession(found.reason);
  }

  return {
    /**
     * By the access token, or where none is sent by the session cookie.
     * @throws Refusal missing_token, invalid_token, invalid_session, cross_site_request
     */
    async user(request: Asking): Promise<Session> {
      const authorization = request.header("authorization");
      if (authorization === undefined && browserSessions.valueIn(request) !== undefined)
        return byCookie(request);
      const { scheme, token } = credentials(authorization);
      const presented =
        scheme === "Bearer"
          ? undefined
          : ({ scheme, proof: request.header("dpop"), method: request.method, url: request.url() } as const);
      const verification = await guard.verify(token, undefined, presented);
      if (!verification.ok) throw refusedByGuard(verification.refusal);
      const { sessionId } = verification.identity;
      const session = isId(sessionId) ? await sessions.find(sessionId) : undefined;
      if (session === undefined || sessions.isOver(session)) throw invalidToken();
      // RFC 8693: a token that another client has got in exchange for this session's is not its owner's.
      if (verification.identity.clientId !== session.clientId) throw insufficientScope();
      // The account is for its owner: what an application was let in for is at other APIs, and at /oauth/userinfo.
      if (session.kind === "client" || session.kind === "service") throw insufficientScope();
      return session;
    },

    /** @throws Refusal invalid_client */
    async resource(request: WithHeaders): Promise<Client> {
      for (const { id, secret } of basicReadings(request.header("authorization"))) {
        const client = await clients.authenticate(id, secret);
        if (client?.type === "resource") return client;
      }
      throw invalidClient();
    },

    /** @throws Refusal invalid_client */
    async client(
      request: WithHeaders & { readonly parameters: Parameters },
      look: ClientLook = "fresh",
    ): Promise<Client> {
      const { parameters } = request;
      const authorization = request.header("authorization");
      const client = await authenticateClient[look]({
        authorization,
        clientId: parameters.get("client_id"),
        clientSecret: parameters.get("client_secret"),
        assertionType: parameters.get("client_assertion_type"),
        assertion: parameters.get("client_assertion"),
      });
      if (client === undefined) throw invalidClient();
      return client;
    },
  };
}

/** `remembered`: as it was a moment ago will do. `anew`: what was remembered has turned out to be old. */
export type ClientLook = "fresh" | "remembered" | "anew";

interface Dependencies {
  readonly guard: Guard;
  readonly sessions: Sessions;
  readonly clients: Clients;
  readonly authenticateClient: Readonly<Record<ClientLook, ReturnType<typeof createClientAuthentication>>>;
  readonly browserSessions: BrowserSessions;
  readonly crossSite: CrossSite;
}

/** RFC 6750 §2.1, RFC 9449 §7.1. */
function credentials(authorization: string | undefined): { scheme: "Bearer" | "DPoP"; token: string } {
  if (authorization === undefined) {
    // RFC 6750 §3.1: without any authentication information, the challenge SHOULD NOT carry an error code.
    throw new Refusal("missing_token", { headers: { "WWW-Authenticate": "Bearer" } });
  }
  const match = /^(Bearer|DPoP) +([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization);
  const [, scheme, token] = match ?? [];
  if (scheme === undefined || token === undefined) throw invalidToken();
  return { scheme: scheme.toLowerCase() === "dpop" ? "DPoP" : "Bearer", token };
}

/** The guard's challenge, which names the scheme and hands out a nonce, with our words. */
export function refusedByGuard({ error, headers }: GuardRefusal): Refusal {
  if (error === "insufficient_scope") return new Refusal("insufficient_scope", { headers });
  const { "WWW-Authenticate": challenge, "DPoP-Nonce": nonce } = headers;
  if (challenge === undefined) return invalidToken();
  return new Refusal("invalid_token", {
    headers: { "WWW-Authenticate": challenge, ...(nonce !== undefined && { "DPoP-Nonce": nonce }) },
  });
}

export function missingSession(): Refusal {
  return new Refusal("missing_session");
}

export function invalidSession(reason: SessionRefusalReason): Refusal {
  return new Refusal("invalid_session", { reason, description: sessionRefusalReasons[reason] });
}

/**
 * RFC 6749 §5.2: where the client used the Authorization header, the response MUST include the WWW-Authenticate field
 * that matches its scheme; elsewhere it may.
 */
export function invalidClient(): Refusal {
  return new Refusal("invalid_client", {
    headers: { "WWW-Authenticate": 'Basic realm="keyturn", charset="UTF-8"' },
  });
}

function insufficientScope(): Refusal {
  return new Refusal("insufficient_scope", {
    description: "This API is for the account's owner: an application's token opens other doors.",
    headers: { "WWW-Authenticate": 'Bearer error="insufficient_scope"' },
  });
}

/** RFC 6750 §3: a refused token is always answered with a challenge. */
export function invalidToken(): Refusal {
  return new Refusal("invalid_token", {
    headers: {
      "WWW-Authenticate":
        'Bearer error="invalid_token", error_description="The access token is invalid, expired or revoked."',
    },
  });
}
