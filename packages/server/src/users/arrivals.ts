import { isIP } from "node:net";
import type { Settings } from "../config-schema.ts";
import { limits } from "../primitives/limits.ts";
import { isRecovered, MFA } from "../sessions/acr.ts";
import type { Session, SessionKind } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { StartOptions } from "../sessions/starting.ts";
import type { Sql } from "../storage/database.ts";
import type { FactorMethod, OwnedFactors } from "./factors/owned.ts";
import type { TicketPurpose, Tickets } from "./factors/tickets.ts";
import { cleanText } from "./names.ts";
import type { User } from "./user.ts";

/** By which door somebody comes, and from where. */
export interface Arrival {
  readonly clientId: string;
  /** Default: app. */
  readonly kind?: SessionKind | undefined;
  /** The session that the same browser had: it ends when the new one starts. */
  readonly replaces?: Session | undefined;
  /** RFC 7638: the key that the session's refresh token is bound to. */
  readonly keyThumbprint?: string | undefined;
  /** When it was proven, where that was before now. Milliseconds since 1970. */
  readonly provenAt?: number | undefined;
  /** Where the request comes from. Without it the limits by address cannot hold. */
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  /** What the person or the app calls the device. */
  readonly device?: string | undefined;
}

/** Somebody who has proven who they are is signed in. */
export interface SignedInArrival {
  readonly outcome: "signed_in";
  readonly user: User;
  readonly session: Session;
  /** The first refresh token, or the value of the cookie. */
  readonly credential: string;
}

/** The first factor is proven. Nobody is signed in: the ticket is for the second step, and for nothing else. */
export interface SecondFactorRequired {
  readonly outcome: "second_factor_required";
  readonly ticket: string;
  /** `enrolment`: the user must have a second factor and has none yet, so the second step is to set one up. */
  readonly purpose: TicketPurpose;
  readonly methods: readonly FactorMethod[];
}

export type Arrived = SignedInArrival | SecondFactorRequired;

type ArrivedHow = Arrival & { readonly amr: readonly string[] };
type ArriveOptions = Pick<StartOptions, "also" | "onlyIf"> & {
  /** What uses up the proof, given the condition that there is a session, or a ticket for one. */
  readonly follows?: ((onlyIf: Sql) => readonly Sql[]) | undefined;
};

export type FactorPolicy = Pick<Settings, "secondFactor" | "secondFactorRoles">;

/** Whether the operator asks a second factor of this user. */
export function mustHaveSecond(user: Pick<User, "roles">, policy: FactorPolicy): boolean {
  switch (policy.secondFactor) {
    case "optional":
      return false;
    case "required":
      return true;
    case "roles":
      return user.roles.some((role) => policy.secondFactorRoles.includes(role));
  }
}

/** Two codes of one sheet are one factor. */
const methodsAfter = (amr: readonly string[], methods: readonly FactorMethod[]): readonly FactorMethod[] =>
  isRecovered(amr) ? methods.filter((method) => method !== "recovery_code") : methods;

export type Arrivals = ReturnType<typeof createArrivals>;

interface Dependencies {
  readonly sessions: Pick<Sessions, "start">;
  readonly ownedBy: (userId: User["id"]) => Promise<Pick<OwnedFactors, "hasSecond" | "methods">>;
  readonly tickets: Pick<Tickets, "issue">;
  readonly settings: FactorPolicy;
}

/** The end of every way to sign in: whoever has been proven to be somebody gets a session, or is asked for more. */
export function createArrivals({ sessions, ownedBy, tickets, settings }: Dependencies) {
  /** The session, without another question. */
  async function enter(
    user: User,
    { amr, ...arrival }: ArrivedHow,
    options: ArriveOptions = {},
  ): Promise<SignedInArrival | undefined> {
    const { clientId, kind = "app", replaces, keyThumbprint, provenAt, ip } = arrival;
    const session = {
      userId: user.id,
      clientId,
      kind,
      scope: "",
      amr,
      device: cleanText(arrival.device, limits.deviceCharactersMax),
      ip: ip !== undefined && isIP(ip) !== 0 ? ip : undefined,
      userAgent: cleanText(arrival.userAgent, limits.userAgentCharactersMax),
      keyThumbprint,
      authenticatedAt: provenAt,
    };
    const started = await sessions.start(session, { ...options, replaces });
    return started && { outcome: "signed_in", user, ...started };
  }

  return {
    enter,

    /**
     * Starts the session, or answers with a ticket for the second step: where the user has a second factor or must
     * have one, and what was proven is one factor only.
     * @param amr how the person proved who they are, RFC 8176. With `mfa` in it nobody is asked for more: only what has
     *   seen two factors itself may say so, never what another server claims
     * @param options `also`: what belongs to the proof, in the same transaction; `onlyIf`: what must still be true of it
     * @returns undefined when the user has been disabled or removed meanwhile, or the proof no longer holds
     */
    async arrive(user: User, how: ArrivedHow, options: ArriveOptions = {}): Promise<Arrived | undefined> {
      if (how.amr.includes(MFA)) return enter(user, how, options);
      const { hasSecond, methods } = await ownedBy(user.id);
      if (!hasSecond && !mustHaveSecond(user, settings)) return enter(user, how, options);
      const { clientId, kind = "app", keyThumbprint, amr } = how;
      const purpose = hasSecond ? "second_factor" : "enrolment";
      const device = cleanText(how.device, limits.deviceCharactersMax);
      const arrival = { clientId, kind, amr, keyThumbprint, device };
      const { onlyIf, also, follows } = options;
      const given = { userId: user.id, purpose, arrival, onlyIf, also } as const;
      const ticket = await tickets.issue({ ...given, follows });
      return ticket === undefined
        ? undefined
        : { outcome: "second_factor_required", ticket, purpose, methods: methodsAfter(amr, methods) };
    },
  };
}
