import { insertEvent } from "../../audit/audit.sql.ts";
import { auditStatement } from "../../audit/audit.ts";
import type { Clock } from "../../primitives/clock.ts";
import { newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { addressBlock } from "../../rate-limits/address.ts";
import type { RateLimits } from "../../rate-limits/rate-limits.ts";
import { rateRules } from "../../rate-limits/rules.ts";
import { acrOf, acrValues, isRecovered, MFA } from "../../sessions/acr.ts";
import type { Session } from "../../sessions/session.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Database } from "../../storage/database.ts";
import type { Passwords } from "../password-hashing.ts";
import type { User } from "../user.ts";
import { passwordUnchanged, selectUserWithPassword } from "../users.sql.ts";
import type { CodeLimits, TooManyAttempts } from "./code-limits.ts";
import { both, sessionIsAlive, updateProven } from "./factors.sql.ts";
import type { OwnedFactors } from "./owned.ts";
import type { Passkeys } from "./passkeys.ts";
import { type Proof, useProof } from "./proof.ts";
import type { RecoveryCodes } from "./recovery-codes.ts";
import type { Totp } from "./totp.ts";

export interface StepUpRequest {
  readonly session: Session;
  readonly user: User;
  readonly password?: string | undefined;
  /** With the password, when the user has a second factor. */
  readonly code?: string | undefined;
  /** In place of both. */
  readonly passkey?: unknown;
  readonly ip?: string | undefined;
}

export type SteppedUp =
  | {
      readonly outcome: "proven";
      /** A new one for a browser, the same for an app. */
      readonly session: Session;
      /** The value of the new cookie; undefined for an app. */
      readonly credential: string | undefined;
    }
  | { readonly outcome: "wrong_proof" }
  | { readonly outcome: "busy" }
  | TooManyAttempts;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly sessions: Pick<Sessions, "start" | "find">;
  readonly passwords: Pick<Passwords, "verify" | "verifyNothing">;
  readonly rateLimits: Pick<RateLimits, "consumeAll" | "refund">;
  readonly ownedBy: (userId: User["id"]) => Promise<OwnedFactors>;
  readonly totp: Totp;
  readonly recoveryCodes: RecoveryCodes;
  readonly passkeys: Passkeys;
  readonly codeLimits: CodeLimits;
}

type Judged =
  | { readonly outcome: "right"; readonly proof: Proof }
  | Exclude<SteppedUp, { outcome: "proven" }>;

/** In whose hands a passkey's challenge for a session is good. */
export const ownerOfSession = (session: Pick<Session, "id">): string => session.id;

