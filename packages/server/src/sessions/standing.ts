import type { Clock } from "../primitives/clock.ts";
import { type Id, idFromBytes, idToBytes } from "../primitives/id.ts";
import type { Database } from "../storage/database.ts";
import { type LifeSettings, lifeOf, type SessionKind } from "./session.ts";
import { type StandingRow, selectStanding } from "./standing.sql.ts";

/** What has become of an access token since it was minted. */
export type Standing =
  | {
      readonly standing: "good";
      readonly userId: Id;
      /** Whose session it is: another client's than the token's, when that was got in exchange. */
      readonly clientId: string;
      readonly kind: SessionKind;
      /** Milliseconds since 1970. */
      readonly expiresAt: number;
    }
  | { readonly standing: "over" }
  /** The one who asks is not what it was when it was authenticated. */
  | { readonly standing: "caller_changed" };

export type Standings = ReturnType<typeof createStandings>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly settings: LifeSettings;
}

/** Asks the database, where the truth is, in one read: a token that was revoked is told as such at once, on any node. */
export function createStandings({ database, clock, settings }: Dependencies) {
  return {
    /** @param caller who asks, with the `updatedAt` by which it was authenticated; undefined there: nobody compares */
    async of(
      token: { readonly sessionId: Id; readonly issuedAt: number },
      caller?: { readonly id: string; readonly version: number | undefined },
    ): Promise<Standing> {
      const row = await database.one<StandingRow>(
        selectStanding(idToBytes(token.sessionId), caller?.id ?? ""),
      );
      if (row === undefined) return { standing: "over" };
      if (caller?.version !== undefined && row.caller_updated_at !== caller.version) {
        return { standing: "caller_changed" };
      }
      const kind = row.kind as SessionKind;
      const endsAt = Math.min(row.expires_at, row.last_used_at + lifeOf(kind, settings).idleMs);
      const isOver = row.revoked_at !== null || endsAt <= clock.now();
      // The feed: minted before something changed that its tokens must say.
      const isOld = token.issuedAt < Math.max(row.session_before ?? 0, row.wide_before ?? 0);
      if (isOver || isOld) return { standing: "over" };
      const userId = idFromBytes(row.user_id);
      return { standing: "good", userId, clientId: row.client_id, kind, expiresAt: row.expires_at };
    },
  };
}
