import { insertEvent } from "../../audit/audit.sql.ts";
import { insertMail } from "../../mail/outbox.sql.ts";
import type { Clock } from "../../primitives/clock.ts";
import { type Id, idFromBytes, newId } from "../../primitives/id.ts";
import type { Bucket, RateLimits } from "../../rate-limits/rate-limits.ts";
import { rateRules } from "../../rate-limits/rules.ts";
import { lockUser } from "../../sessions/sessions.sql.ts";
import type { Database, Transaction } from "../../storage/database.ts";
import { isUniqueViolation } from "../../storage/statement-failed.ts";
import type { TooManyAttempts } from "../factors/code-limits.ts";
import { type User, userFromRow } from "../user.ts";
import { selectUser, type UserRow, updateUser } from "../users.sql.ts";
import type { AskerTickets } from "./asker-tickets.ts";
import { deleteMailCodesOf, releaseAddress, selectSquatter } from "./mail-codes.sql.ts";
import type { MailCode, MailCodes } from "./mail-codes.ts";
import { addressNotice } from "./notices.ts";
import type { MailDoor } from "./queued.ts";

export type AddressConfirmed =
  | { readonly outcome: "verified" | "changed"; readonly user: User }
  | { readonly outcome: "invalid_mail_code" }
  /** The link is good, and somebody else's. It stays so. */
  | { readonly outcome: "other_account" }
  | { readonly outcome: "email_taken" }
  | TooManyAttempts;

/** Who confirms: the user of a session. */
export interface Confirming {
  readonly userId: Id;
  readonly ip?: string | undefined;
}

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly rateLimits: Pick<RateLimits, "consumeAll" | "refund">;
  readonly codes: MailCodes;
  readonly tickets: Pick<AskerTickets, "nameOf">;
  readonly mail: Pick<MailDoor, "wake">;
}

/**
 * Confirming an address, by somebody who is signed in to the account that it is for. The link alone is not enough: who
 * gets the letter because of a slip of the pen must not make their mailbox the key to a stranger's account.
 */
export function createAddresses(dependencies: Dependencies) {
  const { database, clock, rateLimits, codes, tickets, mail } = dependencies;

  async function verify(code: MailCode, { ip }: Confirming): Promise<boolean> {
    const { userId } = code;
    const at = clock.now();
    const event = { type: "email.verified", actor: "user", userId, ip } as const;
    return database.transaction(async (tx) => {
      await tx.run(lockUser(userId));
      if ((await tx.run(codes.spend(code))) !== 1) return false;
      await tx.run(updateUser({ id: userId, at, changes: { emailVerified: true } }));
      await tx.run(insertEvent({ id: newId(at), at, event }));
      for (const statement of codes.afterUse(code)) await tx.run(statement);
      return true;
    });
  }

  /**
   * Whoever reads the mailbox has more right to an address than who has written it and never confirmed it: else an
   * account that is made with somebody's address would keep its owner out for good.
   */
  async function release(tx: Transaction, code: MailCode, at: number): Promise<void> {
    const squatter = await tx.one<{ id: Uint8Array }>(selectSquatter(code.emailKey, code.userId));
    if (squatter === undefined) return;
    const userId = idFromBytes(squatter.id);
    if ((await tx.run(releaseAddress(squatter.id, { emailKey: code.emailKey, at }))) !== 1) return;
    await tx.run(deleteMailCodesOf(userId));
    const event = { type: "email.released", actor: "system", userId } as const;
    await tx.run(insertEvent({ id: newId(at), at, event }));
  }

  /** The address, that it is confirmed, and a word to both mailboxes: all or nothing. */
  async function change(code: MailCode, { ip }: Confirming): Promise<boolean> {
    const { userId, email, emailKey: key } = code;
    const at = clock.now();
    const event = { type: "email.changed", actor: "user", userId, ip } as const;
    const changes = { email: { value: email, key }, emailVerified: true };
    return database.transaction(async (tx) => {
      await tx.run(lockUser(userId));
      const before = await tx.one<UserRow>(selectUser(userId));
      if ((await tx.run(codes.spend(code))) !== 1) return false;
      await release(tx, code, at);
      await tx.run(updateUser({ id: userId, at, changes }));
      await tx.run(insertEvent({ id: newId(at), at, event }));
      await tx.run(deleteMailCodesOf(userId));
      const old = before !== undefined && before.email_verified_at !== null ? before.email : null;
      for (const address of old === null ? [email] : [old, email]) {
        await tx.run(insertMail(addressNotice("address_changed", { address, userId, at })));
      }
      return true;
    });
  }

  async function confirm(code: MailCode, by: Confirming): Promise<AddressConfirmed> {
    if (code.userId !== by.userId) return { outcome: "other_account" };
    const isChange = code.purpose === "change_address";
    try {
      const isDone = await (isChange ? change(code, by) : verify(code, by));
      if (!isDone) return { outcome: "invalid_mail_code" };
    } catch (error) {
      // Somebody else has confirmed the same address since the letter went out; the transaction is undone.
      if (!isChange || !isUniqueViolation(error)) throw error;
      return { outcome: "email_taken" };
    }
    if (isChange) mail.wake();
    const row = await database.one<UserRow>(selectUser(code.userId));
    if (row === undefined) return { outcome: "invalid_mail_code" };
    return { outcome: isChange ? "changed" : "verified", user: userFromRow(row) };
  }

  return {
    /** What the link is about, for a page; nothing is changed. */
    async find(link: string): Promise<MailCode | undefined> {
      return (await codes.find(link, "verify_address")) ?? (await codes.find(link, "change_address"));
    },

    async confirmByLink(link: string, by: Confirming): Promise<AddressConfirmed> {
      const code = await this.find(link);
      return code === undefined ? { outcome: "invalid_mail_code" } : confirm(code, by);
    },

    /** The digits of the newest letter to the user's own address. */
    async confirmByDigits(digits: string, by: Confirming): Promise<AddressConfirmed> {
      const asker = codes.askerOfUser(by.userId);
      const typed = { purpose: "verify_address", digits } as const;
      // Which letter it would be: its tries are counted before they are looked at.
      const letter = await codes.findByDigits(asker, typed);
      if (letter === undefined) return { outcome: "invalid_mail_code" };
      const { digest, emailKey: key } = letter.code;
      const buckets: Bucket[] = [
        { rule: rateRules.mailCodeOfLetter, subject: digest.toString("base64url") },
        { rule: rateRules.mailCodeOfAddress, subject: tickets.nameOf(key) },
      ];
      const limit = await rateLimits.consumeAll(buckets);
      if (!limit.allowed) {
        // Waiting does not help here; another letter does.
        if (limit.bucket.rule === rateRules.mailCodeOfLetter) return { outcome: "invalid_mail_code" };
        return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
      }
      if (!letter.isRight) return { outcome: "invalid_mail_code" };
      await rateLimits.refund(buckets);
      return confirm(letter.code, by);
    },
  };
}
