import { isIP } from "node:net";
import { insertEvent } from "../audit/audit.sql.ts";
import { auditStatement } from "../audit/audit.ts";
import type { Clock } from "../primitives/clock.ts";
import { type Id, idFromBytes, newId } from "../primitives/id.ts";
import { addressBlock } from "../rate-limits/address.ts";
import type { Bucket, RateLimits } from "../rate-limits/rate-limits.ts";
import { knownAddressSeconds, rateRules } from "../rate-limits/rules.ts";
import type { Database } from "../storage/database.ts";
import type { Arrival, Arrivals, Arrived } from "./arrivals.ts";
import { loginKey } from "./names.ts";
import type { Passwords } from "./password-hashing.ts";
import { userFromRow } from "./user.ts";
import {
  hasHash,
  passwordUnchanged,
  selectUserToSignIn,
  type UserKey,
  type UserRow,
  upgradeHash,
} from "./users.sql.ts";

export interface SignIn extends Arrival {
  /** A username or an e-mail address. */
  readonly username: string;
  readonly password: string;
}

export type SignedIn =
  | Arrived
  /** No such user, no password, the wrong one, or a disabled user: nobody is told which. */
  | { readonly outcome: "invalid_credentials" }
  | { readonly outcome: "too_many_attempts"; readonly retryAfterSeconds: number }
  /** Too many passwords are being verified. The attempt does not count. */
  | { readonly outcome: "busy" };

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly passwords: Pick<Passwords, "hash" | "verify" | "verifyNothing">;
  readonly rateLimits: Pick<
    RateLimits,
    "consume" | "consumeAll" | "refund" | "refundStatements" | "isRemembered" | "rememberStatement"
  >;
  readonly arrivals: Arrivals;
}

/** What the database says about the name that was typed. */
type Found = UserRow & { password_hash: string | null; password_changed_at: number | null };

/** One attempt: what it counts against, and who it may be. */
interface Attempt {
  readonly found: Found | undefined;
  readonly buckets: readonly Bucket[];
  /** Names the account and the address that it signs in from; undefined without an address. */
  readonly home: string | undefined;
  readonly ip: string | undefined;
}

type FailureReason = "unknown_user" | "no_password" | "wrong_password" | "disabled";

/** Nobody's: a name that could not be anybody's takes the same look-up and the same limits as one that could. */
const NOBODY: UserKey = { field: "username", key: "" };

/** Signing in with a password. */
export function createSignIn(dependencies: Dependencies) {
  const { database, passwords, rateLimits } = dependencies;
  const { auditFailed, auditLimited } = createAuditing(dependencies);
  const { start } = createStarting(dependencies);

  async function look(request: SignIn): Promise<Attempt> {
    const typed = loginKey(request.username) ?? NOBODY;
    const ip = request.ip !== undefined && isIP(request.ip) !== 0 ? request.ip : undefined;
    const address = addressBlock(ip);
    const found = await database.one<Found>(selectUserToSignIn(typed));
    // By what was typed and not by the user found: else a limit on the name would give away whose address it is.
    const account = `${typed.field} ${typed.key}`;
    const home = address === undefined ? undefined : `${found ? idFromBytes(found.id) : account} ${address}`;
    const buckets: Bucket[] = [
      { rule: rateRules.signInFromAddress, subject: `${account} ${address ?? "none"}` },
    ];
    if (address !== undefined) buckets.push({ rule: rateRules.signInOfAddress, subject: address });
    // The owner's own addresses stay out of the account's limit: no guesser elsewhere can use it up for them.
    if (home === undefined || !(await rateLimits.isRemembered(home))) {
      buckets.push({ rule: rateRules.signInFromNewAddresses, subject: account });
    }
    return { found, buckets, home, ip };
  }

  /**
   * Verifies a password and starts a session. The limits are consumed before the password is looked at, all at once,
   * so that of any number of guesses at the same moment no more than the burst is answered; a right password gets
   * its attempt back.
   */
  return async function signIn(request: SignIn): Promise<SignedIn> {
    const attempt = await look(request);
    const limit = await rateLimits.consumeAll(attempt.buckets);
    if (!limit.allowed) {
      await auditLimited(attempt, limit.bucket);
      return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
    }
    const { found } = attempt;
    const hash = found?.password_hash ?? undefined;
    const verified = hash
      ? await passwords.verify(request.password, hash)
      : await passwords.verifyNothing(request.password);
    if (verified.outcome === "busy") {
      await rateLimits.refund(attempt.buckets);
      return { outcome: "busy" };
    }
    // Disabled users are refused here and not before: else the time would tell a right guess at the name.
    if (verified.outcome === "mismatch" || found === undefined || found.disabled_at !== null) {
      await auditFailed(attempt, reasonOf(found));
      return { outcome: "invalid_credentials" };
    }
    const upgrade = hash && verified.rehash ? await passwords.hash(request.password) : undefined;
    const to = upgrade?.outcome === "hashed" ? upgrade.hash : undefined;
    const started = await start(request, attempt, hash && to ? { from: hash, to } : undefined);
    // Disabled, removed or given another password while this one was being verified.
    if (started === undefined) await auditFailed(attempt, "disabled");
    return started ?? { outcome: "invalid_credentials" };
  };
}

