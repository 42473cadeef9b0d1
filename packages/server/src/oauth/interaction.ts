import { auditStatement } from "../audit/audit.ts";
import type { Client } from "../clients/client.ts";
import type { Consents } from "../consents/consents.ts";
import type { Person } from "../http/page.ts";
import type { Pairs } from "../http/parameters.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Clock } from "../primitives/clock.ts";
import { addressBlock } from "../rate-limits/address.ts";
import type { RateLimits } from "../rate-limits/rate-limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import type { Database } from "../storage/database.ts";
import { type AuthorizationAnswer, answerCode, answerRefusal } from "./authorization-answer.ts";
import { authorizationParameters } from "./authorization-metadata.ts";
import { refuse } from "./authorization-parameters.ts";
import { type Facts, type Need, needOf } from "./authorization-policy.ts";
import type { AuthorizationRequest, AuthorizationRequests, RequestTrouble } from "./authorization-request.ts";
import type { Codes } from "./codes.ts";
import type { KeptRequest, KeptRequests } from "./kept-requests.ts";
import { createLoading, type Loaded } from "./loading.ts";
import type { RequestObjects } from "./request-objects.ts";
import { scopesIn } from "./scopes.ts";
import type { Subjects } from "./subjects.ts";

export type { Application, Applications } from "./applications.ts";
export type { AuthorizationAnswer } from "./authorization-answer.ts";

/** By what a person finds back to a request that waits for them. */
export interface Waiting {
  readonly clientId: string;
  readonly requestUri: string;
}

/** What a person is asked to agree to. */
export interface ConsentAsked {
  readonly client: Pick<Client, "id" | "name" | "origin" | "type">;
  readonly scopes: readonly string[];
  readonly resources: readonly string[];
  /** Where the answer goes. */
  readonly redirectUri: string;
}

/** What happens next with a request for authorization. Values only: how it looks is for the pages to say. */
export type Step =
  /** Nobody can be answered but the person. */
  | { readonly step: "trouble"; readonly trouble: RequestTrouble }
  | { readonly step: "answer"; readonly answer: AuthorizationAnswer }
  | {
      readonly step: "sign_in";
      readonly how: "first" | "again" | "step_up" | "new_account";
      readonly waiting: Waiting;
      readonly loginHint: string | undefined;
    }
  | { readonly step: "choice"; readonly waiting: Waiting; readonly client: Pick<Client, "name"> }
  | { readonly step: "consent"; readonly waiting: Waiting; readonly asked: ConsentAsked };

export type Interaction = ReturnType<typeof createInteraction>;

interface Dependencies {
  readonly requests: AuthorizationRequests;
  readonly kept: KeptRequests;
  readonly requestObjects: RequestObjects;
  readonly codes: Pick<Codes, "issue">;
  readonly consents: Consents;
  readonly subjects: Pick<Subjects, "of">;
  readonly secondFactorOf: (userId: string) => Promise<{ readonly hasSecond: boolean }>;
  readonly rateLimits: Pick<RateLimits, "consumeAll">;
  readonly database: Database;
  readonly clock: Clock;
  readonly settings: { readonly issuer: string; readonly audience: string };
}

export interface Coming {
  readonly person: Person | undefined;
  readonly ip: string | undefined;
}

