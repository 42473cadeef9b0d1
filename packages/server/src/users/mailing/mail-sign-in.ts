import { auditStatement } from "../../audit/audit.ts";
import type { Clock } from "../../primitives/clock.ts";
import type { Bucket, RateLimits } from "../../rate-limits/rate-limits.ts";
import { rateRules } from "../../rate-limits/rules.ts";
import type { Database, Sql } from "../../storage/database.ts";
import type { Arrival, Arrivals, Arrived } from "../arrivals.ts";
import type { TooManyAttempts } from "../factors/code-limits.ts";
import { type User, userFromRow } from "../user.ts";
import { selectUser, type UserRow } from "../users.sql.ts";
import type { AskerTickets } from "./asker-tickets.ts";
import type { MailCode, MailCodes } from "./mail-codes.ts";

export type MailSignedIn = Arrived | { readonly outcome: "invalid_mail_code" } | TooManyAttempts;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly rateLimits: Pick<RateLimits, "consumeAll" | "refundStatements">;
  readonly arrivals: Pick<Arrivals, "arrive">;
  readonly codes: MailCodes;
  readonly tickets: Pick<AskerTickets, "open">;
}

/** Signing in by what a letter carries: one factor, after which a second one is asked for as always. */
export function createMailSignIn(dependencies: Dependencies) {
  const { database, clock, rateLimits, arrivals, codes, tickets } = dependencies;

  async function userOf(code: MailCode | undefined): Promise<User | undefined> {
    const row = code && (await database.one<UserRow>(selectUser(code.userId)));
    return row && userFromRow(row);
  }

  async function enter(code: MailCode, arrival: Arrival, also: readonly Sql[]): Promise<MailSignedIn> {
    const user = await userOf(code);
    // RFC 8176 §2: "otp", a one-time password. Of any number of uses at once the first finds it alive.
    const arrived =
      user &&
      (await arrivals.arrive(
        user,
        { ...arrival, amr: ["otp"] },
        { onlyIf: codes.isAlive(code), also: [...codes.afterUse(code), ...also] },
      ));
    return arrived ?? { outcome: "invalid_mail_code" };
  }

  return {
    /** Whom the link signs in, for a page that asks first; nothing is changed. */
    find: async (link: string): Promise<User | undefined> => userOf(await codes.find(link, "sign_in")),

    /** The link works once, in any browser. */
    async byLink(link: string, arrival: Arrival): Promise<MailSignedIn> {
      const code = await codes.find(link, "sign_in");
      return code === undefined ? { outcome: "invalid_mail_code" } : enter(code, arrival, []);
    },

    /** The digits work with the ticket of who has asked for the letter. */
    async byDigits(
      typed: { readonly ticket: string; readonly digits: string },
      arrival: Arrival,
    ): Promise<MailSignedIn> {
      const asker = tickets.open(typed.ticket);
      if (asker === undefined) return { outcome: "invalid_mail_code" };
      // The same two for an address that nobody has: a limit must not tell whose is known.
      const buckets: Bucket[] = [
        { rule: rateRules.mailCodeOfLetter, subject: asker.digest.toString("base64url") },
        { rule: rateRules.mailCodeOfAddress, subject: asker.address },
      ];
      const limit = await rateLimits.consumeAll(buckets);
      if (!limit.allowed) {
        // Waiting does not help here; another letter does.
        if (limit.bucket.rule === rateRules.mailCodeOfLetter) return { outcome: "invalid_mail_code" };
        return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
      }
      const letter = await codes.findByDigits(asker.digest, { purpose: "sign_in", digits: typed.digits });
      if (letter?.isRight !== true) {
        const detail = { reason: "wrong_mail_code" };
        const event = { type: "sign_in.failed", actor: "user", ip: arrival.ip, detail } as const;
        await database.batch([auditStatement(clock.now(), { ...event, userId: letter?.code.userId })]);
        return { outcome: "invalid_mail_code" };
      }
      return enter(letter.code, arrival, rateLimits.refundStatements(buckets));
    },
  };
}
