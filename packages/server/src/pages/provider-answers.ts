import type { PageAnswer, PageRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Begun, Finished, Flow } from "../providers/flow.ts";
import type { BinderCookie } from "./provider-cookie.ts";
import { leavingPage, troublePage, waitPage } from "./provider-trouble.ts";
import type { RecentParts } from "./recent.ts";
import { returnPath } from "./return-to.ts";
import { answerArrived, type SignInParts } from "./sign-in.ts";
import type { View } from "./view.ts";

/** What leads to a provider. */
export interface BeginParts {
  readonly view: View;
  readonly providerFlow: Flow;
  readonly providerAttempts: { newBinder(): string };
  readonly binderCookie: BinderCookie;
}

/** What leads back from it. */
export interface ProviderParts extends BeginParts, RecentParts, Omit<SignInParts, "settings"> {
  readonly settings: SignInParts["settings"] & { readonly issuer: string; readonly siteName: string };
}

/** The way to a provider, for a browser that is bound to what it has begun. */
export async function answerBegun(
  begin: (binder: string) => Promise<Begun>,
  { request, parts }: { request: PageRequest; parts: BeginParts },
): Promise<PageAnswer> {
  const { view, binderCookie } = parts;
  // The same one for every tab: a second way that is begun does not end the first.
  const binder = binderCookie.valueIn(request) ?? parts.providerAttempts.newBinder();
  const begun = await begin(binder);
  const isSignedIn = request.person !== undefined;
  switch (begun.outcome) {
    case "begun": {
      const page = leavingPage(view, { provider: begun.provider.label, url: begun.url });
      return { ...page, cookies: [binderCookie.set(binder)] };
    }
    case "unknown_provider":
      return troublePage(view, begun.outcome, { isSignedIn });
    case "unreachable":
      return troublePage(view, begun.outcome, { isSignedIn, provider: begun.provider.label });
    case "too_many_attempts":
      return waitPage(view, begun.retryAfterSeconds);
    default:
      return unreachable(begun);
  }
}

/** What a way with a provider has come to. */
export function answerFinished(
  finished: Finished | { readonly outcome: "nothing_pending" },
  { request, parts }: { request: PageRequest; parts: ProviderParts },
): PageAnswer {
  const { view, binderCookie } = parts;
  const isSignedIn = request.person !== undefined;
  switch (finished.outcome) {
    case "arrived": {
      const going = { field: () => "", query: finished.returnTo ? { return_to: finished.returnTo } : {} };
      const answer = answerArrived(finished.arrived, going, parts);
      return { ...answer, cookies: [...answer.cookies, binderCookie.clear()] };
    }
    case "linked":
    case "already_linked": {
      const notice = finished.outcome === "linked" ? "connected" : "connected-already";
      const location = returnPath(finished.returnTo) ?? view.url("/account", { notice });
      return { location, cookies: [binderCookie.clear()] };
    }
    case "connect_first":
      return { location: view.url("/sign-in/connect") };
    case "too_many_attempts":
      return waitPage(view, finished.retryAfterSeconds);
    case "unreachable":
    case "denied":
    case "not_proven":
    case "taken":
    case "too_many":
      return troublePage(view, finished.outcome, { isSignedIn, provider: finished.provider.label });
    case "unknown_provider":
    case "attempt_gone":
    case "account_disabled":
    case "registration_closed":
    case "signed_out":
    case "nothing_pending":
      return troublePage(view, finished.outcome, { isSignedIn });
    default:
      return unreachable(finished);
  }
}
