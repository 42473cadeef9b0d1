import type { Id } from "../primitives/id.ts";

/** Letters that carry a link, some with a code beside it. What can be presented is made when the letter is sent. */
export const codeLetters = ["verify_address", "change_address", "sign_in", "reset_password"] as const;
export type CodeLetter = (typeof codeLetters)[number];

/** Letters that tell of something that has happened to the account. */
export const noticeLetters = [
  "new_device",
  "password_changed",
  "address_change_asked",
  "address_changed",
  "factor_added",
  "factor_removed",
  "recovery_code_used",
  "identity_linked",
  "identity_unlinked",
  "reuse_detected",
] as const;
export type NoticeLetter = (typeof noticeLetters)[number];

export type MailKind = CodeLetter | NoticeLetter;

/** Facts about a mail that wait with it in the database; never a secret. */
export type MailDetail = Readonly<Record<string, string | number | boolean | null>>;

/**
 * A mail that is to be sent. It holds nothing that could be presented: whom it goes to, whether it goes at all, and
 * the link in it are settled when it is sent. So asking for a mail is one insert, the same whether or not there is
 * anybody to write to, and a copy of the database opens no account.
 */
export interface QueuedMail {
  readonly id: Id;
  readonly kind: MailKind;
  readonly userId: Id | undefined;
  /** As it was typed, or that of before; undefined: the user's. */
  readonly address: string | undefined;
  readonly detail: MailDetail;
  /** What the browser that asked prefers, RFC 9110 §12.5.4. */
  readonly languages: string | undefined;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** After this it is not worth sending. */
  readonly expiresAt: number;
}

/** What the templates make a mail of. */
export type Letter = { readonly to: string; readonly username: string } & (
  | {
      readonly kind: CodeLetter;
      /** An address of this server with a secret in its fragment or query. */
      readonly link: string;
      /** Six digits, where the letter has a code beside the link. */
      readonly code?: string | undefined;
      /** How long both are good for. */
      readonly minutes: number;
    }
  | {
      readonly kind: NoticeLetter;
      /** When it happened, milliseconds since 1970. */
      readonly at: number;
      /** What it happened to, in the words of the audit log: a factor, a provider's label, a device. */
      readonly facts: Readonly<Record<string, string>>;
    }
);

/**
 * Makes the letter of a queued mail at the moment of sending.
 * @returns undefined when nobody is to be written to: no such account, an address that is not verified, a doubt
 */
export type Compose = (mail: QueuedMail) => Promise<Letter | undefined>;
