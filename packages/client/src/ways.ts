import type { ModeParts } from "./mode.ts";
import type { AddedPasskey, NewPasskey } from "./passkeys.ts";
import type { ProviderSignIn } from "./providers.ts";
import type { AccessReply, Json } from "./replies.ts";
import type { Fetch } from "./runtime.ts";
import type { Session } from "./session.ts";
import type { SessionKeys } from "./session-keys.ts";

interface OnDevice {
  /** What the device list calls this device; default: the option of that name. */
  readonly device?: string;
}

export interface Credentials extends OnDevice {
  /** The username or the e-mail address. */
  readonly username: string;
  readonly password: string;
}

/** For who has lost the passkey that was the only way to sign in. */
export interface RecoverySignIn extends OnDevice {
  /** The username or the e-mail address. */
  readonly username: string;
  readonly recoveryCode: string;
}

export interface PasskeySignIn extends OnDevice {
  /**
   * `true`: the browser asks which passkey. `"conditional"`: it only offers them, where a field has
   * `autocomplete="username webauthn"`, for as long as the page likes.
   */
  readonly passkey: true | "conditional";
  /** Ends the question, or the offer. */
  readonly signal?: AbortSignal;
}

export type SignInOptions = Credentials | RecoverySignIn | PasskeySignIn | ProviderSignIn;

/** What proves again who is signed in: the password, with a code of who has a second factor, or a passkey. */
export type Proof =
  | { readonly password: string; readonly code?: string }
  | { readonly passkey: true; readonly signal?: AbortSignal };

/** Somebody to sign in with, as on the sign-in page. */
export interface Provider {
  readonly id: string;
  readonly label: string;
}

/** A provider to connect to the account of who is signed in. */
export interface NewConnection {
  readonly provider: string;
  /** Default: this page. */
  readonly returnTo?: string;
}

/** Ways in, and what changes them. */
export interface Ways {
  signIn(how: SignInOptions): Promise<Session>;
  finishSignIn(address?: string): Promise<Session | undefined>;
  proveAgain(proof: Proof, fetch: Fetch): Promise<void>;
  providers(): Promise<readonly Provider[]>;
  addSignIn(what: NewPasskey | NewConnection, fetch: Fetch): Promise<AddedPasskey>;
}

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
  /** Leads to a provider, by a path of Keyturn's that asks first. Token mode: `keys` of the session that is to be. */
  readonly leaving: "code" | "cookie";
  newKeys(): Promise<SessionKeys>;
}

/** The rest of a mode: {@link Door} made into {@link Ways}, each part loaded when somebody takes it. */
export function createWays(door: Door): Ways {
  const { settings } = door.parts;
  const findPasskeys = async () => (await import("./passkeys.ts")).createPasskeyWays(door);
  const findProviders = async () => (await import("./providers.ts")).createProviderWays(door);

  return {
    async signIn(how) {
      const { device = settings.device } = how as OnDevice;
      const more = { ...(device !== undefined && { device }) };
      if ("passkey" in how) return (await findPasskeys()).signIn(how, more);
      if ("provider" in how) return (await findProviders()).leave(how);
      const { username } = how;
      const { session } = await ("recoveryCode" in how
        ? door.enter("/login/recovery", { username, code: how.recoveryCode, ...more })
        : door.enter("/login", { username, password: how.password, ...more }));
      return session;
    },
    finishSignIn: async (address) => (await findProviders()).finish(address),
    proveAgain: async (proof, fetch) => (await findPasskeys()).proveAgain(proof, fetch),
    providers: async () => (await findProviders()).list(),
    addSignIn: async (what, fetch) =>
      "provider" in what ? (await findProviders()).connect(what) : (await findPasskeys()).add(what, fetch),
  };
}
