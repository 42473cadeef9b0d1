import type { IncomingMessage } from "node:http";
import type { CurrentSession, CurrentSessions } from "./account-api/current-session.ts";
import { callerAddress } from "./http/address.ts";
import type { BrowserSessions } from "./http/browser-sessions.ts";
import type { CrossSite } from "./http/cross-site.ts";

interface Dependencies {
  readonly browserSessions: BrowserSessions;
  readonly currentSessions: CurrentSessions;
  readonly crossSite: CrossSite;
  readonly settings: { readonly trustedProxies: number };
}

/** Reads the session of a request that another part of this process answers. */
export function createSessionReader(dependencies: Dependencies) {
  const { browserSessions, currentSessions, crossSite, settings } = dependencies;
  return async (request: Request | IncomingMessage): Promise<CurrentSession | undefined> => {
    const asking = askingOf(request);
    const cookie = browserSessions.valueIn(asking);
    if (cookie === undefined) return undefined;
    const reads = asking.method === "GET" || asking.method === "HEAD";
    const site = crossSite.siteOf(asking);
    // A link on another site may lead here: whoever follows it reads as themselves. Nothing else is theirs.
    if (site !== "same" && !reads) return undefined;
    const ip = callerAddress({
      socketAddress: asking.socketAddress,
      forwardedFor: settings.trustedProxies === 0 ? undefined : asking.header("x-forwarded-for"),
      trustedProxies: settings.trustedProxies,
    });
    const found = await currentSessions.get(cookie, ip);
    return found.outcome === "found" ? found.session : undefined;
  };
}

function askingOf(request: Request | IncomingMessage) {
  const { method = "GET", headers } = request;
  if (headers instanceof Headers) {
    return { method, header: (name: string) => headers.get(name) ?? undefined, socketAddress: undefined };
  }
  const { socket } = request as IncomingMessage;
  return {
    method,
    header: (name: string) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    socketAddress: socket.remoteAddress,
  };
}
