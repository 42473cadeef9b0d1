import type { ResolvedSettings } from "../config.ts";
import { addressBlock } from "../rate-limits/address.ts";
import type { RateLimits } from "../rate-limits/rate-limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import type { Session } from "../sessions/session.ts";
import type { Arrival, Arrivals, Arrived } from "../users/arrivals.ts";
import { isHeldBy } from "../users/identities.sql.ts";
import type { Identities, NewIdentity } from "../users/identities.ts";
import type { User } from "../users/user.ts";
import type { Attempts } from "./attempts.ts";
import type { KeptTokens } from "./kept-tokens.ts";
import type { ForeignPerson } from "./profile.ts";
import type { Provider } from "./provider.ts";

/** Who is signed in, at which moment. */
export interface Holder {
  readonly user: User;
  readonly session: Session;
}

export type FlowArrival = Omit<Arrival, "replaces">;

export interface Entering {
  readonly person: ForeignPerson;
  readonly arrival: FlowArrival;
  readonly holder: Holder | undefined;
  readonly returnTo: string | undefined;
}

/** What an account could not be made or joined for. */
export type Ended =
  | { readonly outcome: "arrived"; readonly arrived: Arrived; readonly returnTo: string | undefined }
  | { readonly outcome: "account_disabled" }
  | { readonly outcome: "registration_closed" }
  | { readonly outcome: "too_many_attempts"; readonly retryAfterSeconds: number };

/** Somebody has that address here: the account has to be proven first. */
export interface ConnectFirst {
  readonly outcome: "connect_first";
  readonly provider: Provider;
}

interface Dependencies {
  readonly settings: Pick<ResolvedSettings, "registration">;
  readonly attempts: Pick<Attempts, "keep">;
  readonly identities: Identities;
  readonly arrivals: Arrivals;
  readonly rateLimits: Pick<RateLimits, "consume">;
  readonly keptTokens: Pick<KeptTokens, "statementsFor">;
}

/** RFC 8176 has no word for "somebody else has seen the proof"; Entra ID says so too. */
const AMR = ["fed"];

/** From a person whom a provider has vouched for to a session here. */
export function createEntering(dependencies: Dependencies) {
  const { settings, attempts, identities, arrivals, rateLimits, keptTokens } = dependencies;

  async function enter(provider: Provider, user: User, entering: Entering): Promise<Ended> {
    const { person, arrival, holder, returnTo } = entering;
    const how = { ...arrival, amr: AMR, ...(holder && { replaces: holder.session }) };
    const onlyIf = isHeldBy(person, user.id);
    const also = await keptTokens.statementsFor(provider, person, user.id);
    const arrived = await arrivals.arrive(user, how, { onlyIf, also });
    return arrived === undefined
      ? { outcome: "account_disabled" }
      : { outcome: "arrived", arrived, returnTo };
  }

  /** An account for a person whom nobody here knows. `email`: whether the address goes with it. */
  async function signUp(
    provider: Provider,
    entering: Entering,
    withEmail: boolean,
  ): Promise<Ended | "email_taken"> {
    const { person, arrival } = entering;
    if (settings.registration === "off") return { outcome: "registration_closed" };
    const address = addressBlock(arrival.ip);
    const limit =
      address === undefined ? undefined : await rateLimits.consume(rateRules.registration, address);
    if (limit?.allowed === false) {
      return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
    }
    const newcomer = {
      identity: identityOf(provider, person),
      wish: person.username ?? person.email ?? person.name,
      name: person.name,
      email: withEmail ? person.email : undefined,
      emailVerified: provider.trustsEmail,
    };
    const result = await identities.signUp(newcomer, { actor: "user", ip: arrival.ip });
    switch (result.outcome) {
      case "signed_up":
        return enter(provider, result.user, entering);
      case "known": {
        const user = await identities.find(person);
        return user === undefined ? { outcome: "account_disabled" } : enter(provider, user, entering);
      }
      case "email_taken":
        return "email_taken";
      case "no_username":
        return { outcome: "too_many_attempts", retryAfterSeconds: 1 };
    }
  }

  async function signIn(
    provider: Provider,
    entering: Entering,
    binder: string,
  ): Promise<Ended | ConnectFirst | { readonly outcome: "not_proven"; readonly provider: Provider }> {
    const { person, returnTo } = entering;
    const user = await identities.find(person);
    if (user !== undefined) return enter(provider, user, entering);
    // By an address that is not proven nobody is asked for: else it would tell whose addresses are known here.
    const email = provider.trustsEmail ? person.email : undefined;
    const holder = email === undefined ? undefined : await identities.holderOfEmail(email);
    if (holder === undefined) {
      const signedUp = await signUp(provider, entering, true);
      if (signedUp !== "email_taken") return signedUp;
      if (email === undefined) {
        const without = await signUp(provider, entering, false);
        return without === "email_taken" ? { outcome: "not_proven", provider } : without;
      }
    }
    // The address may be this very person's, who has been signed up by another answer between the two looks.
    const since = await identities.find(person);
    if (since !== undefined) return enter(provider, since, entering);
    await attempts.keep({ binder, providerId: provider.id, person, returnTo });
    return { outcome: "connect_first", provider };
  }

  return { signIn, signUp };
}

export const labelOf = ({ email, username, name }: ForeignPerson) => email ?? username ?? name;

export function identityOf(provider: Provider, person: ForeignPerson): NewIdentity {
  const { issuer, subject } = person;
  return { issuer, subject, providerId: provider.id, label: labelOf(person) };
}
