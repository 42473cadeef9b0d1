import { type CodeLetter, type Compose, codeLetters, type Letter, type QueuedMail } from "../../mail/mail.ts";
import { isId } from "../../primitives/id.ts";
import type { Database } from "../../storage/database.ts";
import { checkEmail, emailKey } from "../names.ts";
import { type User, userFromRow } from "../user.ts";
import { selectUser, selectUserByKey, type UserRow } from "../users.sql.ts";
import type { MailCodes } from "./mail-codes.ts";
import { letterMinutes } from "./queued.ts";

/** Pages that look at a link; what it is good for happens by a button there. */
const letterPaths: Readonly<Record<CodeLetter, string>> = {
  verify_address: "/email/confirm",
  change_address: "/email/confirm",
  sign_in: "/sign-in/mail/link",
  reset_password: "/password/reset",
};

interface Dependencies {
  readonly database: Database;
  readonly codes: Pick<MailCodes, "mint" | "askerOfUser">;
  /** Links lead to the issuer, whatever host a request was sent to. */
  readonly settings: { readonly issuer: string };
}

/** Whom a letter is for, and where it goes. */
interface Recipient {
  readonly user: User;
  readonly email: string;
}

/** Makes letters with a link at the moment of sending: here it is settled whether there is anybody to write to. */
export function createComposing({ database, codes, settings }: Dependencies): Compose {
  async function findBy(statement: Parameters<Database["one"]>[0]): Promise<User | undefined> {
    const row = await database.one<UserRow>(statement);
    const user = row && userFromRow(row);
    return user?.disabledAt === undefined ? user : undefined;
  }

  /** Who has confirmed the address. Mail goes to the one that is stored, never to the one that was typed. */
  async function owner(key: string): Promise<Recipient | undefined> {
    const user = await findBy(selectUserByKey({ field: "email", key }));
    if (user?.email === undefined || !user.emailVerified) return undefined;
    return { user, email: user.email };
  }

  async function recipientOf(
    kind: CodeLetter,
    mail: QueuedMail,
    typed: string,
  ): Promise<Recipient | undefined> {
    const key = emailKey(typed);
    if (kind === "sign_in" || kind === "reset_password") return owner(key);
    const user =
      mail.userId !== undefined && isId(mail.userId) ? await findBy(selectUser(mail.userId)) : undefined;
    if (user === undefined) return undefined;
    if (kind === "verify_address") {
      const isTheirs = user.email !== undefined && emailKey(user.email) === key;
      return isTheirs && !user.emailVerified ? { user, email: user.email } : undefined;
    }
    // Whose address it is, is told to nobody: of one that somebody has confirmed no letter goes out.
    const holder = await database.one<UserRow>(selectUserByKey({ field: "email", key }));
    return holder === undefined || holder.email_verified_at === null ? { user, email: typed } : undefined;
  }

  function askerOf(kind: CodeLetter, { detail }: QueuedMail, user: User): Buffer | undefined {
    if (kind === "verify_address") return codes.askerOfUser(user.id);
    const { asker } = detail;
    return kind === "sign_in" && typeof asker === "string" ? Buffer.from(asker, "base64url") : undefined;
  }

  return async function composeCodeLetter(mail: QueuedMail): Promise<Letter | undefined> {
    const kind = codeLetters.find((one) => one === mail.kind);
    const typed = mail.address === undefined ? undefined : checkEmail(mail.address);
    if (kind === undefined || typed?.ok !== true) return undefined;
    const recipient = await recipientOf(kind, mail, typed.value);
    if (recipient === undefined) return undefined;
    const { user, email } = recipient;
    const minutes = letterMinutes[kind];
    const made = await codes.mint({
      mailId: mail.id,
      purpose: kind,
      userId: user.id,
      email,
      emailKey: emailKey(email),
      asker: askerOf(kind, mail, user),
      askedAt: mail.createdAt,
      minutes,
    });
    if (made === undefined) return undefined;
    const link = `${settings.issuer.replace(/\/$/, "")}${letterPaths[kind]}?token=${made.link}`;
    return { to: email, username: user.username, kind, link, code: made.digits, minutes };
  };
}
