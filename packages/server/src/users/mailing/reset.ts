import type { Clock } from "../../primitives/clock.ts";
import { newId } from "../../primitives/id.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Database } from "../../storage/database.ts";
import { actAndEnd, eventOf } from "../acts.ts";
import type { NewPasswords } from "../new-passwords.ts";
import type { Passwords } from "../password-hashing.ts";
import { type InvalidField, type User, userFromRow } from "../user.ts";
import { putPassword, selectUser, type UserRow, updateUser } from "../users.sql.ts";
import type { MailCodes } from "./mail-codes.ts";

export interface PasswordReset {
  /** The secret of the link. */
  readonly link: string;
  readonly password: string;
  /** Ends all of the user's sessions in the same transaction. */
  readonly endSessions: boolean;
  readonly ip?: string | undefined;
}

export type PasswordResetDone =
  | { readonly outcome: "reset" }
  | { readonly outcome: "invalid_mail_code" }
  | { readonly outcome: "busy" }
  | InvalidField;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly passwords: Pick<Passwords, "hash">;
  readonly newPasswords: Pick<NewPasswords, "check" | "checkBreaches">;
  readonly sessions: Pick<Sessions, "endAllOfUserStatements" | "announceEnded">;
  readonly codes: MailCodes;
}

/**
 * A new password by a link, or a first one for who has none. It proves that somebody reads the mailbox and no more: a
 * second factor stays, and is asked for at the next sign-in.
 */
export function createReset(dependencies: Dependencies) {
  const { database, clock, passwords, newPasswords, sessions, codes } = dependencies;
  async function find(link: string): Promise<User | undefined> {
    const code = await codes.find(link, "reset_password");
    const row = code && (await database.one<UserRow>(selectUser(code.userId)));
    return row && userFromRow(row);
  }

  return {
    /** Whose password the link is for, for a page; nothing is changed. */
    find,

    async reset({ link, password, endSessions, ip }: PasswordReset): Promise<PasswordResetDone> {
      const code = await codes.find(link, "reset_password");
      const user = await find(link);
      if (code === undefined || user === undefined) return { outcome: "invalid_mail_code" };
      // Only who holds a link comes here, so no stranger makes this server ask elsewhere as often as they like.
      const wrong =
        (await newPasswords.check({ password }, user)) ?? (await newPasswords.checkBreaches(password));
      if (wrong !== undefined) return wrong;
      const hashed = await passwords.hash(password);
      if (hashed.outcome === "busy") return hashed;
      const { hash } = hashed;
      const userId = user.id;
      const at = clock.now();
      const by = { actor: "user", ip } as const;
      const isDone = await actAndEnd(dependencies, {
        userId,
        act: codes.spend(code),
        follows: [
          putPassword({ id: newId(at), userId, hash, at }),
          updateUser({ id: userId, at, changes: {} }),
          eventOf({ type: "password.changed", userId, at, detail: { reset: true } }, by),
          ...codes.afterUse(code),
        ],
        ending: endSessions
          ? sessions.endAllOfUserStatements(userId, { ...by, reason: "password_changed" })
          : [],
      });
      return { outcome: isDone ? "reset" : "invalid_mail_code" };
    },
  };
}
