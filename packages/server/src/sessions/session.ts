import type { Settings } from "../config-schema.ts";
import { type Id, idFromBytes, timeOfId } from "../primitives/id.ts";
import type { EndReason } from "./end.ts";
import { listRecent, type Supersession } from "./recent.ts";
import type { SessionRow } from "./sessions.sql.ts";
import { unpackUserAgent } from "./user-agent.ts";

/**
 * What a session is for: an app that holds a refresh token, a browser that holds a cookie, a client that the user let
 * in (OAuth), or a client that acts for itself.
 */
export type SessionKind = "app" | "browser" | "client" | "service";

/** Anything that stays signed in. Times are milliseconds since 1970. */
export interface Session {
  readonly id: Id;
  readonly userId: Id;
  readonly clientId: string;
  readonly kind: SessionKind;
  /** The browser's session from which the user let the client in, and with which this one ends. */
  readonly parent: Id | undefined;
  readonly scope: string;
  /** RFC 8707: what its tokens may be for. Empty: the audience of the settings. */
  readonly resources: readonly string[];
  readonly amr: readonly string[];
  /** What the person or the app calls the device. */
  readonly device: string | undefined;
  /** Where it was last used from. */
  readonly ip: string | undefined;
  readonly userAgent: string | undefined;
  /** RFC 7638: the key that its refresh token is bound to. Undefined when it is bound to none. */
  readonly keyThumbprint: string | undefined;
  readonly createdAt: number;
  /** When its user proved who they are: at the sign-in, or at the last step-up. */
  readonly authenticatedAt: number;
  readonly lastUsedAt: number;
  /** The absolute end, fixed at sign-in. */
  readonly expiresAt: number;
  /** When it ends if it is not used again: never after `expiresAt`. */
  readonly idleEndsAt: number;
  /** How often it has turned. */
  readonly generation: number;
  readonly recent: readonly Supersession[];
  readonly revokedAt: number | undefined;
  readonly endReason: EndReason | undefined;
  /** The audit event of the act that ended it: one act may have ended many sessions. */
  readonly endEvent: Id | undefined;
}

/** A client that acts for itself. */
export interface NewServiceSession {
  readonly clientId: string;
  /** The client's `updatedAt` by which it was authenticated; no session is started when it is another by now. */
  readonly clientVersion: number | undefined;
  readonly scope: string;
  readonly resources: readonly string[];
  /** Milliseconds since 1970: the end of the one token. */
  readonly expiresAt: number;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  readonly keyThumbprint?: string | undefined;
}

export interface NewSession {
  readonly userId: Id;
  readonly clientId: string;
  readonly kind: SessionKind;
  readonly parent?: Id | undefined;
  readonly scope: string;
  readonly resources?: readonly string[] | undefined;
  /** RFC 8176. */
  readonly amr: readonly string[];
  /** Its first secret, 32 bytes, where it has to be derived again if the reply is lost. Default: drawn. */
  readonly secret?: Buffer | undefined;
  /** When the user proved who they are, if not now; milliseconds since 1970. */
  readonly authenticatedAt?: number | undefined;
  /** An end before that of its kind; milliseconds since 1970. */
  readonly expiresAt?: number | undefined;
  readonly device?: string | undefined;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  readonly keyThumbprint?: string | undefined;
}

export type LifeSettings = Pick<
  Settings,
  "appIdleSeconds" | "appAbsoluteSeconds" | "browserIdleSeconds" | "browserAbsoluteSeconds"
>;

/** How long a session of a kind may be idle, and may live at all. */
export function lifeOf(kind: SessionKind, settings: LifeSettings): { idleMs: number; absoluteMs: number } {
  const [idle, absolute] =
    kind === "browser"
      ? [settings.browserIdleSeconds, settings.browserAbsoluteSeconds]
      : [settings.appIdleSeconds, settings.appAbsoluteSeconds];
  return { idleMs: idle * 1000, absoluteMs: absolute * 1000 };
}

export function sessionFromRow(row: SessionRow, settings: LifeSettings): Session {
  const kind = row.kind as SessionKind;
  return {
    id: idFromBytes(row.id),
    userId: idFromBytes(row.user_id),
    clientId: row.client_id,
    kind,
    parent: row.parent === null ? undefined : idFromBytes(row.parent),
    scope: row.scope,
    resources: row.resources === null ? [] : row.resources.split(" "),
    amr: row.amr === "" ? [] : row.amr.split(" "),
    device: row.device ?? undefined,
    ip: row.ip ?? undefined,
    userAgent: row.user_agent === null ? undefined : unpackUserAgent(row.user_agent),
    keyThumbprint: row.dpop_thumbprint ?? undefined,
    createdAt: timeOfId(idFromBytes(row.id)),
    authenticatedAt: row.authenticated_at,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
    idleEndsAt: Math.min(row.expires_at, row.last_used_at + lifeOf(kind, settings).idleMs),
    generation: row.generation,
    recent: listRecent(row.recent),
    revokedAt: row.revoked_at ?? undefined,
    endReason: (row.end_reason as EndReason | null) ?? undefined,
    endEvent: row.end_event ? idFromBytes(row.end_event) : undefined,
  };
}
