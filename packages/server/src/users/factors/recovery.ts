import { isIP } from "node:net";
import { auditStatement } from "../../audit/audit.ts";
import type { Clock } from "../../primitives/clock.ts";
import { type Id, idToBytes, newId } from "../../primitives/id.ts";
import { addressBlock } from "../../rate-limits/address.ts";
import type { Bucket, RateLimits } from "../../rate-limits/rate-limits.ts";
import { rateRules } from "../../rate-limits/rules.ts";
import { RECOVERY_AMR } from "../../sessions/acr.ts";
import type { Database, Sql } from "../../storage/database.ts";
import { type Arrival, type Arrivals, type Arrived, type FactorPolicy, mustHaveSecond } from "../arrivals.ts";
import { loginKey } from "../names.ts";
import { type User, userFromRow } from "../user.ts";
import { selectUserByKey, type UserRow } from "../users.sql.ts";
import { passkeyIsOnlyWayIn } from "../ways-in.sql.ts";
import type { TooManyAttempts } from "./code-limits.ts";
import { both, selectWhether } from "./factors.sql.ts";
import type { Proof } from "./proof.ts";
import type { RecoveryCodes } from "./recovery-codes.ts";
import type { Totp } from "./totp.ts";

export interface RecoveryRequest extends Arrival {
  /** A username or an e-mail address. */
  readonly username: string;
  readonly code: string;
}

export type Recovered =
  | Arrived
  /** No such user, another way in, a wrong or used code, a disabled user: nobody is told which. */
  | { readonly outcome: "recovery_refused" }
  | TooManyAttempts;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly rateLimits: Pick<RateLimits, "consume" | "consumeAll" | "refund">;
  readonly recoveryCodes: Pick<RecoveryCodes, "check">;
  readonly totp: Pick<Totp, "isOn">;
  readonly arrivals: Pick<Arrivals, "arrive" | "enter">;
  readonly settings: FactorPolicy;
}

/**
 * Coming back by a recovery code alone (NIST SP 800-63B-4 §4.2.1.1, "saved recovery codes"), for whom it is the last
 * way: a passkey is their only way to sign in, and it is lost. Of whoever has another one a code is a second factor
 * and nothing more, or else a sheet of paper would open every account that has a password too.
 */
export function createRecovery(dependencies: Dependencies) {
  const { database, clock, rateLimits, recoveryCodes, totp, arrivals, settings } = dependencies;

  /** What holds of everything that may be recovered, for somebody whom it may hold of. */
  async function proofOf(user: User | undefined, request: RecoveryRequest): Promise<Proof | undefined> {
    // Nobody's id takes the same look-ups as somebody's.
    const userId: Id = user?.id ?? newId(0);
    const onlyIf = passkeyIsOnlyWayIn(idToBytes(userId));
    const isOnly = (await database.one(selectWhether(onlyIf))) !== undefined;
    const hasTotp = await totp.isOn(userId);
    const proof = await recoveryCodes.check(userId, request.code, request.ip);
    const isCode = (await database.one(selectWhether(proof?.onlyIf ?? onlyIf))) !== undefined;
    if (user === undefined || proof === undefined || !isOnly || !isCode) return undefined;
    // A code is one factor: where the operator wants two of everybody, and there is no app, the operator helps.
    if (mustHaveSecond(user, settings) && !hasTotp) return undefined;
    return { ...proof, onlyIf: both(onlyIf, proof.onlyIf) };
  }

  async function enter(user: User, proof: Proof, arrival: Arrival): Promise<Arrived | undefined> {
    const how = { ...arrival, amr: RECOVERY_AMR };
    const use = { onlyIf: proof.onlyIf, follows: (onlyIf: Sql) => proof.spend(onlyIf) };
    // Who has an app still is asked for its code, by a ticket that takes the place of the code.
    return (await totp.isOn(user.id)) ? arrivals.arrive(user, how, use) : arrivals.enter(user, how, use);
  }

  async function auditLimited({ rule, subject }: Bucket, ip: string | undefined): Promise<void> {
    if (!(await rateLimits.consume(rateRules.limitedAudit, `${rule.name} ${subject}`)).allowed) return;
    const event = { type: "sign_in.limited", actor: "system", ip, detail: { rule: rule.name } } as const;
    await database.batch([auditStatement(clock.now(), event)]);
  }

  async function auditFailed(userId: Id | undefined, ip: string | undefined): Promise<void> {
    const detail = { reason: "recovery_code" };
    const event = { type: "sign_in.failed", actor: "user", userId, ip, detail } as const;
    await database.batch([auditStatement(clock.now(), event)]);
  }

  return async function recover(request: RecoveryRequest): Promise<Recovered> {
    const { username, code: _, ...arrival } = request;
    const ip = request.ip !== undefined && isIP(request.ip) !== 0 ? request.ip : undefined;
    // By what was typed and not by the user found: a limit must not tell whose name it is.
    const typed = loginKey(username) ?? { field: "username", key: "" };
    const account = `${typed.field} ${typed.key}`;
    const address = addressBlock(ip);
    const buckets: Bucket[] = [
      { rule: rateRules.recoveryFromAddress, subject: `${account} ${address ?? "none"}` },
      { rule: rateRules.recovery, subject: account },
    ];
    if (address !== undefined) buckets.push({ rule: rateRules.recoveryOfAddress, subject: address });
    const limit = await rateLimits.consumeAll(buckets);
    if (!limit.allowed) {
      await auditLimited(limit.bucket, ip);
      return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
    }
    const row = await database.one<UserRow>(selectUserByKey(typed));
    const user = row && userFromRow(row);
    const proof = await proofOf(user, { ...request, ip });
    const entered =
      user === undefined || proof === undefined ? undefined : await enter(user, proof, { ...arrival, ip });
    if (entered === undefined) {
      await auditFailed(user?.id, ip);
      return { outcome: "recovery_refused" };
    }
    await rateLimits.refund(buckets);
    return entered;
  };
}
