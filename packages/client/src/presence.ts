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
  /** A fresh token has come for whoever is here. */
  refresh(access: Access): void;
  /** What the store, or the cookie, says now. */
  see(session: Session | undefined): void;
  /** The next time that nobody is seen where this session was, it is for this reason. */
  expectEnd(sessionId: string, reason: SignedOutReason): void;
  /** Whether nobody is here, or it was said why the session ends. */
  isEndKnown(): boolean;
  /** What to reject with when nobody is signed in. */
  signedOut(): KeyturnError;
}

type OverReason = "expired" | "revoked" | "reused" | "refused";

/** The only reasons for which a client forgets what it holds: the server says that the session is over. */
export const isOver = (reason: string | undefined): reason is OverReason =>
  /^(?:expired|revoked|reused|refused)$/.test(reason as OverReason);

/** The server has refused the refresh token, or the cookie: only a 401 (OAuth: a 400) does, with one of these codes. */
export const isRefusal = (error: unknown): error is KeyturnError =>
  ((error as KeyturnError).status as number) < 402 &&
  /_(?:refresh_token|session)$/.test((error as KeyturnError).code);

/** Listeners are told who it is, and nothing else that a stored record holds. */
const sessionOf = ({ user, sessionId }: Session): Session => ({ user, sessionId });

export function createPresence(events: Events, setAccess: (access: Access | undefined) => void): Presence {
  // Undefined: nobody has looked yet. Null: nobody is signed in.
  let who: Session | null | undefined;
  let era = 0;
  let end: { readonly sessionId: string; readonly reason: SignedOutReason } | undefined;
  let lastReason: SignedOutReason | undefined;

  function tell(event: "signedIn" | "refreshed"): void {
    events.emit(event, { session: who as Session });
  }

  return {
    current: () => who ?? undefined,
    era: () => era,
    arrive(session, access) {
      who = session;
      era++;
      setAccess(access);
      tell("signedIn");
    },
    refresh(access) {
      setAccess(access);
      tell("refreshed");
    },
    see(session) {
      const before = who;
      who = session ? sessionOf(session) : null;
      if (before?.sessionId === session?.sessionId) return;
      era++;
      setAccess(undefined);
      if (!who) {
        lastReason = end && end.sessionId === before?.sessionId ? end.reason : "missing";
        events.emit("signedOut", { reason: lastReason });
      } else if (before !== undefined) {
        // Whoever is found by the first look has been here all the time: that is no event.
        tell("signedIn");
      }
    },
    expectEnd(sessionId, reason) {
      end = { sessionId, reason };
    },
    isEndKnown: () => !who || end?.sessionId === who.sessionId,
    signedOut: () => new KeyturnError("signed_out", "Nobody is signed in", { reason: lastReason }),
  };
}
