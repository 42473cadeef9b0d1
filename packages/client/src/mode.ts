import type { AccessKeeper } from "./access.ts";
import type { Events } from "./events.ts";
import type { Settings } from "./options.ts";
import type { Runtime } from "./runtime.ts";
import type { Session } from "./session.ts";

export interface Credentials {
  /** The username or the e-mail address. */
  readonly username: string;
  readonly password: string;
  /** What the device list calls this device; default: the option of that name. */
  readonly device?: string;
}

export interface SignOutOptions {
  /** End all sessions of the user, on every device. */
  readonly everywhere?: boolean;
}

/** How a session is kept: by refresh token or by cookie. */
export interface Mode {
  readonly access: Pick<AccessKeeper, "get" | "getOther">;
  signIn(credentials: Credentials): Promise<Session>;
  signOut(options: SignOutOptions): Promise<{ readonly told: boolean }>;
  session(): Promise<Session | undefined>;
  close(): void;
}

export interface ModeParts {
  readonly settings: Settings;
  readonly runtime: Runtime;
  readonly events: Events;
  /** Aborted when the client is closed. */
  readonly closed: AbortSignal;
}

/** A mode whose code is loaded first, at once; when that fails, again at the next use. */
export function postpone(create: () => Promise<Mode>): Mode {
  let made: Promise<Mode> | undefined;
  const mode = () => {
    made ??= create().catch((error) => {
      made = undefined;
      throw error;
    });
    return made;
  };
  mode().catch(() => {});
  return {
    access: {
      get: async (signal) => (await mode()).access.get(signal),
      getOther: async (refused, signal) => (await mode()).access.getOther(refused, signal),
    },
    signIn: async (credentials) => (await mode()).signIn(credentials),
    signOut: async (options) => (await mode()).signOut(options),
    session: async () => (await mode()).session(),
    close: () => void made?.then((one) => one.close()),
  };
}
