import { auditStatement } from "../audit/audit.ts";
import type { ResolvedSettings } from "../config.ts";
import type { Log } from "../observability/log.ts";
import type { Clock } from "../primitives/clock.ts";
import type { Id } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { addressBlock } from "../rate-limits/address.ts";
import type { RateLimits } from "../rate-limits/rate-limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import type { Database } from "../storage/database.ts";
import type { Arrivals } from "../users/arrivals.ts";
import type { Identities } from "../users/identities.ts";
import type { Attempts, Pending } from "./attempts.ts";
import {
  type ConnectFirst,
  createEntering,
  type Ended,
  type FlowArrival,
  type Holder,
  identityOf,
  labelOf,
} from "./entering.ts";
import type { Foreign } from "./foreign.ts";
import type { KeptTokens } from "./kept-tokens.ts";
import type { ForeignPerson } from "./profile.ts";
import { callbackPath, type Provider } from "./provider.ts";
import type { OpenedProvider, Providers } from "./providers.ts";

/** Ends that begin, and finish, have in common. */
type Refused =
  | { readonly outcome: "unknown_provider" }
  /** The provider cannot be reached, or is set up wrongly. */
  | { readonly outcome: "unreachable"; readonly provider: Provider }
  | { readonly outcome: "too_many_attempts"; readonly retryAfterSeconds: number };

export type Begun =
  | { readonly outcome: "begun"; readonly provider: Provider; readonly url: string }
  | Refused;

export type Finished =
  | Ended
  | Refused
  /** No attempt of this browser waits for this answer: too late, twice, or somebody else's. */
  | { readonly outcome: "attempt_gone" }
  | { readonly outcome: "denied"; readonly provider: Provider }
  /** The answer is not one to believe. */
  | { readonly outcome: "not_proven"; readonly provider: Provider }
  | ConnectFirst
  /** Who began as a signed-in user is so no longer. */
  | { readonly outcome: "signed_out" }
  | LinkEnded;

type LinkEnded = {
  readonly outcome: "linked" | "already_linked" | "taken" | "too_many";
  readonly provider: Provider;
  readonly returnTo: string | undefined;
};

export type Connected =
  | LinkEnded
  | { readonly outcome: "nothing_pending" }
  | { readonly outcome: "signed_out" };

export type Flow = ReturnType<typeof createFlow>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: Pick<ResolvedSettings, "issuer" | "registration">;
  readonly providers: Providers;
  readonly attempts: Attempts;
  readonly foreign: Foreign;
  readonly identities: Identities;
  readonly arrivals: Arrivals;
  readonly rateLimits: Pick<RateLimits, "consume">;
  readonly keptTokens: Pick<KeptTokens, "statementsFor">;
}