/** A session proves again who it belongs to: with all that a sign-in would ask of its user. */
export function createStepUp(dependencies: Dependencies) {
  const { database, clock, sessions, passwords, rateLimits, ownedBy, codeLimits } = dependencies;
  const { totp, recoveryCodes, passkeys } = dependencies;

  async function passwordProof({ session, password = "", ip }: StepUpRequest): Promise<Judged> {
    const { userId } = session;
    const buckets = [{ rule: rateRules.passwordChange, subject: `${userId} ${addressBlock(ip) ?? "none"}` }];
    const limit = await rateLimits.consumeAll(buckets);
    if (!limit.allowed) return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
    const found = await database.one<{ password_hash: string | null; password_changed_at: number | null }>(
      selectUserWithPassword(userId),
    );
    const hash = found?.password_hash ?? undefined;
    const verified = hash ? await passwords.verify(password, hash) : await passwords.verifyNothing(password);
    if (verified.outcome === "mismatch") {
      const event = {
        type: "second_factor.failed",
        actor: "user",
        userId,
        sessionId: session.id,
        ip,
      } as const;
      await database.batch([auditStatement(clock.now(), event)]);
      return { outcome: "wrong_proof" };
    }
    await rateLimits.refund(buckets);
    if (verified.outcome === "busy") return verified;
    const onlyIf = passwordUnchanged(userId, found?.password_changed_at ?? 0);
    return { outcome: "right", proof: { amr: ["pwd"], onlyIf, spend: () => [] } };
  }

  async function codeProof({ session, code = "", ip }: StepUpRequest): Promise<Judged> {
    const { userId } = session;
    const result = await codeLimits.within({ userId, ip }, () =>
      recoveryCodes.isShaped(code) ? recoveryCodes.check(userId, code, ip) : totp.check(userId, code),
    );
    return result.outcome === "wrong" ? { outcome: "wrong_proof" } : result;
  }

  async function judge(request: StepUpRequest): Promise<Judged> {
    const { session, passkey, ip } = request;
    if (passkey !== undefined) {
      const use = { purpose: "step-up", owner: ownerOfSession(session) } as const;
      const proof = await passkeys.check(passkey, { use, userId: session.userId, ip });
      if (proof === undefined) return { outcome: "wrong_proof" };
      return { outcome: "right", proof: { ...proof, amr: [...proof.amr, MFA] } };
    }
    const first = await passwordProof(request);
    if (first.outcome !== "right" || !(await ownedBy(session.userId)).hasSecond) return first;
    const second = await codeProof(request);
    if (second.outcome !== "right") return second;
    const amr = [...first.proof.amr, ...second.proof.amr, MFA];
    return {
      outcome: "right",
      proof: { amr, onlyIf: both(first.proof.onlyIf, second.proof.onlyIf), spend: second.proof.spend },
    };
  }

  /** A browser goes on under a new id, an app under its own. */
  async function renew({ session, ip }: StepUpRequest, proof: Proof): Promise<SteppedUp> {
    const at = clock.now();
    const { amr } = proof;
    const onlyIf = both(sessionIsAlive(session.id), proof.onlyIf);
    const detail = { amr: amr.join(" ") };
    const event = {
      type: "session.proven_again",
      actor: "user",
      userId: session.userId,
      ip,
      detail,
    } as const;
    if (session.kind === "browser") {
      const started = await sessions.start(
        // Proven now, and with a new end: neither goes over from the session that it takes the place of.
        { ...session, amr, ip, authenticatedAt: at, expiresAt: undefined },
        {
          replaces: session,
          renews: true,
          onlyIf,
          follows: (isStarted) => [
            ...proof.spend(isStarted),
            insertEvent({ id: newId(at), at, event: { ...event, sessionId: session.id }, onlyIf: isStarted }),
          ],
        },
      );
      return started === undefined ? { outcome: "wrong_proof" } : { outcome: "proven", ...started };
    }
    const acts = () => [
      updateProven({ sessionId: session.id, amr: amr.join(" "), at }),
      auditStatement(at, { ...event, sessionId: session.id }),
    ];
    const { userId } = session;
    if (!(await useProof(database, { userId, proof: { ...proof, onlyIf }, acts })))
      return { outcome: "wrong_proof" };
    const renewed = await sessions.find(session.id);
    return { outcome: "proven", session: renewed ?? session, credential: undefined };
  }

  return {
    /** What a page asks `navigator.credentials.get` for; undefined when the user has no passkey. */
    async passkeyOptions(session: Session): Promise<object | undefined> {
      if ((await passkeys.list(session.userId)).length === 0) return undefined;
      return passkeys.requestOptions({ purpose: "step-up", owner: ownerOfSession(session) }, session.userId);
    },

    async prove(request: StepUpRequest): Promise<SteppedUp> {
      const judged = await judge(request);
      return judged.outcome === "right" ? renew(request, judged.proof) : judged;
    },

    /**
     * Whether a change of password needs a proof first. It asks for the password anyway; of who has a second factor,
     * whoever knows the password and sits at an old session must not get further.
     */
    async isNeededForPassword(session: Session): Promise<boolean> {
      const owned = await ownedBy(session.userId);
      return owned.hasSecond && !this.isRecent(session, owned);
    },

    /** Whether the session's last proof is fresh enough, and as strong as its user can give one, for a sensitive act. */
    isRecent(session: Session, owned: Pick<OwnedFactors, "hasSecond">): boolean {
      const age = clock.now() - session.authenticatedAt;
      // Who came back by a recovery code has lost what else there was: they are here to set up a new one.
      const isStrong = !owned.hasSecond || acrOf(session.amr) === acrValues.two || isRecovered(session.amr);
      return isStrong && age <= limits.recentProofMinutesMax * 60_000;
    },
  };
}
