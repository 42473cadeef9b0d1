import type { ResolvedSettings } from "../config.ts";
import type { Clock } from "../primitives/clock.ts";
import type { Id } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Browsing, BrowsingRefusal, Look } from "../sessions/browsing.ts";
import type { RightsReader } from "../sessions/rights.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import type { Users } from "../users/users.ts";
import { mintFor } from "./tokens.ts";
import { shownUser } from "./user.ts";

/** Who is signed in, by the cookie, and a token for APIs: the reply of GET /session. */
export interface CurrentSession {
  readonly user: ReturnType<typeof shownUser>;
  readonly sessionId: Id;
  readonly accessToken: string;
  /** Seconds from now. */
  readonly expiresIn: number;
}

export type CurrentSessionOutcome =
  | {
      readonly outcome: "found";
      readonly session: CurrentSession;
      /** The same as JSON. */
      readonly json: string;
    }
  | { readonly outcome: "refused"; readonly reason: BrowsingRefusal };

interface Dependencies {
  readonly browsing: Browsing;
  readonly sessions: Pick<Sessions, "find">;
  readonly users: Pick<Users, "findById">;
  readonly rights: RightsReader;
  readonly accessTokens: AccessTokens;
  readonly settings: ResolvedSettings;
  readonly clock: Clock;
}

/** What does not change from one reply to the next. */
interface Kept {
  readonly userUpdatedAt: number;
  readonly remint: number;
  readonly user: CurrentSession["user"];
  readonly accessToken: string;
  /** Milliseconds since 1970: from then on a new token is minted; and when the token ends. */
  readonly renewAt: number;
  readonly endsAt: number;
  /** The reply up to the number of seconds. */
  readonly jsonBefore: string;
}

export type CurrentSessions = ReturnType<typeof createCurrentSessions>;

/**
 * Reads who is signed in. The row is asked every time, so that a session that was ended anywhere is over here at once;
 * what is dear (the user, a signature) is kept until half of the token's life is over, the user has changed, or the feed
 * asks for a new token.
 */
export function createCurrentSessions(dependencies: Dependencies) {
  const { browsing, sessions, users, rights, clock } = dependencies;
  const keptById = new Map<Id, Kept>();

  async function make(look: Look & { outcome: "living" }): Promise<Kept | undefined> {
    const { sessionId, userUpdatedAt, remint } = look;
    const session = await sessions.find(sessionId);
    const user = session && (await users.findById(session.userId));
    if (session === undefined || user === undefined) return undefined;
    const now = clock.now();
    const facts = { ...session, sessionId, rights: await rights.of(sessionId) };
    const { accessToken, expiresIn } = mintFor(facts, dependencies);
    const shown = shownUser(user);
    const json = JSON.stringify({ user: shown, sessionId, accessToken });
    return {
      userUpdatedAt,
      remint,
      user: shown,
      accessToken,
      renewAt: now + expiresIn * 500,
      endsAt: now + expiresIn * 1000,
      // By way of bytes, which gives one flat text: as a text put together of parts it would be put together anew at
      // every reply.
      jsonBefore: Buffer.from(`${json.slice(0, -1)},"expiresIn":`).toString(),
    };
  }

  async function keptFor(look: Look & { outcome: "living" }): Promise<Kept | undefined> {
    const found = keptById.get(look.sessionId);
    const isCurrent = found?.userUpdatedAt === look.userUpdatedAt && found.remint === look.remint;
    if (found !== undefined && isCurrent && clock.now() < found.renewAt) return found;
    const made = await make(look);
    keptById.delete(look.sessionId);
    if (made === undefined) return undefined;
    if (keptById.size >= limits.sessionRepliesMax) keptById.delete(keptById.keys().next().value as Id);
    keptById.set(look.sessionId, made);
    return made;
  }

  return {
    /** @param cookie the value of the session cookie */
    async get(cookie: string, ip: string | undefined): Promise<CurrentSessionOutcome> {
      const look = await browsing.look(cookie, ip);
      if (look.outcome === "refused") return look;
      const kept = await keptFor(look);
      if (kept === undefined) return { outcome: "refused", reason: "unknown" };
      const { user, accessToken, endsAt, jsonBefore } = kept;
      const expiresIn = Math.max(0, Math.floor((endsAt - clock.now()) / 1000));
      const session = { user, sessionId: look.sessionId, accessToken, expiresIn };
      return { outcome: "found", session, json: `${jsonBefore}${expiresIn}}` };
    },
  };
}
