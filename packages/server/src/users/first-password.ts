import type { Clock } from "../primitives/clock.ts";
import { type Id, newId } from "../primitives/id.ts";
import type { Database } from "../storage/database.ts";
import { actOnUser, eventOf } from "./acts.ts";
import type { NewPasswords } from "./new-passwords.ts";
import type { Passwords } from "./password-hashing.ts";
import { type By, type InvalidField, userFromRow } from "./user.ts";
import { hasNoPassword, putPassword, selectUserWithPassword, type UserRow, updateUser } from "./users.sql.ts";

export type FirstPasswordSet =
  | { readonly outcome: "set" }
  /** There is one by now: to change it takes the current one. */
  | { readonly outcome: "has_one" }
  | { readonly outcome: "busy" }
  | InvalidField;

type Found = UserRow & { password_hash: string | null };

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly passwords: Pick<Passwords, "hash">;
  readonly newPasswords: NewPasswords;
}

/** A password for a user who came without one, by a provider. */
export function createFirstPassword({ database, clock, passwords, newPasswords }: Dependencies) {
  const find = (userId: Id) => database.one<Found>(selectUserWithPassword(userId));

  return {
    async hasPassword(userId: Id): Promise<boolean> {
      return (await find(userId))?.password_hash !== null;
    },

    /** Whoever calls has seen that the user has signed in lately. Of two at once the first one wins. */
    async setFirstPassword(userId: Id, password: string, by: By): Promise<FirstPasswordSet> {
      const found = await find(userId);
      if (found === undefined || found.password_hash !== null) return { outcome: "has_one" };
      const wrong =
        (await newPasswords.check({ password }, userFromRow(found))) ??
        (await newPasswords.checkBreaches(password));
      if (wrong !== undefined) return wrong;
      const hashed = await passwords.hash(password);
      if (hashed.outcome === "busy") return hashed;
      const { hash } = hashed;
      const at = clock.now();
      const isDone = await actOnUser(database, {
        userId,
        act: putPassword({ id: newId(at), userId, hash, at, onlyIf: hasNoPassword(userId) }),
        follows: [
          updateUser({ id: userId, at, changes: {} }),
          eventOf({ type: "password.changed", userId, at, detail: { first: true } }, by),
        ],
      });
      return { outcome: isDone ? "set" : "has_one" };
    },
  };
}
