import type { CodeLetter, MailDetail } from "../../mail/mail.ts";
import type { NewMail } from "../../mail/outbox.sql.ts";
import { type Id, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { cleanText } from "../names.ts";

/** The way to the outbox. */
export interface MailDoor {
  /** Whether this server sends mail at all. */
  readonly isOn: boolean;
  /** There is something to send: after the commit that has put it there. */
  wake(): void;
}

/** How long a letter of each kind is good for; one that could not be sent by then is not sent. */
export const letterMinutes: Readonly<Record<CodeLetter, number>> = {
  verify_address: limits.verifyAddressMinutes,
  change_address: limits.changeAddressMinutes,
  sign_in: limits.signInByMailMinutes,
  reset_password: limits.resetPasswordMinutes,
};

/** A letter that is to be sent; nothing in it can be presented. */
export function letterToSend(asked: {
  kind: CodeLetter;
  address: string;
  at: number;
  userId?: Id | undefined;
  detail?: MailDetail | undefined;
  /** The `Accept-Language` of who asked. */
  languages?: string | undefined;
}): NewMail {
  const { kind, at, languages } = asked;
  return {
    ...asked,
    id: newId(at),
    languages: cleanText(languages, limits.acceptLanguageCharactersMax),
    expiresAt: at + letterMinutes[kind] * 60_000,
  };
}
