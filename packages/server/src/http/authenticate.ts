import type { Guard } from "@keyturn/guard";
import { parseBasicCredentials } from "../clients/client-authentication.ts";
import type { Client, Clients } from "../clients/clients.ts";
import { Refusal } from "../errors.ts";
import { isId } from "../primitives/id.ts";
import type { Session, Sessions } from "../sessions/sessions.ts";

type WithHeaders = { header(name: string): string | undefined };

/**
 * The session that a request's access token belongs to. The signature is checked by the guard, as in any API;
 * whether the session is over is asked of the database, for here is where the truth is.
 */
export function createAuthentication({ guard, sessions, clients }: Dependencies) {
  return {
    /** @throws Refusal missing_token, invalid_token */
    async user(request: WithHeaders): Promise<Session> {
      const token = bearerToken(request.header("authorization"));
      const verification = await guard.verify(token);
      if (!verification.ok) throw invalidToken();
      const { sessionId } = verification.identity;
      const session = isId(sessionId) ? await sessions.find(sessionId) : undefined;
      if (session === undefined || sessions.isOver(session)) throw invalidToken();
      return session;
    },

    /** @throws Refusal invalid_client */
    async resource(request: WithHeaders): Promise<Client> {
      const credentials = parseBasicCredentials(request.header("authorization"));
      const client = credentials && (await clients.authenticate(credentials.id, credentials.secret));
      if (client?.type === "resource") return client;
      // RFC 6749 §5.2: the response MUST include the WWW-Authenticate field that matches the client's scheme.
      throw new Refusal("invalid_client", {
        headers: { "WWW-Authenticate": 'Basic realm="keyturn", charset="UTF-8"' },
      });
    },
  };
}

interface Dependencies {
  readonly guard: Guard;
  readonly sessions: Sessions;
  readonly clients: Clients;
}

function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined) {
    // RFC 6750 §3.1: without any authentication information, the challenge SHOULD NOT carry an error code.
    throw new Refusal("missing_token", { headers: { "WWW-Authenticate": "Bearer" } });
  }
  const match = /^Bearer +([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization);
  if (match?.[1] === undefined) throw invalidToken();
  return match[1];
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
