import type { ModeParts } from "./mode.ts";
import type { AccessReply, Json } from "./replies.ts";
import type { Session } from "./session.ts";
import type { SessionKeys } from "./session-keys.ts";

/** Who has arrived, with what the answer says besides. */
export interface Entered {
  readonly session: Session;
  readonly body: Json;
}

/** What a mode does with a way that somebody takes. */
export interface Door {
  readonly parts: ModeParts;
  /** Asks Keyturn as this mode does, without signing anybody in. */
  ask<T>(path: string, json: Json | undefined, read: (body: Json) => T | undefined): Promise<T>;
  /**
   * Sends what proves who it is; who is signed in by it arrives, in place of whoever was here.
   *
   * @param keys Of a sign-in that is under way; default: new ones.
   */
  enter(path: string, json: Json, keys?: SessionKeys): Promise<Entered>;
  /** The session of who is here has been proven again. */
  proven(reply: AccessReply, sinceMs: number): Promise<void>;
  /** What a page that has left for a provider comes back to: a code, or the cookie. */
  readonly leaving: "code" | "cookie";
  /** Of a session that is to be. */
  newKeys(): Promise<SessionKeys>;
}
