import type { Clock } from "../primitives/clock.ts";
import { newId } from "../primitives/id.ts";
import { addressBlock } from "../rate-limits/address.ts";
import type { Bucket, RateLimits } from "../rate-limits/rate-limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import type { Session } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Database } from "../storage/database.ts";
import { actAndEnd, eventOf } from "./acts.ts";
import type { NewPasswords } from "./new-passwords.ts";
import type { Passwords } from "./password-hashing.ts";
import { type InvalidField, invalid, userFromRow } from "./user.ts";
import {
  passwordUnchanged,
  putPassword,
  selectUserWithPassword,
  type UserRow,
  updateUser,
} from "./users.sql.ts";

export interface PasswordChange {
  /** The session that asks. */
  readonly session: Session;
  /** The password until now: whoever sits down at an open browser does not know it. */
  readonly current: string;
  readonly password: string;
  /** Ends the user's other sessions in the same transaction. */
  readonly endOthers: boolean;
  readonly ip?: string | undefined;
}

export type PasswordChanged =
  | {
      readonly outcome: "changed";
      /** The session that goes on: a new one for a browser, the same for an app. */
      readonly session: Session;
      /** The value of the new cookie; undefined for an app. */
      readonly credential: string | undefined;
    }
  | { readonly outcome: "wrong_password" }
  | { readonly outcome: "too_many_attempts"; readonly retryAfterSeconds: number }
  | { readonly outcome: "busy" }
  | InvalidField;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly passwords: Pick<Passwords, "hash" | "verify" | "verifyNothing">;
  readonly newPasswords: NewPasswords;
  readonly rateLimits: Pick<RateLimits, "consumeAll" | "refund">;
  readonly sessions: Pick<Sessions, "start" | "endAllOfUserStatements" | "announceEnded">;
}

type Found = UserRow & { password_hash: string | null; password_changed_at: number | null };

/** A user's own change of password. */
export function createPasswordChange(dependencies: Dependencies) {
  const { database, clock, passwords, newPasswords, rateLimits, sessions } = dependencies;

  /** Whether the current password is right, within the same limits as a sign-in by this account. */
  async function prove(change: PasswordChange, found: Found) {
    const { session, ip } = change;
    const address = addressBlock(ip) ?? "none";
    const buckets: Bucket[] = [{ rule: rateRules.passwordChange, subject: `${session.userId} ${address}` }];
    const limit = await rateLimits.consumeAll(buckets);
    if (!limit.allowed) {
      return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds } as const;
    }
    const hash = found.password_hash ?? undefined;
    const verified = hash
      ? await passwords.verify(change.current, hash)
      : await passwords.verifyNothing(change.current);
    if (verified.outcome === "mismatch") return { outcome: "wrong_password" } as const;
    await rateLimits.refund(buckets);
    return verified;
  }

  async function write(change: PasswordChange, found: Found, hash: string): Promise<PasswordChanged> {
    const { session, endOthers, ip } = change;
    const { userId } = session;
    const by = { actor: "user", ip } as const;
    const at = clock.now();
    // Of two changes at once that were proven by the same password, the first one wins.
    const onlyIf = passwordUnchanged(userId, found.password_changed_at ?? 0);
    const ends = { ...by, reason: "password_changed", except: session.id } as const;
    const isDone = await actAndEnd(dependencies, {
      userId,
      act: putPassword({ id: newId(at), userId, hash, at, onlyIf }),
      follows: [
        updateUser({ id: userId, at, changes: {} }),
        eventOf({ type: "password.changed", userId, at }, by),
      ],
      ending: endOthers ? sessions.endAllOfUserStatements(userId, ends) : [],
    });
    if (!isDone) return { outcome: "wrong_password" };
    if (session.kind !== "browser") return { outcome: "changed", session, credential: undefined };
    const started = await sessions.start(
      { ...session, ip, authenticatedAt: undefined, expiresAt: undefined },
      { replaces: session, renews: true },
    );
    // Disabled or removed at this very moment: the next request says so.
    return { outcome: "changed", session: started?.session ?? session, credential: started?.credential };
  }

  return {
    async changePassword(change: PasswordChange): Promise<PasswordChanged> {
      const found = await database.one<Found>(selectUserWithPassword(change.session.userId));
      if (found === undefined) return { outcome: "wrong_password" };
      const user = userFromRow(found);
      const wrong = await newPasswords.check({ password: change.password }, user);
      if (wrong !== undefined) return wrong;
      if (change.password === change.current) {
        return invalid("password", "Choose a password that is not the current one.");
      }
      const proven = await prove(change, found);
      if (proven.outcome !== "match") return proven;
      const breached = await newPasswords.checkBreaches(change.password);
      if (breached !== undefined) return breached;
      const hashed = await passwords.hash(change.password);
      return hashed.outcome === "busy" ? hashed : write(change, found, hashed.hash);
    },
  };
}
