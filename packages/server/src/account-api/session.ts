import { invalidSession, missingSession } from "../http/authenticate.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { CrossSite } from "../http/cross-site.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import type { CurrentSessions } from "./current-session.ts";
import { currentSessionReply } from "./schemas.ts";

interface Dependencies {
  readonly browserSessions: BrowserSessions;
  readonly currentSessions: CurrentSessions;
  readonly crossSite: CrossSite;
}

const JSON_TYPE = { "Content-Type": "application/json" } as const;

/** GET /session: who is signed in in this browser, and an access token for APIs. */
export function sessionEndpoint({ browserSessions, currentSessions, crossSite }: Dependencies): Endpoint {
  async function handle(request: EndpointRequest): Promise<Answer> {
    const cookie = browserSessions.valueIn(request);
    if (cookie === undefined) throw missingSession();
    crossSite.check(request);
    const found = await currentSessions.get(cookie, request.ip);
    if (found.outcome === "refused") throw invalidSession(found.reason);
    return { status: 200, text: found.json, headers: JSON_TYPE };
  }

  return {
    method: "GET",
    path: "/session",
    summary: "Who is signed in by the session cookie, with an access token for APIs",
    access: "public",
    success: {
      status: 200,
      about: "The user, and an access token that lives for at least half of its life",
      schema: currentSessionReply,
    },
    refusals: ["missing_session", "invalid_session", "cross_site_request"],
    handle,
  };
}
