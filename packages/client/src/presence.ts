import type { Access } from "./access.ts";
import type { Events, SignedOutReason } from "./events.ts";
import { KeyturnError } from "./keyturn-error.ts";
import type { Session } from "./session.ts";

/** Who is signed in, as far as this tab knows. Events follow from its changes, each once. */
export interface Presence {
  current(): Session | undefined;
  /** Changes whenever somebody arrives or leaves: what was asked for before that is no longer for whoever is here. */
  era(): number;
  /** Somebody has just signed in here. */
  arrive(session: Session, access?: Access): void;
  /** What the store, or the cookie, says now. */
  see(session: Session | undefined): void;
  /** The next time that nobody is seen where this session was, it is for this reason. */
  expectEnd(sessionId: string, reason: SignedOutReason): void;
  isEndExpected(): boolean;
  /** What to reject with when nobody is signed in. */
  signedOut(): KeyturnError;
}

const overReasons = ["expired", "revoked", "reused"] as const;
type OverReason = (typeof overReasons)[number];

/** The only reasons for which a client forgets what it holds: the server says that the session is over. */
export const isOver = (reason: string | undefined): reason is OverReason =>
  overReasons.includes(reason as OverReason);

/** The server has refused the refresh token, or the cookie: only a 401 does, with one of these codes. */
export const isRefusal = (error: unknown): error is KeyturnError =>
  error instanceof KeyturnError &&
  error.status === 401 &&
  /^(?:invalid_refresh_token|invalid_session|missing_session)$/.test(error.code);

export function createPresence(events: Events, setAccess: (access: Access | undefined) => void): Presence {
  // Undefined: nobody has looked yet. Null: nobody is signed in.
  let who: Session | null | undefined;
  let era = 0;
  let end: { readonly sessionId: string; readonly reason: SignedOutReason } | undefined;
  let lastReason: SignedOutReason | undefined;

  function change(session: Session | undefined, access?: Access): void {
    who = session ?? null;
    era++;
    setAccess(access);
  }

  return {
    current: () => who ?? undefined,
    era: () => era,
    arrive(session, access) {
      change(session, access);
      events.emit("signedIn", { session });
    },
    see(session) {
      const before = who;
      if (before?.sessionId === session?.sessionId) {
        who = session ?? null;
        return;
      }
      change(session);
      if (session === undefined) {
        lastReason = end !== undefined && end.sessionId === before?.sessionId ? end.reason : "missing";
        events.emit("signedOut", { reason: lastReason });
      } else if (before !== undefined) {
        // Whoever is found by the first look has been here all the time: that is no event.
        events.emit("signedIn", { session });
      }
    },
    expectEnd(sessionId, reason) {
      end = { sessionId, reason };
    },
    isEndExpected: () => end !== undefined && end.sessionId === who?.sessionId,
    signedOut: () => new KeyturnError("signed_out", "Nobody is signed in", { reason: lastReason }),
  };
}
