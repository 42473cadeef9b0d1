import { z } from "zod";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { limits } from "../primitives/limits.ts";
import type { Session, Sessions } from "../sessions/sessions.ts";
import type { Turning } from "../sessions/turning.ts";
import { refusedTurn } from "./refresh.ts";
import { FIRST_PARTY_CLIENT } from "./tokens.ts";

const body = z.object({
  refreshToken: z.string().max(limits.refreshTokenCharactersMax).optional(),
  everywhere: z.boolean().optional(),
});

interface Dependencies {
  readonly sessions: Sessions;
  readonly turning: Turning;
  /** The session of the request's access token. Throws a Refusal when there is none, or it is no good. */
  readonly authenticate: (request: EndpointRequest) => Promise<Session>;
}

/** POST /logout: by access token or by refresh token, here or everywhere. */
export function logoutEndpoint({ sessions, turning, authenticate }: Dependencies): Endpoint {
  async function handle(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    const { refreshToken, everywhere = false } = request.body;
    const session =
      refreshToken === undefined
        ? await authenticate(request)
        : await byRefreshToken(refreshToken, everywhere);
    if (session !== undefined) {
      const by = { actor: "user", reason: "signed_out", ip: request.ip } as const;
      if (everywhere) await sessions.endAllOfUser(session.userId, by);
      else await sessions.end(session.id, by);
    }
    return { status: 204 };
  }

  /**
   * Undefined when the session is over already: signing out twice is no error (RFC 7009 §2.2). An old token is
   * enough to end its own session, as it would by being used; only a living one ends the others.
   */
  async function byRefreshToken(token: string, everywhere: boolean): Promise<Session | undefined> {
    const examined = await turning.examine({ token, clientId: FIRST_PARTY_CLIENT });
    switch (examined.standing) {
      case "good":
        return sessions.find(examined.sessionId);
      case "old":
        if (everywhere) throw refusedTurn("superseded");
        return sessions.find(examined.sessionId);
      case "over":
        return undefined;
      case "refused":
        throw refusedTurn(examined.reason);
    }
  }

  return {
    method: "POST",
    path: "/logout",
    summary: "Ends this session, or all of the user's sessions",
    access: "public",
    body,
    bodyOptional: true,
    success: { status: 204, about: "Signed out; guards hear of it at once" },
    refusals: ["missing_token", "invalid_token", "invalid_refresh_token"],
    handle,
  };
}
