import { auditStatement } from "../../audit/audit.ts";
import type { Clock } from "../../primitives/clock.ts";
import type { Id } from "../../primitives/id.ts";
import { addressBlock } from "../../rate-limits/address.ts";
import type { Bucket, RateLimits } from "../../rate-limits/rate-limits.ts";
import { rateRules } from "../../rate-limits/rules.ts";
import type { Database } from "../../storage/database.ts";

export interface TooManyAttempts {
  readonly outcome: "too_many_attempts";
  readonly retryAfterSeconds: number;
}

export type CodeLimits = ReturnType<typeof createCodeLimits>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly rateLimits: Pick<RateLimits, "consume" | "consumeAll" | "refund">;
}

/**
 * The limits on guessing codes (RFC 6238 §5.2, RFC 4226 §7.3). They fade by themselves and touch neither passkeys nor
 * whoever is signed in, so that nobody who knows a password can lock its owner out for good.
 */
export function createCodeLimits({ database, clock, rateLimits }: Dependencies) {
  return {
    /** Asks `check` for a proof within the limits. A try that was right does not count. */
    async within<T>(
      who: { userId: Id; ip: string | undefined },
      check: () => Promise<T | undefined>,
    ): Promise<{ outcome: "right"; proof: T } | { outcome: "wrong" } | TooManyAttempts> {
      const { userId, ip } = who;
      const buckets: Bucket[] = [
        { rule: rateRules.secondFactorFromAddress, subject: `${userId} ${addressBlock(ip) ?? "none"}` },
        { rule: rateRules.secondFactor, subject: userId },
      ];
      const limit = await rateLimits.consumeAll(buckets);
      if (!limit.allowed) {
        const { rule, subject } = limit.bucket;
        if ((await rateLimits.consume(rateRules.limitedAudit, `${rule.name} ${subject}`)).allowed) {
          const event = { type: "second_factor.limited", actor: "system", userId, ip } as const;
          await database.batch([auditStatement(clock.now(), { ...event, detail: { rule: rule.name } })]);
        }
        return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
      }
      const proof = await check();
      if (proof === undefined) {
        const event = { type: "second_factor.failed", actor: "user", userId, ip } as const;
        await database.batch([auditStatement(clock.now(), event)]);
        return { outcome: "wrong" };
      }
      await rateLimits.refund(buckets);
      return { outcome: "right", proof };
    },
  };
}
