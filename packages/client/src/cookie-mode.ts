import type { Access } from "./access.ts";
import type { Door } from "./door.ts";
import type { KeyturnError } from "./keyturn-error.ts";
import type { Mode, ModeParts, SignOutOptions } from "./mode.ts";
import type { Json } from "./replies.ts";
import { readSession } from "./session.ts";
import type { TabMessage } from "./tabs.ts";
import { createWays } from "./ways.ts";

/** A 401 is asked for again, this often and after such a pause: another tab may just have got a new cookie. */
const asksMax = 3;
const askPauseMs = 300;
const looksMax = 5;
const withCookie = { credentials: "include" } as const;
const logoutTriesMax = 2;
const logoutPauseMs = 1000;

/** The session is a cookie that scripts cannot read; here are only access tokens, in memory. */
export function createCookieMode(parts: ModeParts): Mode {
  const { settings, runtime, closed, issuer, access, presence, tools } = parts;
  const [isOver, isRefusal, isTransient, joinTabs, readAccess, , unreachable] = tools;
  const tabs = joinTabs(parts, { name: `keyturn-cookie:${settings.issuer}`, isShared: true, hear });
  // A cookie cannot be taken away from here: while the server has not heard of a sign-out, it is told again.
  let leaving: SignOutOptions | undefined;

  function hear({ type, sessionId, reason }: TabMessage): void {
    const here = presence.current();
    const isHere = here !== undefined && here.sessionId === sessionId;
    if (type === "signedOut" && isHere) {
      presence.expectEnd(sessionId, isOver(reason) ? reason : "signed_out");
      presence.see(undefined);
    }
    if (type === "signedIn" && !isHere) {
      // A tab that has not looked yet would take whoever arrives for somebody who was here all the time.
      if (here === undefined) presence.see(undefined);
      leaving = undefined;
      access.set(undefined);
      access.get().catch(() => {});
    }
  }

  async function askForSession() {
    for (let asks = 1; ; asks++) {
      try {
        return await issuer.ask({ path: "/session", init: { ...withCookie, method: "GET" } }, (body) => {
          const reply = readAccess(body);
          const session = readSession(body);
          return reply && session && { reply, session };
        });
      } catch (error) {
        // Whoever was never here and has no cookie is just not signed in.
        const isNobody =
          presence.current() === undefined && (error as KeyturnError).code === "missing_session";
        if (!isRefusal(error) || isNobody || asks === asksMax) throw error;
        await runtime.sleep(askPauseMs * (1 + runtime.random()), closed);
      }
    }
  }

  /** The server says that there is no session: what that means for whoever was here. */
  function conclude(error: KeyturnError): never {
    const here = presence.current();
    const { code, reason } = error;
    // As long as the server does not say that it is over, it is not: its memory may come back.
    if (here !== undefined && code === "invalid_session" && !isOver(reason)) throw error;
    if (here !== undefined && isOver(reason)) {
      presence.expectEnd(here.sessionId, reason);
      tabs.tell({ type: "signedOut", sessionId: here.sessionId, reason });
    }
    presence.see(undefined);
    throw presence.signedOut();
  }

  async function renew(): Promise<Access> {
    for (let looks = 0; looks < looksMax; looks++) {
      if (leaving !== undefined && !(await tellServer(leaving))) throw presence.signedOut();
      const era = presence.era();
      const sinceMs = runtime.now();
      let answer: Awaited<ReturnType<typeof askForSession>>;
      try {
        answer = await askForSession();
      } catch (error) {
        if (presence.era() !== era) continue;
        if (isRefusal(error)) conclude(error);
        throw error;
      }
      // Somebody has signed in or out since it was asked.
      if (presence.era() !== era) continue;
      const { reply, session } = answer;
      presence.see(session);
      const fresh = access.read(reply, sinceMs);
      presence.refresh(fresh);
      return fresh;
    }
    throw unreachable();
  }

  const door: Door = {
    parts,
    leaving: "cookie",
    newKeys: async () => ({}),
    ask: (path, json, read) => {
      const init = json ? withCookie : { ...withCookie, method: "GET" };
      return issuer.ask({ path, ...(json && { json }), init }, read);
    },
    async enter(path, given) {
      const json = { ...given, mode: "cookie" };
      let refused: Json | undefined;
      const request = { path, json, init: withCookie, refused: (body: Json | undefined) => (refused = body) };
      const entered = await issuer
        .ask(request, (body) => {
          const session = readSession(body);
          return session && { session, body };
        })
        .catch(async (error) => {
          if (refused?.ticket)
            (await import("./second-step.ts")).addSecondStep(error, { door, body: refused, keys: {} });
          throw error;
        });
      const { session } = entered;
      leaving = undefined;
      tabs.tell({ type: "signedIn", sessionId: session.sessionId });
      presence.arrive(session);
      return entered;
    },
    async proven({ sessionId }) {
      // The session goes on under a new id, and the cookie with it.
      tabs.tell({ type: "signedIn", sessionId });
      access.set(undefined);
      await access.get();
    },
  };
  const ways = createWays(door);

  async function tellServer(options: SignOutOptions): Promise<boolean> {
    const json = options.everywhere ? { everywhere: true } : {};
    for (let tries = 1; ; tries++) {
      try {
        await issuer.ask({ path: "/logout", json, init: { ...withCookie, keepalive: true } }, () => true);
      } catch (error) {
        if (!isRefusal(error)) {
          if (tries === logoutTriesMax || !isTransient(error)) return false;
          await runtime.sleep(logoutPauseMs, closed);
          continue;
        }
      }
      if (leaving === options) leaving = undefined;
      return true;
    }
  }

  return {
    renew,
    ways: async () => ways,
    async signOut(options = {}) {
      leaving = options;
      const here = presence.current();
      if (here !== undefined) {
        presence.expectEnd(here.sessionId, "signed_out");
        presence.see(undefined);
        tabs.tell({ type: "signedOut", sessionId: here.sessionId, reason: "signed_out" });
      }
      return { told: await tellServer(options) };
    },
    async session() {
      if (presence.current() !== undefined) return presence.current();
      try {
        await access.get();
      } catch (error) {
        if ((error as KeyturnError).code !== "signed_out") throw error;
      }
      return presence.current();
    },
  };
}
