import type { Clock } from "../primitives/clock.ts";
import { sha256 } from "../primitives/digest.ts";
import { type Id, idFromBytes } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Database } from "../storage/database.ts";
import type { SessionCookieParts, SessionCookies } from "../tokens/session-cookie.ts";
import { type LookRow, selectForLook } from "./browsing.sql.ts";
import { type LifeSettings, lifeOf } from "./session.ts";
import { createTouching } from "./touching.ts";

/** Why the cookie of a browser is not accepted. */
export type BrowsingRefusal =
  /** Nothing of this server's, or a session that is not kept any more. */
  | "unknown"
  | "revoked"
  /** Idle too long, or at its absolute end. */
  | "expired"
  /** The same browser has signed in anew: it has another cookie by now. */
  | "replaced";

export type Look =
  | {
      readonly outcome: "living";
      readonly sessionId: Id;
      /** Changes whenever something about the user does. Milliseconds since 1970. */
      readonly userUpdatedAt: number;
      /** Changes whenever the feed asks for a new token of this session: a role has changed. */
      readonly remint: number;
      readonly expiresAt: number;
    }
  | { readonly outcome: "refused"; readonly reason: BrowsingRefusal };

export type Browsing = ReturnType<typeof createBrowsing>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly sessionCookies: SessionCookies;
  readonly settings: LifeSettings;
  readonly log: { warn(detail: object, message: string): void };
}

/** A cookie whose tag has verified. */
interface Known extends SessionCookieParts {
  readonly id: Id;
  /** SHA-256 of the secret. */
  readonly digest: Buffer;
}

interface Waiting {
  readonly parts: Known;
  resolve(row: LookRow | undefined): void;
  reject(error: unknown): void;
}

/** Sessions of browsers: the cookie says which one, the row says whether it lives. */
export function createBrowsing(dependencies: Dependencies) {
  const { database, clock, sessionCookies, settings } = dependencies;
  const { idleMs } = lifeOf("browser", settings);
  const touching = createTouching(dependencies);
  // What a value says, not whether its session lives: three hashes less for a browser that comes again.
  const known = new Map<string, Known>();
  let waiting: Waiting[] = [];

  function read(cookie: string): Known | undefined {
    const found = known.get(cookie);
    if (found !== undefined) return found;
    const parts = sessionCookies.decode(cookie);
    if (parts === undefined) return undefined;
    const made = { ...parts, id: idFromBytes(parts.sessionId), digest: sha256(parts.secret) };
    if (known.size >= limits.cookiesKnownMax) known.delete(known.keys().next().value as string);
    known.set(cookie, made);
    return made;
  }

  /** Requests of the same moment are looked up in one trip: the input of this round of the event loop is read first. */
  function rowOf(parts: Known): Promise<LookRow | undefined> {
    return new Promise((resolve, reject) => {
      waiting.push({ parts, resolve, reject });
      if (waiting.length === 1) setImmediate(readAll);
    });
  }

  function readAll(): void {
    const all = waiting;
    waiting = [];
    for (let from = 0; from < all.length; from += limits.looksPerTripMax) {
      void readSome(all.slice(from, from + limits.looksPerTripMax));
    }
  }

  async function readSome(some: readonly Waiting[]): Promise<void> {
    try {
      const rows = await database.each<LookRow>(
        some.map(({ parts }) => selectForLook(parts.sessionId, parts.digest)),
      );
      for (const [index, { resolve }] of some.entries()) resolve(rows[index]?.[0]);
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
  }

  function objection(row: LookRow): BrowsingRefusal | undefined {
    if (row.revoked_at !== null) return row.end_reason === "replaced" ? "replaced" : "revoked";
    const now = clock.now();
    if (now >= row.expires_at || now - row.last_used_at > idleMs) return "expired";
    return row.user_updated_at === null || row.user_disabled_at !== null ? "revoked" : undefined;
  }

  return {
    /** Whether the session of a cookie lives. A use counts as one: the session idles from now on. */
    async look(cookie: string, ip: string | undefined): Promise<Look> {
      const parts = read(cookie);
      if (parts === undefined) return { outcome: "refused", reason: "unknown" };
      const row = await rowOf(parts);
      const reason = row === undefined ? "unknown" : objection(row);
      if (row === undefined || reason !== undefined) {
        known.delete(cookie);
        return { outcome: "refused", reason: reason ?? "unknown" };
      }
      touching.used({ sessionId: parts.sessionId, lastUsedAt: row.last_used_at, ip });
      return {
        outcome: "living",
        sessionId: parts.id,
        userUpdatedAt: row.user_updated_at ?? 0,
        remint: Math.max(row.session_remint ?? 0, row.wide_remint ?? 0),
        expiresAt: row.expires_at,
      };
    },
    /** Resolves when every use is written. */
    drained: touching.drained,
  };
}
