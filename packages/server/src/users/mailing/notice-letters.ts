import type { Letter, NoticeLetter, QueuedMail } from "../../mail/mail.ts";
import type { Database } from "../../storage/database.ts";
import { userFromRow } from "../user.ts";
import { selectUser, type UserRow } from "../users.sql.ts";

/** Told to an address on purpose, though it may not be the user's any more. */
const toOldAddress: ReadonlySet<NoticeLetter> = new Set(["address_change_asked", "address_changed"]);

/** Makes the letter of a notice when it is sent, and looks again whether it may go where it was meant to. */
export function createNoticeLetters({ database }: { database: Pick<Database, "one"> }) {
  return async function composeNotice(
    mail: QueuedMail & { readonly kind: NoticeLetter },
  ): Promise<Letter | undefined> {
    const { kind, userId, address, detail, createdAt } = mail;
    const row = userId && (await database.one<UserRow>(selectUser(userId)));
    if (!row || address === undefined) return undefined;
    const user = userFromRow(row);
    if (user.disabledAt !== undefined) return undefined;
    // Whoever has changed the address meanwhile must not be the one who is told.
    const isTheirs = user.email === address && user.emailVerified;
    if (!isTheirs && !toOldAddress.has(kind)) return undefined;
    const { at, ...rest } = detail;
    const facts = Object.fromEntries(
      Object.entries(rest).flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]])),
    );
    return { kind, to: address, username: user.username, at: typeof at === "number" ? at : createdAt, facts };
  };
}
