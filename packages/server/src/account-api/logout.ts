import { z } from "zod";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { CrossSite } from "../http/cross-site.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { limits } from "../primitives/limits.ts";
import type { Session } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
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
  readonly browserSessions: BrowserSessions;
  readonly crossSite: CrossSite;
  /** The session of the request's access token. Throws a Refusal when there is none, or it is no good. */
  readonly authenticate: (request: EndpointRequest) => Promise<Session>;
}

/** POST /logout: by access token, cookie or refresh token, here or everywhere. */
export function logoutEndpoint(dependencies: Dependencies): Endpoint {
  const { sessions, turning, authenticate, browserSessions, crossSite } = dependencies;

  async function handle(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    const { refreshToken, everywhere = false } = request.body;
    const byCookie =
      refreshToken === undefined &&
      request.header("authorization") === undefined &&
      browserSessions.valueIn(request) !== undefined;
    const session = byCookie
      ? await sessionOfCookie(request)
      : refreshToken === undefined
        ? await authenticate(request)
        : await byRefreshToken(refreshToken, everywhere);
    if (session !== undefined) {
      const by = { actor: "user", reason: "signed_out", ip: request.ip } as const;
      if (everywhere) await sessions.endAllOfUser(session.userId, by);
      else await sessions.end(session.id, by);
    } else if (byCookie) await sessions.announceEnded();
    return { status: 204, ...(byCookie && { headers: { "Set-Cookie": browserSessions.clearCookie() } }) };
  }

  /** Undefined when it is over already, which is no error here either: the cookie goes. */
  async function sessionOfCookie(request: EndpointRequest): Promise<Session | undefined> {
    crossSite.check(request);
    const found = await browserSessions.find(request);
    return found.outcome === "found" ? found.session : undefined;
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
    refusals: ["missing_token", "invalid_token", "invalid_refresh_token", "cross_site_request"],
    handle,
  };
}
