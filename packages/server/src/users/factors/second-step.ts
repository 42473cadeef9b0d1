import type { Id } from "../../primitives/id.ts";
import { isRecovered, MFA } from "../../sessions/acr.ts";
import type { Session } from "../../sessions/session.ts";
import type { Arrivals, SignedInArrival } from "../arrivals.ts";
import type { User } from "../user.ts";
import type { CodeLimits, TooManyAttempts } from "./code-limits.ts";
import { both } from "./factors.sql.ts";
import type { OwnedFactors } from "./owned.ts";
import type { Passkeys } from "./passkeys.ts";
import type { Proof } from "./proof.ts";
import type { RecoveryCodes } from "./recovery-codes.ts";
import type { Ticket, Tickets } from "./tickets.ts";
import type { PendingTotp, Totp } from "./totp.ts";

/** A sign-in that waits for its second step. */
export interface Waiting {
  readonly ticket: Ticket;
  readonly user: User;
  readonly owned: OwnedFactors;
}

export interface SecondStepRequest {
  readonly ticket: string;
  /** A code of the authenticator app, or a recovery code. */
  readonly code?: string | undefined;
  /** What a browser answers for a passkey. */
  readonly passkey?: unknown;
  readonly replaces?: Session | undefined;
  /** That of this request's proof: it must be that of the first step. */
  readonly keyThumbprint?: string | undefined;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
}

export type SecondStepTaken =
  | (SignedInArrival & {
      /** When the step was to set a factor up: shown this once. */
      readonly recoveryCodes?: readonly string[] | undefined;
    })
  /** Unknown, spent, too old, tried too often, or of a password that was changed meanwhile. */
  | { readonly outcome: "invalid_ticket" }
  | { readonly outcome: "wrong_code" }
  | TooManyAttempts;

interface Dependencies {
  readonly arrivals: Pick<Arrivals, "enter">;
  readonly users: { findById(id: Id): Promise<User | undefined> };
  readonly ownedBy: (userId: Id) => Promise<OwnedFactors>;
  readonly tickets: Tickets;
  readonly totp: Totp;
  readonly recoveryCodes: RecoveryCodes;
  readonly passkeys: Passkeys;
  readonly codeLimits: CodeLimits;
}

/** In whose hands a passkey's challenge for a waiting sign-in is good. */
export const ownerOfTicket = (ticket: Pick<Ticket, "digest">): string => ticket.digest.toString("base64url");

/** The second step of a sign-in: a ticket and a proof for a session, in one transaction that uses both up. */
export function createSecondStep(dependencies: Dependencies) {
  const { arrivals, users, ownedBy, tickets, totp, recoveryCodes, passkeys, codeLimits } = dependencies;

  async function look(text: string): Promise<Waiting | undefined> {
    const ticket = await tickets.find(text);
    const user = ticket && (await users.findById(ticket.userId));
    if (ticket === undefined || user === undefined || user.disabledAt !== undefined) return undefined;
    const owned = await ownedBy(user.id);
    // One that was set up meanwhile: an old ticket of a first factor alone must not add another beside it.
    if ((ticket.purpose === "enrolment") === owned.hasSecond) return undefined;
    return { ticket, user, owned };
  }

  async function proofOf({ ticket, user }: Waiting, request: SecondStepRequest): Promise<Proof | undefined> {
    const { code, passkey, ip } = request;
    if (ticket.purpose === "enrolment") {
      return code === undefined
        ? undefined
        : totp.confirm(user.id, { beginner: { ticket: ticket.digest }, code, ip });
    }
    if (passkey !== undefined) {
      const use = { purpose: "second-factor", owner: ownerOfTicket(ticket) } as const;
      return passkeys.check(passkey, { use, userId: user.id, ip });
    }
    if (code === undefined) return undefined;
    if (!recoveryCodes.isShaped(code)) return totp.check(user.id, code);
    // Two codes of one sheet are one factor.
    return isRecovered(ticket.arrival.amr) ? undefined : recoveryCodes.check(user.id, code, ip);
  }

  /** A proof within the limits. Passkeys cannot be guessed, so theirs are those of the ticket alone. */
  async function judged(waiting: Waiting, request: SecondStepRequest) {
    const check = () => proofOf(waiting, request);
    if (request.passkey === undefined) {
      return codeLimits.within({ userId: waiting.user.id, ip: request.ip }, check);
    }
    const proof = await check();
    return proof === undefined ? ({ outcome: "wrong" } as const) : ({ outcome: "right", proof } as const);
  }

  async function take(waiting: Waiting, request: SecondStepRequest): Promise<SecondStepTaken> {
    const { ticket, user } = waiting;
    const { digest, arrival } = ticket;
    const result = await judged(waiting, request);
    if (result.outcome === "too_many_attempts") {
      await tickets.giveTryBack(digest);
      return result;
    }
    if (result.outcome === "wrong") return { outcome: "wrong_code" };
    const { proof } = result;
    const made =
      ticket.purpose === "enrolment"
        ? recoveryCodes.make(user.id, { actor: "user", ip: request.ip })
        : undefined;
    const { ip, userAgent, replaces } = request;
    const how = { ...arrival, amr: [...arrival.amr, ...proof.amr, MFA], ip, userAgent, replaces };
    const entered = await arrivals.enter(user, how, {
      onlyIf: both(tickets.isAlive(digest), proof.onlyIf),
      follows: (onlyIf) => [
        ...proof.spend(onlyIf),
        ...(made?.statements(onlyIf) ?? []),
        tickets.spend(digest, onlyIf),
      ],
    });
    if (entered !== undefined) return { ...entered, recoveryCodes: made?.codes };
    // Somebody was first, with the ticket or with the code.
    return (await tickets.find(request.ticket)) === undefined
      ? { outcome: "invalid_ticket" }
      : { outcome: "wrong_code" };
  }

  return {
    /** Whose sign-in waits, and by what it can go on. */
    look,

    /** The secret of an authenticator app that the ticket sets up; undefined for a ticket that is not for that. */
    async beginTotp(ticket: string): Promise<PendingTotp | undefined> {
      const waiting = await look(ticket);
      if (waiting?.ticket.purpose !== "enrolment") return undefined;
      return totp.begin(waiting.user, { ticket: waiting.ticket.digest });
    },

    async finish(request: SecondStepRequest): Promise<SecondStepTaken> {
      const waiting = await look(request.ticket);
      if (waiting === undefined || waiting.ticket.arrival.keyThumbprint !== request.keyThumbprint) {
        return { outcome: "invalid_ticket" };
      }
      if (!(await tickets.countTry(waiting.ticket.digest))) return { outcome: "invalid_ticket" };
      return take(waiting, request);
    },
  };
}