/** From the button to the session: signing in with a provider, and connecting one to an account. */
export function createFlow(dependencies: Dependencies) {
  const { database, clock, log, settings, providers, attempts, foreign, identities, rateLimits } =
    dependencies;
  const { keptTokens } = dependencies;
  const { signIn, signUp } = createEntering(dependencies);
  const redirectUri = (id: string) => settings.issuer + callbackPath(id);

  async function open(id: string): Promise<OpenedProvider | Refused> {
    const provider = await providers.open(id);
    if (provider === undefined) return { outcome: "unknown_provider" };
    if (provider !== "sealed") return provider;
    log.error(
      { provider: id },
      "No master secret opens the provider's client secret: remove it and add it again",
    );
    const shown = await providers.find(id);
    return shown ? { outcome: "unreachable", provider: shown } : { outcome: "unknown_provider" };
  }

  /** What went wrong, for operators: a code, never what the provider wrote. At most once an attempt. */
  async function note(provider: Provider, reason: string, ip: string | undefined): Promise<void> {
    log.warn({ provider: provider.id, reason }, "Signing in with a provider failed");
    const detail = { provider: provider.id, reason };
    const event = { type: "provider.sign_in_refused", actor: "user", ip, detail } as const;
    await database.batch([auditStatement(clock.now(), event)]);
  }

  async function link(provider: Provider, linking: Linking): Promise<LinkEnded | { outcome: "signed_out" }> {
    const { userId, person, returnTo, ip } = linking;
    const by = { actor: "user", ip } as const;
    const also = await keptTokens.statementsFor(provider, person, userId);
    const outcome = await identities.link(userId, identityOf(provider, person), { ...by, also });
    return outcome === "unknown_user" ? { outcome: "signed_out" } : { outcome, provider, returnTo };
  }

  return {
    /** The address at the provider that the browser goes to now. */
    async begin(begun: {
      providerId: string;
      binder: string;
      returnTo: string | undefined;
      linkTo: Holder | undefined;
      ip: string | undefined;
    }): Promise<Begun> {
      const { providerId, binder, returnTo, linkTo, ip } = begun;
      const provider = await open(providerId);
      if ("outcome" in provider) return provider;
      const limit = await rateLimits.consume(rateRules.providerStart, addressBlock(ip) ?? "none");
      if (!limit.allowed) return { outcome: "too_many_attempts", retryAfterSeconds: limit.retryAfterSeconds };
      const attempt = await attempts.begin({
        providerId,
        binder,
        returnTo,
        linkTo: linkTo && { userId: linkTo.user.id, sessionId: linkTo.session.id },
      });
      const going = { ...attempt, redirectUri: redirectUri(providerId) };
      const found = await foreign.authorizationUrl(provider, going);
      if (found.outcome === "found") return { outcome: "begun", provider, url: found.url };
      log.warn({ provider: providerId, reason: found.reason }, "A provider cannot be asked");
      return { outcome: "unreachable", provider };
    },

    /** What the provider has sent the browser back with. */
    async finish(finishing: {
      providerId: string;
      parameters: Readonly<Record<string, string>>;
      binder: string | undefined;
      holder: Holder | undefined;
      arrival: FlowArrival;
    }): Promise<Finished> {
      const { providerId, binder, holder, arrival } = finishing;
      const parameters = knownParameters(finishing.parameters);
      const provider = await open(providerId);
      if ("outcome" in provider) return provider;
      const { state = "", error } = parameters ?? {};
      const attempt = await attempts.spend({ state, providerId, binder });
      if (attempt === undefined || parameters === undefined || binder === undefined)
        return { outcome: "attempt_gone" };
      if (
        error === "access_denied" ||
        error === "user_cancelled_authorize" ||
        error === "user_cancelled_login"
      ) {
        return { outcome: "denied", provider };
      }
      const answer = { parameters, redirectUri: redirectUri(providerId), state, attempt };
      const exchanged = await foreign.exchange(provider, answer);
      if (exchanged.outcome === "failed") {
        await note(provider, exchanged.reason, arrival.ip);
        return { outcome: exchanged.isOutage ? "unreachable" : "not_proven", provider };
      }
      const { person } = exchanged;
      const { linkTo, returnTo } = attempt;
      if (linkTo === undefined) return signIn(provider, { person, arrival, holder, returnTo }, binder);
      // The answer must find the session that asked: else somebody else's account would be connected to this one.
      if (holder?.session.id !== linkTo.sessionId) return { outcome: "signed_out" };
      return link(provider, { userId: linkTo.userId, person, returnTo, ip: arrival.ip });
    },

    /** Whom a provider has vouched for in this browser, and whose account has to be proven first. */
    async pending(binder: string | undefined): Promise<WaitingPerson | undefined> {
      const pending = await attempts.pending(binder);
      const provider = pending && (await providers.find(pending.providerId));
      if (pending === undefined || provider === undefined || provider.disabledAt !== undefined)
        return undefined;
      const { email } = pending.person;
      const holder = email === undefined ? undefined : await identities.holderOfEmail(email);
      // An address that its account has not proven may be there to keep its owner out.
      const mayStartAnew = holder?.emailVerified !== true && settings.registration === "open";
      return { pending, provider, label: labelOf(pending.person), mayStartAnew };
    },

    /** The account is proven: connects what waits to it. */
    async connect(
      binder: string,
      waiting: WaitingPerson,
      to: Holder & { ip: string | undefined },
    ): Promise<Connected> {
      const { pending, provider } = waiting;
      if (!(await attempts.spendPending(binder, pending))) return { outcome: "nothing_pending" };
      const { person, returnTo } = pending;
      return link(provider, { userId: to.user.id, person, returnTo, ip: to.ip });
    },

    /** An account of its own for who waits, without the address that another one has. */
    async startAnew(
      binder: string,
      waiting: WaitingPerson,
      coming: { arrival: FlowArrival; holder: Holder | undefined },
    ): Promise<Ended | { readonly outcome: "nothing_pending" }> {
      const { pending, provider, mayStartAnew } = waiting;
      if (!mayStartAnew || !(await attempts.spendPending(binder, pending)))
        return { outcome: "nothing_pending" };
      const { person, returnTo } = pending;
      const signedUp = await signUp(provider, { person, returnTo, ...coming }, false);
      return signedUp === "email_taken" ? { outcome: "nothing_pending" } : signedUp;
    },
  };
}

/** What the page asks about, before an account is connected. */
export interface WaitingPerson {
  readonly pending: Pending;
  readonly provider: Provider;
  readonly label: string | undefined;
  readonly mayStartAnew: boolean;
}

interface Linking {
  readonly userId: Id;
  readonly person: ForeignPerson;
  readonly returnTo: string | undefined;
  readonly ip: string | undefined;
}

/** Of an answer only what is understood, and none that is longer than an honest one. */
function knownParameters(
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> | undefined {
  const known: Record<string, string> = {};
  for (const name of answerParameters) {
    const value = given[name];
    if (value === undefined) continue;
    if (value.length > limits.providerParameterCharactersMax) return undefined;
    known[name] = value;
  }
  return known;
}

/** RFC 6749 §4.1.2, RFC 9207 §2 */
export const answerParameters = ["code", "state", "iss", "error"] as const;
