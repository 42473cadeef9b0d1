import type { Fetch } from "./runtime.ts";
import type { Session } from "./session.ts";

/** How somebody signs in, and what they do about it: the words of it, without what makes them happen. */

export interface ProviderSignIn {
  /** The provider's id, as in `providers()`. */
  readonly provider: string;
  /** Default: this page. Of the issuer's origin, or one of the server's `allowedOrigins`. */
  readonly returnTo?: string;
}

export interface OnDevice {
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

export interface NewPasskey {
  /** The server's own host, or one below it, is where the page has to be. */
  readonly passkey: { readonly name?: string };
  readonly signal?: AbortSignal;
}

export interface AddedPasskey {
  /** With the first factor: shown to their owner this once. */
  readonly recoveryCodes: readonly string[] | undefined;
}

export type SecondStepMethod = "totp" | "recovery_code" | "passkey";

/** How a sign-in goes on that wants a second factor. It knows its ticket and shows it to nobody. */
export interface SecondStep {
  /** By what: of who has a second factor. Empty where one has to be set up first. */
  readonly methods: readonly SecondStepMethod[];
  /** Whether the operator asks a second factor of who has none: then `enrol` and `confirm` are the way. */
  readonly mustEnrol: boolean;
  /**
   * Six digits of the authenticator app, or a recovery code.
   *
   * @throws KeyturnError `wrong_code` (ask again), `invalid_ticket` (begin anew), `too_many_attempts`.
   */
  code(code: string): Promise<Session>;
  /**
   * A passkey of the user's.
   *
   * @throws KeyturnError `no_passkey` when the browser gave none, `wrong_code`, `invalid_ticket`.
   */
  passkey(options?: { readonly signal?: AbortSignal }): Promise<Session>;
  /** The secret of an authenticator app, the same at every call: base 32, and as the address for a QR code. */
  enrol(): Promise<{ readonly secret: string; readonly uri: string }>;
  /** Switches the app on by its first code, and signs in. The recovery codes are shown to their owner this once. */
  confirm(code: string): Promise<{ readonly session: Session; readonly recoveryCodes: readonly string[] }>;
}

/** Ways in, and what changes them. */
export interface Ways {
  signIn(how: SignInOptions): Promise<Session>;
  finishSignIn(address?: string): Promise<Session | undefined>;
  proveAgain(proof: Proof, fetch: Fetch): Promise<void>;
  providers(): Promise<readonly Provider[]>;
  addSignIn(what: NewPasskey | NewConnection, fetch: Fetch): Promise<AddedPasskey>;
}
