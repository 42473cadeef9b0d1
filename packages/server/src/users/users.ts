import type { Clock } from "../primitives/clock.ts";
import { type Id, isId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { RateLimits } from "../rate-limits/rate-limits.ts";
import type { Grants } from "../roles/grants.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Database } from "../storage/database.ts";
import { createAdding } from "./adding.ts";
import { createChanging } from "./changing.ts";
import { createFirstPassword } from "./first-password.ts";
import type { MailDoor } from "./mailing/queued.ts";
import { loginKey } from "./names.ts";
import type { NewPasswords } from "./new-passwords.ts";
import { createPasswordChange } from "./password-change.ts";
import type { Passwords } from "./password-hashing.ts";
import { createSwitching } from "./switching.ts";
import { type User, userFromRow } from "./user.ts";
import { selectUser, selectUserByKey, selectUsers, type UserRow } from "./users.sql.ts";

export type Users = ReturnType<typeof createUsers>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly passwords: Pick<Passwords, "hash" | "verify" | "verifyNothing">;
  readonly newPasswords: NewPasswords;
  readonly rateLimits: Pick<RateLimits, "consume" | "consumeAll" | "refund">;
  readonly sessions: Pick<Sessions, "start" | "endAllOfUserStatements" | "announceEnded">;
  readonly grants: Pick<Grants, "setEverywhere">;
  readonly mail: MailDoor;
}

/** The users of this server. Every act is one transaction with its audit event inside. */
export function createUsers(dependencies: Dependencies) {
  const { database } = dependencies;

  async function findById(id: string): Promise<User | undefined> {
    const row = isId(id) ? await database.one<UserRow>(selectUser(id)) : undefined;
    return row === undefined ? undefined : userFromRow(row);
  }

  return {
    ...createAdding(dependencies),
    ...createChanging(dependencies),
    ...createSwitching(dependencies),
    ...createPasswordChange(dependencies),
    ...createFirstPassword(dependencies),

    findById,

    /** What is wrong with a new password by the rules and the list that is here, as a sentence for the person. */
    passwordProblem: dependencies.newPasswords.problem,

    /** By id, username or e-mail address: a username is shaped like neither of the others. */
    async find(text: string): Promise<User | undefined> {
      if (isId(text)) return findById(text);
      const key = loginKey(text);
      const row = key && (await database.one<UserRow>(selectUserByKey(key)));
      return row === undefined ? undefined : userFromRow(row);
    },

    /** The newest first, at most a page; `before` is the id of the last one of the page before. */
    async list(page: { before?: Id; rows?: number } = {}): Promise<User[]> {
      const rows = Math.min(page.rows ?? limits.pageRowsMax, limits.pageRowsMax);
      return (await database.all<UserRow>(selectUsers({ before: page.before, rows }))).map(userFromRow);
    },
  };
}
