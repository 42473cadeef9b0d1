import type { Clock } from "../primitives/clock.ts";
import { type Id, idToBytes } from "../primitives/id.ts";
import type { Database } from "../storage/database.ts";
import { type RightsRow, selectRights } from "./rights.sql.ts";

/** What a user may do at one audience, as an access token says it. */
export interface Rights {
  /** In order, each once. */
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  /**
   * Just before they were read; milliseconds since 1970. A token is issued then, however long its reply takes: so that
   * a change that was committed meanwhile finds it to be older.
   */
  readonly readAt: number;
  /** The feed refuses tokens of this session issued before then; seconds since 1970, 0 when there is nothing. */
  readonly notBefore: number;
}

/** @param readAt the time just before the row was asked for */
export function rightsFromRow(row: RightsRow, readAt: number): Rights {
  return {
    roles: listed(row.roles),
    permissions: listed(row.permissions),
    readAt,
    notBefore: Math.max(row.session_before ?? 0, row.wide_before ?? 0),
  };
}

/** Two roles may carry one permission, and a role may be given everywhere and for this resource too. */
function listed(text: string | null): string[] {
  return text === null ? [] : [...new Set(text.split(" "))].sort();
}

export type RightsReader = ReturnType<typeof createRights>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly settings: { readonly audience: string };
}

export function createRights({ database, clock, settings }: Dependencies) {
  return {
    /**
     * What a token of this session says that is minted now. Read it after the session has been started: a change
     * meanwhile either is in it, or has an entry in the feed for the session. None when there is no such session.
     * @param asked the resource that the token is for, several separated by spaces; default: what the session is for
     */
    async of(sessionId: Id, asked?: string): Promise<Rights> {
      const readAt = clock.now();
      const { audience } = settings;
      const row = await database.one<RightsRow>(selectRights(idToBytes(sessionId), { asked, audience }));
      return row === undefined
        ? { roles: [], permissions: [], readAt, notBefore: 0 }
        : rightsFromRow(row, readAt);
    },
  };
}
