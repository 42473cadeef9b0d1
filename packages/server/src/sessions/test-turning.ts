import sql from "sql-template-tag";
import type { Settings } from "../config-schema.ts";
import { createSecrets } from "../keys/secrets.ts";
import { idToBytes, newId } from "../primitives/id.ts";
import type { Database } from "../storage/database.ts";
import { createRefreshTokens } from "../tokens/refresh-token.ts";
import { createSessionCookies } from "../tokens/session-cookie.ts";
import { createBrowsing } from "./browsing.ts";
import { createRevocations } from "./revocations.ts";
import type { LifeSettings } from "./session.ts";
import { createSessions } from "./sessions.ts";
import { createTurning } from "./turning.ts";

const settings: TurnSettings = {
  refreshGraceSeconds: 30,
  appIdleSeconds: 14 * 24 * 3600,
  appAbsoluteSeconds: 180 * 24 * 3600,
  browserIdleSeconds: 14 * 24 * 3600,
  browserAbsoluteSeconds: 30 * 24 * 3600,
  restoreWindowUntil: undefined,
  audience: "http://api.example",
};
type TurnSettings = Pick<Settings, "refreshGraceSeconds" | "restoreWindowUntil"> &
  LifeSettings & { readonly audience: string };

const log = { warn() {}, error() {} };

/** Sessions, turning and the feed over a database, as app.ts builds them, for tests in one or several processes. */
export function buildSessions(
  database: Database,
  change: Partial<TurnSettings> = {},
  onEnded?: () => Promise<void>,
) {
  const secrets = createSecrets([Buffer.alloc(32, 1)]);
  const refreshTokens = createRefreshTokens(secrets.refreshKeys);
  const sessionCookies = createSessionCookies({
    currentKeyId: secrets.refreshKeys.currentId,
    keys: secrets.keys("session-cookie"),
  });
  const { clock } = database;
  const revocations = createRevocations({ database, clock, log });
  const parts = {
    database,
    clock,
    refreshTokens,
    sessionCookies,
    settings: { ...settings, ...change },
    onEnded: onEnded ?? (() => revocations.wake()),
    attemptDigestKey: (id: number) => secrets.key("attempt-key", id),
    log,
  };
  return {
    refreshTokens,
    revocations,
    sessions: createSessions(parts),
    browsing: createBrowsing(parts),
    turning: createTurning(parts),
  };
}

/** A user to hang sessions on. */
export async function addUser(database: Database): Promise<string> {
  const now = database.clock.now();
  const id = newId(now);
  await database.batch([
    sql`INSERT INTO users (id, username, username_key, created_at, updated_at)
        VALUES (${idToBytes(id)}, ${id}, ${id}, ${now}, ${now})`,
  ]);
  return id;
}

export const appSession = (userId: string) => ({
  userId,
  clientId: "first-party",
  kind: "app" as const,
  scope: "",
  amr: ["pwd"],
});

export const selectAll = (id: string) =>
  sql`SELECT generation, digest, recent FROM sessions WHERE id = ${idToBytes(id)}`;

/** Puts a session back to an older state, as restoring an older copy of the database would. */
export const restore = (id: string, row: Record<string, unknown>) =>
  sql`UPDATE sessions SET generation = ${row.generation}, digest = ${row.digest}, recent = ${row.recent} WHERE id = ${idToBytes(id)}`;
