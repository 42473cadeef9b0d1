import type { Clock } from "../primitives/clock.ts";
import { equalBytes } from "../primitives/compare.ts";
import { sha256 } from "../primitives/digest.ts";
import { type Id, isId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Session } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Database } from "../storage/database.ts";
import type { Arrival, Arrivals, Arrived } from "./arrivals.ts";
import { anyway, insertSpentChallenge, sessionIsAlive } from "./factors/factors.sql.ts";
import type { Sealing } from "./factors/totp.ts";
import type { User } from "./user.ts";

/** What an app has asked for a code with, before it led its person away. */
export interface HandoverAsked {
  /** RFC 7636 §4.2, S256: what the app can show the verifier of. */
  readonly challenge: string;
  /** RFC 7638: the key that the app will prove to have. */
  readonly keyThumbprint: string | undefined;
}

export interface HandoverTaken extends Omit<Arrival, "replaces"> {
  readonly code: string;
  readonly verifier: string;
}

interface Inside extends HandoverAsked {
  readonly userId: Id;
  readonly sessionId: Id;
  /** Milliseconds since 1970. */
  readonly endsAt: number;
}

const CONTEXT = "handover";
const S256 = /^[A-Za-z0-9_-]{43}$/;
/** RFC 7636 §4.1 */
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

/** Whether a text can be a SHA-256 in base64url: a challenge, or the thumbprint of a key. */
export const isS256 = (text: string | undefined): text is string => text !== undefined && S256.test(text);

export type Handovers = ReturnType<typeof createHandovers>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly secrets: Sealing;
  readonly sessions: Pick<Sessions, "find" | "isOver">;
  readonly users: { findById(id: Id): Promise<User | undefined> };
  readonly arrivals: Pick<Arrivals, "arrive">;
}

/**
 * Codes by which an app takes over who has signed in on the pages. A code is sealed and carries all that it stands for,
 * so that handing one out writes nothing; only one that was taken is remembered, until it would have ended anyway.
 */
export function createHandovers(dependencies: Dependencies) {
  const { database, clock, secrets, sessions, users, arrivals } = dependencies;

  function open(code: string): Inside | undefined {
    const plain = secrets.unseal(Buffer.from(code, "base64url"), CONTEXT);
    return plain && (JSON.parse(plain.toString()) as Inside);
  }

  /** Of any number of uses of a code, one. */
  async function spend(code: string, endsAt: number): Promise<boolean> {
    // Of the sealed bytes: base64url has several ways to write some of them.
    const digest = sha256(Buffer.from(code, "base64url"));
    const statement = insertSpentChallenge({ digest, expiresAt: endsAt, onlyIf: anyway });
    const [spent] = await database.batch([statement]);
    return spent?.changes === 1;
  }

  return {
    /** Whether who is signed in has signed in just now, so that an app may take it for its own sign-in. */
    isFresh: ({ authenticatedAt }: Session): boolean =>
      clock.now() - authenticatedAt <= limits.handoverSignInSecondsMax * 1000,

    issue({ id, userId }: Pick<Session, "id" | "userId">, asked: HandoverAsked): string {
      const endsAt = clock.now() + limits.handoverCodeSeconds * 1000;
      const salt = Buffer.from(randomBytes(8)).toString("base64url");
      const inside = { ...asked, userId, sessionId: id, endsAt, salt };
      return secrets.seal(Buffer.from(JSON.stringify(inside)), CONTEXT).toString("base64url");
    },

    /**
     * The app's own session in place of the browser's, as strongly proven and at the same moment; or a ticket, where
     * more is asked by now.
     * @returns undefined for a code that is not (or no longer) good, or not this app's; only a good one is spent
     */
    async take({ code, verifier, ...arrival }: HandoverTaken): Promise<Arrived | undefined> {
      const inside = open(code);
      if (inside === undefined || inside.endsAt <= clock.now() || !isId(inside.sessionId)) return undefined;
      // RFC 7636 §4.6: "If the values are not equal, an error response … MUST be returned."
      const challenge = Buffer.from(inside.challenge, "base64url");
      if (!VERIFIER.test(verifier) || !equalBytes(sha256(verifier), challenge)) return undefined;
      if (inside.keyThumbprint !== arrival.keyThumbprint) return undefined;
      if (!(await spend(code, inside.endsAt))) return undefined;
      const session = await sessions.find(inside.sessionId);
      const user = await users.findById(inside.userId);
      if (session === undefined || user === undefined || sessions.isOver(session)) return undefined;
      const { amr, authenticatedAt: provenAt } = session;
      const how = { ...arrival, amr, provenAt, replaces: session };
      return arrivals.arrive(user, how, { onlyIf: sessionIsAlive(session.id) });
    },
  };
}
