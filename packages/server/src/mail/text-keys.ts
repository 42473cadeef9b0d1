import { type CodeLetter, codeLetters, type NoticeLetter, noticeLetters } from "./mail.ts";

/** What can stand in braces in a text, and is put in when the mail is written. */
export const placeholders = ["site", "username", "minutes"] as const;

const lettersWithLink = [...codeLetters, "test"] as const;

type LetterText =
  | `${CodeLetter}.${"subject" | "lead" | "action" | "doubt"}`
  | `${NoticeLetter}.${"subject" | "lead" | "doubt"}`
  | `test.${"subject" | "lead" | "action" | "doubt"}`;

/** Texts that several letters share. */
const shared = [
  "greeting",
  "code",
  "good_for",
  "link",
  "account",
  "sent_by",
  "fact.at",
  "fact.device",
  "fact.ip",
  "fact.factor",
  "fact.provider",
  "fact.left",
  "fact.by",
  "fact.email",
  "value.passkey",
  "value.totp",
  "value.recovery_codes",
  "value.operator",
] as const;

export type MailTextKey = LetterText | (typeof shared)[number];

/** All words of mails in one language. */
export type MailTexts = Readonly<Record<MailTextKey, string>>;

export const mailTextKeys: readonly MailTextKey[] = [
  ...shared,
  ...lettersWithLink.flatMap(
    (kind) => [`${kind}.subject`, `${kind}.lead`, `${kind}.action`, `${kind}.doubt`] as const,
  ),
  ...noticeLetters.flatMap((kind) => [`${kind}.subject`, `${kind}.lead`, `${kind}.doubt`] as const),
];
