import type { KeyObject } from "node:crypto";
import type { Clock } from "../../primitives/clock.ts";
import type { Id } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import type { RateLimits } from "../../rate-limits/rate-limits.ts";
import { MFA } from "../../sessions/acr.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Database } from "../../storage/database.ts";
import { deleteInSlices } from "../../storage/slices.ts";
import { type Arrival, createArrivals, type FactorPolicy, type SignedInArrival } from "../arrivals.ts";
import type { Passwords } from "../password-hashing.ts";
import type { User } from "../user.ts";
import { createChallenges } from "./challenges.ts";
import { createCodeLimits } from "./code-limits.ts";
import { deleteSpentChallenges } from "./factors.sql.ts";
import { createManaging } from "./managing.ts";
import { createOwnedFactors } from "./owned.ts";
import { createPasskeys } from "./passkeys.ts";
import { createRecovery } from "./recovery.ts";
import { createRecoveryCodes } from "./recovery-codes.ts";
import { createSecondStep } from "./second-step.ts";
import { createStepUp } from "./step-up.ts";
import { deleteTicketsBefore } from "./tickets.sql.ts";
import { createTickets } from "./tickets.ts";
import { createTotp, type Sealing } from "./totp.ts";

export type Factors = ReturnType<typeof createFactors>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly secrets: Sealing;
  /** `secrets.key("passkey-challenge")` */
  readonly challengeKey: KeyObject;
  readonly settings: FactorPolicy & { readonly issuer: string; readonly siteName: string };
  readonly sessions: Pick<Sessions, "start" | "find">;
  readonly passwords: Pick<Passwords, "verify" | "verifyNothing">;
  readonly rateLimits: RateLimits;
  readonly users: { findById(id: Id): Promise<User | undefined> };
  readonly log: { info(detail: object, message: string): void };
}

/** Second factors, and the ways to sign in that they open: built together, for they ask each other. */
export function createFactors(given: Dependencies) {
  const { database, clock, users } = given;
  const challenges = createChallenges({ key: given.challengeKey, clock });
  const totp = createTotp(given);
  const recoveryCodes = createRecoveryCodes(given);
  const passkeys = createPasskeys({ ...given, challenges });
  const ownedBy = createOwnedFactors({ totp, passkeys, recoveryCodes });
  const tickets = createTickets(given);
  const codeLimits = createCodeLimits(given);
  const arrivals = createArrivals({ ...given, ownedBy, tickets });
  const parts = { ...given, arrivals, ownedBy, tickets, totp, recoveryCodes, passkeys, codeLimits };

  return {
    arrivals,
    ownedBy,
    secondStep: createSecondStep(parts),
    stepUp: createStepUp(parts),
    managing: createManaging(parts),
    recover: createRecovery(parts),

    /** What `navigator.credentials.get` is asked for when nobody has said who they are. */
    passkeyOptions: (owner: string): Promise<object> =>
      passkeys.requestOptions({ purpose: "sign-in", owner }),
    requestOptions: passkeys.requestOptions,

    /** Signs in by a passkey alone: it is something that one has, and has verified who holds it. */
    async signInByPasskey(
      response: unknown,
      arrival: Arrival & { readonly owner: string },
    ): Promise<SignedInArrival | undefined> {
      const { owner, ...how } = arrival;
      const proof = await passkeys.check(response, { use: { purpose: "sign-in", owner }, ip: how.ip });
      const user = proof && (await users.findById(proof.userId));
      if (proof === undefined || user === undefined) return undefined;
      const { onlyIf, spend } = proof;
      return arrivals.enter(user, { ...how, amr: [...proof.amr, MFA] }, { onlyIf, follows: spend });
    },

    /** Deletes tickets and spent challenges that nobody can present any more; seals anew what an old secret closed. */
    async deletePast(): Promise<void> {
      let rounds = 0;
      while ((await totp.sealAnew()) === limits.sealsPerRunMax && ++rounds < limits.sealsPerRunMax) {}
      const now = clock.now();
      await deleteInSlices(database, (rows) => deleteTicketsBefore(now, rows));
      await deleteInSlices(database, (rows) => deleteSpentChallenges(now, rows));
    },
  };
}
