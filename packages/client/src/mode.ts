import type { Access, AccessKeeper } from "./access.ts";
import type { Ways } from "./how.ts";
import type { Issuer } from "./issuer.ts";
import type { Presence } from "./presence.ts";
import type { Session } from "./session.ts";
import type { Tools } from "./tools.ts";
import type { World } from "./world.ts";

export interface SignOutOptions {
  /** End all sessions of the user, on every device. */
  readonly everywhere?: boolean;
}

/** How a session is kept: by refresh token or by cookie. */
export interface Mode {
  /** One attempt to get a new access token, which it also gives to the keeper. */
  renew(): Promise<Access>;
  /** What is rarely needed. Loaded at the first use. */
  ways(): Promise<Ways>;
  signOut(options?: SignOutOptions): Promise<{ readonly told: boolean }>;
  session(): Promise<Session | undefined>;
}

/** What a mode is made of. */
export interface ModeParts extends World {
  readonly issuer: Issuer;
  readonly access: AccessKeeper;
  readonly presence: Presence;
  readonly tools: Tools;
}