/** The only door between the authorization endpoint and what people see of it. */
export function createInteraction(dependencies: Dependencies) {
  const { kept: keptRequests, codes, consents, subjects, database, clock, settings } = dependencies;
  const { issuer } = settings;
  const load = createLoading(dependencies);

  async function factsOf(request: AuthorizationRequest, person: Person | undefined): Promise<Facts> {
    const now = clock.now();
    if (person === undefined) {
      return { session: undefined, subject: undefined, hasSecondFactor: false, isAgreed: false, now };
    }
    const { user, session } = person;
    const { client, acr } = request;
    const [isAgreed, owned] = await Promise.all([
      consents.covers({ userId: user.id, clientId: client.id }, accessOf(request)),
      acr === undefined ? { hasSecond: false } : dependencies.secondFactorOf(user.id),
    ]);
    const subject = subjects.of(client, user.id);
    return { session, subject, hasSecondFactor: owned.hasSecond, isAgreed, now };
  }

  const accessOf = ({ scope, resources }: AuthorizationRequest) => ({
    scopes: scopesIn(scope),
    resources: resources.length === 0 ? [settings.audience] : resources,
  });

  /** Lets a request wait for its person, under a reference that does not leave this server but with them. */
  async function wait({ kept, pairs }: Loaded, clientId: string, ip: string | undefined) {
    if (kept?.isPushed === false) return { clientId, requestUri: kept.uri };
    if (kept === undefined) {
      const bucket = { rule: rateRules.authorizationRequest, subject: addressBlock(ip) ?? "none" };
      if (!(await dependencies.rateLimits.consumeAll([bucket])).allowed) return "too_many" as const;
    }
    const requestUri = await keptRequests.wait({ clientId, pairs }, kept?.digest);
    return requestUri === undefined ? ("request_unknown" as const) : { clientId, requestUri };
  }

  /** The code, with what was agreed to, in one transaction that uses the request up. */
  async function grant(
    request: AuthorizationRequest,
    person: Person,
    by: { kept: KeptRequest | undefined; hasAgreed: boolean; ip: string | undefined },
  ): Promise<Step> {
    const { kept, hasAgreed, ip } = by;
    const { client, to } = request;
    const { session, user } = person;
    const byConsent = hasAgreed || !client.metadata.keyturn_trusted;
    const { code, statement } = codes.issue(request, { session, byConsent });
    const outcome = await database.transaction(async (tx) => {
      if (kept !== undefined && !(await keptRequests.spendIn(tx, kept.digest, session.id)))
        return "request_unknown";
      if (hasAgreed)
        await consents.grantIn(tx, { userId: user.id, clientId: client.id, ip }, accessOf(request));
      return (await tx.run(statement)) === 1 ? "granted" : "signed_out";
    });
    switch (outcome) {
      case "granted":
        return { step: "answer", answer: answerCode(to, issuer, code) };
      case "request_unknown":
        return { step: "trouble", trouble: "request_unknown" };
      case "signed_out":
        return { step: "answer", answer: answerRefusal(to, issuer, refuse("login_required")) };
      default:
        return unreachable(outcome);
    }
  }

  async function refusal(request: AuthorizationRequest, why: ReturnType<typeof refuse>, kept?: KeptRequest) {
    if (kept !== undefined && !(await keptRequests.spend(kept.digest))) {
      return { step: "trouble", trouble: "request_unknown" } as const;
    }
    return { step: "answer", answer: answerRefusal(request.to, issuer, why) } as const;
  }

  /** What a person who decides about a request is looking at; else what happens in place of it. */
  async function loadFor(waiting: Waiting, person: Person) {
    const pairs = [
      ["client_id", waiting.clientId],
      ["request_uri", waiting.requestUri],
    ] as const;
    const loaded = await load(pairs, person.session.id);
    const { checked, kept } = loaded;
    if (checked.outcome !== "good" || kept === undefined || kept.isPushed) return undefined;
    const { request } = checked;
    return { request, kept, facts: await factsOf(request, person) };
  }

  async function follow(need: Need, request: AuthorizationRequest, on: Loaded & Coming): Promise<Step> {
    const { kept, person, ip } = on;
    if (need.need === "refusal") return refusal(request, need.refusal, kept);
    if (need.need === "nothing" && person !== undefined) {
      return grant(request, person, { kept, hasAgreed: false, ip });
    }
    const { client } = request;
    const waiting = await wait(on, client.id, ip);
    if (typeof waiting === "string") return { step: "trouble", trouble: waiting };
    switch (need.need) {
      case "choice":
        return { step: "choice", waiting, client };
      case "consent": {
        const { to, scope, resources } = request;
        const asked = { client, scopes: scopesIn(scope), resources, redirectUri: to.redirectUri };
        return { step: "consent", waiting, asked };
      }
      default: {
        const how = need.need === "sign_in" ? need.how : "first";
        return { step: "sign_in", how, waiting, loginHint: request.loginHint };
      }
    }
  }

  /** A request for authorization, as it came or by its reference. */
  async function open(pairs: Pairs, coming: Coming): Promise<Step> {
    const loaded = await load(pairs, coming.person?.session.id);
    const { checked, kept } = loaded;
    switch (checked.outcome) {
      case "trouble":
        return { step: "trouble", trouble: checked.trouble };
      case "refused_there":
        return { step: "answer", answer: answerRefusal(checked.to, issuer, checked.refusal) };
      case "good": {
        const { request } = checked;
        const { person, ip } = coming;
        const need = needOf(request, await factsOf(request, person), kept);
        return follow(need, request, { ...loaded, person, ip });
      }
      default:
        return unreachable(checked);
    }
  }

  const openAgain = (waiting: Waiting, coming: Coming): Promise<Step> =>
    open(
      [
        ["client_id", waiting.clientId],
        ["request_uri", waiting.requestUri],
      ],
      coming,
    );

  return {
    /** What a request may say: for the documentation. */
    parameters: authorizationParameters,
    open,

    /** The person has decided. `shown`: the scopes that they saw, for the client's rights may have changed meanwhile. */
    async decide(decided: {
      waiting: Waiting;
      agrees: boolean;
      shown: string;
      person: Person;
      ip: string | undefined;
    }): Promise<Step> {
      const { waiting, agrees, shown, person, ip } = decided;
      const found = await loadFor(waiting, person);
      const isAsked =
        found !== undefined && needOf(found.request, found.facts, found.kept).need === "consent";
      // Something else has to happen first, or nothing more.
      if (!isAsked) return openAgain(waiting, { person, ip });
      const { request, kept } = found;
      if (!agrees) {
        const { client } = request;
        const event = {
          type: "consent.refused",
          actor: "user",
          userId: person.user.id,
          clientId: client.id,
          ip,
        } as const;
        await database.batch([auditStatement(clock.now(), event)]);
        return refusal(request, refuse("access_denied", "The person has said no"), kept);
      }
      if (shown !== shownOf(request)) return openAgain(waiting, { person, ip });
      return grant(request, person, { kept, hasAgreed: true, ip });
    },

    /** The person goes on as who they are signed in as. */
    async continueAs(waiting: Waiting, { person, ip }: Coming & { readonly person: Person }): Promise<Step> {
      const found = await loadFor(waiting, person);
      if (found !== undefined) await keptRequests.continueAs(found.kept.digest, person.session.id);
      return openAgain(waiting, { person, ip });
    },
  };
}

/** What stands on the consent page, for it to come back with the answer. */
export const shownText = (asked: Pick<ConsentAsked, "scopes" | "resources">): string =>
  [asked.scopes.join(" "), ...asked.resources].join("\n");
const shownOf = ({ scope, resources }: AuthorizationRequest) =>
  shownText({ scopes: scopesIn(scope), resources });
