import { parse, serialize } from "hono/utils/cookie";
import type { Clock } from "../primitives/clock.ts";
import type { Id } from "../primitives/id.ts";
import type { Browsing, BrowsingRefusal } from "../sessions/browsing.ts";
import type { Session } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { User } from "../users/user.ts";

type Asking = { header(name: string): string | undefined; readonly ip?: string | undefined };

export type FoundBrowser =
  | { readonly outcome: "found"; readonly session: Session; readonly user: User }
  | { readonly outcome: "missing" }
  | { readonly outcome: "invalid"; readonly reason: BrowsingRefusal };

export type BrowserSessions = ReturnType<typeof createBrowserSessions>;

interface Dependencies {
  readonly browsing: Browsing;
  readonly sessions: Pick<Sessions, "find">;
  readonly users: { findById(id: Id): Promise<User | undefined> };
  readonly clock: Clock;
  readonly settings: { readonly issuer: string };
}

/** The session cookie on its way in and out. */
export function createBrowserSessions(dependencies: Dependencies) {
  const { browsing, sessions, users, clock } = dependencies;
  const cookie = cookieFor(dependencies.settings.issuer);

  /** The value of the session cookie; undefined when there is none. */
  function valueIn(request: Asking): string | undefined {
    const header = request.header("cookie");
    return header === undefined ? undefined : parse(header, cookie.name)[cookie.name];
  }

  return {
    valueIn,

    /** The living session of the request's cookie, and whose it is. */
    async find(request: Asking): Promise<FoundBrowser> {
      const value = valueIn(request);
      if (value === undefined) return { outcome: "missing" };
      const look = await browsing.look(value, request.ip);
      if (look.outcome === "refused") return { outcome: "invalid", reason: look.reason };
      const session = await sessions.find(look.sessionId);
      const user = session && (await users.findById(session.userId));
      if (session === undefined || user === undefined) return { outcome: "invalid", reason: "unknown" };
      return { outcome: "found", session, user };
    },

    /** The Set-Cookie header that hands a browser its session, until the session's absolute end. */
    setCookie({ session, credential }: { session: Session; credential: string }): string {
      const seconds = Math.max(0, Math.round((session.expiresAt - clock.now()) / 1000));
      return serialize(cookie.name, credential, { ...cookie.options, maxAge: seconds });
    },

    /** The Set-Cookie header that takes it away. */
    clearCookie: () => serialize(cookie.name, "", { ...cookie.options, maxAge: 0 }),
  };
}

/** What the session cookie of a server is called. */
export function cookieName(issuer: string): string {
  return issuer.startsWith("https:") ? "__Host-keyturn" : "keyturn";
}

/**
 * RFC 6265bis §4.1.3.2: a `__Host-` cookie is Secure, of this host alone and of all its paths; no other host, and
 * no page over http, can set or replace it. Plain http on this machine has none: some tools refuse it there.
 */
function cookieFor(issuer: string) {
  const secure = issuer.startsWith("https:");
  const options = { path: "/", httpOnly: true, secure, sameSite: "Lax" } as const;
  return { name: cookieName(issuer), options };
}
