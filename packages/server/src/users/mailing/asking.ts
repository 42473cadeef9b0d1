import { insertEvent } from "../../audit/audit.sql.ts";
import { insertMail, type NewMail } from "../../mail/outbox.sql.ts";
import { unreachable } from "../../primitives/assert.ts";
import type { Clock } from "../../primitives/clock.ts";
import { sha256 } from "../../primitives/digest.ts";
import { type Id, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { addressBlock } from "../../rate-limits/address.ts";
import type { Bucket, RateLimits } from "../../rate-limits/rate-limits.ts";
import { rateRules } from "../../rate-limits/rules.ts";
import type { Database, Sql } from "../../storage/database.ts";
import type { TooManyAttempts } from "../factors/code-limits.ts";
import { checkEmail, emailKey } from "../names.ts";
import { type InvalidField, invalid, type User } from "../user.ts";
import type { AskerTickets } from "./asker-tickets.ts";
import { addressNotice } from "./notices.ts";
import { letterToSend, type MailDoor } from "./queued.ts";

export interface AskedFrom {
  readonly ip?: string | undefined;
  /** The `Accept-Language` of the request. */
  readonly languages?: string | undefined;
}

interface Asked {
  readonly outcome: "asked";
}

export type MailAsked = Asked | InvalidField | TooManyAttempts;
export type SignInAsked =
  | {
      readonly outcome: "asked";
      /** In whose hands the digits of the letter are good. */
      readonly ticket: string;
      readonly expiresInSeconds: number;
    }
  | InvalidField
  | TooManyAttempts;
export type VerificationAsked =
  | Asked
  | { readonly outcome: "no_address" | "already_verified" }
  | TooManyAttempts;
export type ChangeAsked =
  | Asked
  /** It is the user's already, and confirmed. */
  | { readonly outcome: "unchanged" }
  | InvalidField
  | TooManyAttempts;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly rateLimits: Pick<RateLimits, "consumeAll">;
  readonly tickets: Pick<AskerTickets, "issue">;
  readonly mail: Pick<MailDoor, "wake">;
}

/**
 * Asking for letters. For strangers it is the same limits and one insert, whether or not anybody has the address:
 * nothing here looks at a user, so neither answer nor time can tell.
 */
export function createAsking({ database, clock, rateLimits, tickets, mail }: Dependencies) {
  async function limited(key: string, from: AskedFrom, userId?: Id): Promise<TooManyAttempts | undefined> {
    const buckets: Bucket[] = [{ rule: rateRules.mailToAddress, subject: key }];
    const block = addressBlock(from.ip);
    if (block !== undefined) buckets.push({ rule: rateRules.mailFromAddress, subject: block });
    if (userId !== undefined) buckets.push({ rule: rateRules.mailOfAccount, subject: userId });
    const limit = await rateLimits.consumeAll(buckets);
    return limit.allowed
      ? undefined
      : { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
  }

  async function queue(letters: readonly NewMail[], also: readonly Sql[] = []): Promise<Asked> {
    await database.batch([...letters.map((letter) => insertMail(letter)), ...also]);
    mail.wake();
    return { outcome: "asked" };
  }

  /** To the user's own address, as it is now. */
  async function verification(user: User, from: AskedFrom): Promise<VerificationAsked> {
    if (user.email === undefined) return { outcome: "no_address" };
    if (user.emailVerified) return { outcome: "already_verified" };
    const refused = await limited(emailKey(user.email), from, user.id);
    if (refused !== undefined) return refused;
    const { languages } = from;
    const asked = { address: user.email, at: clock.now(), userId: user.id, languages };
    return queue([letterToSend({ kind: "verify_address", ...asked })]);
  }

  return {
    verification,

    async reset(typed: string, from: AskedFrom): Promise<MailAsked> {
      const email = checkEmail(typed);
      if (!email.ok) return invalid("email", email.problem);
      const refused = await limited(emailKey(email.value), from);
      if (refused !== undefined) return refused;
      const { languages } = from;
      const asked = { address: email.value, at: clock.now(), languages };
      return queue([letterToSend({ kind: "reset_password", ...asked })]);
    },

    async signIn(typed: string, from: AskedFrom): Promise<SignInAsked> {
      const email = checkEmail(typed);
      if (!email.ok) return invalid("email", email.problem);
      const key = emailKey(email.value);
      const refused = await limited(key, from);
      if (refused !== undefined) return refused;
      const ticket = tickets.issue(key);
      const detail = { asker: sha256(ticket).toString("base64url") };
      const { languages } = from;
      const asked = { address: email.value, at: clock.now(), detail, languages };
      await queue([letterToSend({ kind: "sign_in", ...asked })]);
      return { outcome: "asked", ticket, expiresInSeconds: limits.signInByMailMinutes * 60 };
    },

    /**
     * A letter to the new address, and a word to the old one. Whoever calls has seen a recent proof. Of an address that
     * somebody has, nothing is told: that letter is never made.
     */
    async change(user: User, typed: string, from: AskedFrom): Promise<ChangeAsked> {
      const email = checkEmail(typed);
      if (!email.ok) return invalid("email", email.problem);
      const key = emailKey(email.value);
      if (user.email !== undefined && emailKey(user.email) === key) {
        const asked = await verification(user, from);
        switch (asked.outcome) {
          case "asked":
          case "too_many_attempts":
            return asked;
          case "already_verified":
          case "no_address":
            return { outcome: "unchanged" };
          default:
            return unreachable(asked);
        }
      }
      const refused = await limited(key, from, user.id);
      if (refused !== undefined) return refused;
      const at = clock.now();
      const userId = user.id;
      const { languages, ip } = from;
      const letter = letterToSend({ kind: "change_address", address: email.value, at, userId, languages });
      const old = user.emailVerified ? user.email : undefined;
      const notices =
        old === undefined ? [] : [addressNotice("address_change_asked", { address: old, userId, at })];
      const event = { type: "email.change_asked", actor: "user", userId, ip } as const;
      return queue([letter, ...notices], [insertEvent({ id: newId(at), at, event })]);
    },
  };
}