function createStarting({ clock, rateLimits, arrivals }: Dependencies) {
  function upgradeStatements(userId: Id, upgrade: { from: string; to: string }) {
    const at = clock.now();
    const event = { type: "password.hash_upgraded", actor: "system", userId } as const;
    return [
      upgradeHash({ userId, ...upgrade }),
      insertEvent({ id: newId(at), at, event, onlyIf: hasHash(userId, upgrade.to) }),
    ];
  }

  return {
    /** The session, with what belongs to a right password in the same transaction. */
    async start(
      request: SignIn,
      attempt: Attempt,
      upgrade: { from: string; to: string } | undefined,
    ): Promise<SignedIn | undefined> {
      const user = userFromRow(attempt.found as Found);
      const also = [
        ...rateLimits.refundStatements(attempt.buckets),
        ...(attempt.home === undefined
          ? []
          : [rateLimits.rememberStatement(attempt.home, knownAddressSeconds)]),
        ...(upgrade === undefined ? [] : upgradeStatements(user.id, upgrade)),
      ];
      // A password that was changed while it was being verified starts no session: the change may have ended all.
      const onlyIf = passwordUnchanged(user.id, attempt.found?.password_changed_at ?? 0);
      const { username: _, password: __, ...arrival } = request;
      return arrivals.arrive(user, { ...arrival, amr: ["pwd"] }, { also, onlyIf });
    },
  };
}

function createAuditing({ database, clock, rateLimits }: Dependencies) {
  const userIdOf = ({ found }: Attempt) => (found === undefined ? undefined : idFromBytes(found.id));

  return {
    /** The same write for every reason: none is faster. What was typed is not kept: people type passwords there. */
    async auditFailed(attempt: Attempt, reason: FailureReason): Promise<void> {
      const event = { type: "sign_in.failed", actor: "user", ip: attempt.ip, detail: { reason } } as const;
      await database.batch([auditStatement(clock.now(), { ...event, userId: userIdOf(attempt) })]);
    },

    /** Once a window for each bucket: a flood of refused attempts must not become a flood of rows. */
    async auditLimited(attempt: Attempt, bucket: Bucket): Promise<void> {
      const { rule, subject } = bucket;
      const first = await rateLimits.consume(rateRules.limitedAudit, `${rule.name} ${subject}`);
      if (!first.allowed) return;
      const event = {
        type: "sign_in.limited",
        actor: "system",
        ip: attempt.ip,
        detail: { rule: rule.name },
      } as const;
      // A limit on an address speaks of no account in particular.
      const userId = rule === rateRules.signInOfAddress ? undefined : userIdOf(attempt);
      await database.batch([auditStatement(clock.now(), { ...event, userId })]);
    },
  };
}

function reasonOf(found: Found | undefined): FailureReason {
  if (found === undefined) return "unknown_user";
  if (found.password_hash === null) return "no_password";
  return found.disabled_at === null ? "wrong_password" : "disabled";
}
