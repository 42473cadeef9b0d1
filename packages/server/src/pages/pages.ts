import type { Asset, Page, PageProblem } from "../http/page.ts";
import type { Log } from "../observability/log.ts";
import { accountPages } from "./account.ts";
import { addressPages } from "./address.ts";
import { applicationPages } from "./applications.ts";
import { loadAssets } from "./assets.ts";
import { authorizePages } from "./authorize.ts";
import { confirmAddressPages } from "./confirm-address.ts";
import { connectedPages } from "./connected.ts";
import { devicePages } from "./device.ts";
import { factorPages } from "./factors.ts";
import { firstPasswordPages } from "./first-password.ts";
import { forgottenPages } from "./forgotten.ts";
import { homePage } from "./home.ts";
import { createMailCookies } from "./mail-cookies.ts";
import { onlyWithMail } from "./mail-parts.ts";
import { mailSignInPages } from "./mail-sign-in.ts";
import { oauthLogoutPages } from "./oauth-logout.ts";
import { outboxPages } from "./outbox.ts";
import { passwordPages } from "./password.ts";
import { createPlaces, type PlaceOf } from "./places.ts";
import { problemPages } from "./problems.ts";
import { createBinderCookie } from "./provider-cookie.ts";
import { providerPages } from "./providers.ts";
import { recoverPages } from "./recover.ts";
import { returnPages } from "./return.ts";
import { createTicketCookies, secondFactorPages } from "./second-factor.ts";
import { signInPages } from "./sign-in.ts";
import { signOutPages } from "./sign-out.ts";
import { signUpPages } from "./sign-up.ts";
import { stepUpPages } from "./step-up.ts";
import { createView } from "./view.ts";

type Needs<Make extends (parts: never) => unknown> = Omit<
  Parameters<Make>[0],
  "view" | "placesOf" | "ticketCookies" | "binderCookie" | "mailCookies"
>;

type Parts = Needs<typeof accountPages> &
  Needs<typeof homePage> &
  Needs<typeof passwordPages> &
  Needs<typeof signOutPages> &
  Needs<typeof oauthLogoutPages> &
  Needs<typeof secondFactorPages> &
  Needs<typeof stepUpPages> &
  Needs<typeof factorPages> &
  Needs<typeof signUpPages> &
  Needs<typeof providerPages> &
  Needs<typeof firstPasswordPages> &
  Needs<typeof devicePages> &
  Needs<typeof authorizePages> &
  Needs<typeof applicationPages> &
  Needs<typeof connectedPages> &
  Needs<typeof forgottenPages> &
  Needs<typeof mailSignInPages> &
  Needs<typeof confirmAddressPages> &
  Needs<typeof addressPages> &
  Needs<typeof outboxPages> &
  Needs<typeof recoverPages> &
  Needs<typeof returnPages> & {
    readonly placeOf: PlaceOf | undefined;
    readonly log: Log;
  };

/** Everything that people see: the rows of the pages, the files that they refer to, and the pages for problems. */
export function createPages(given: Parts): {
  readonly pages: readonly Page[];
  readonly assets: readonly Asset[];
  readonly problemPage: (problem: PageProblem) => string;
} {
  const assets = loadAssets();
  const view = createView({ settings: given.settings, ...assets });
  const parts = {
    ...given,
    view,
    placesOf: createPlaces(given),
    ticketCookies: createTicketCookies(given.settings),
    binderCookie: createBinderCookie(given.settings),
    mailCookies: createMailCookies(given.settings),
  };
  return {
    pages: [
      homePage(parts),
      ...signInPages(parts),
      ...signUpPages(parts),
      ...signOutPages(parts),
      ...oauthLogoutPages(parts),
      ...accountPages(parts),
      ...passwordPages(parts),
      ...secondFactorPages(parts),
      ...stepUpPages(parts),
      ...factorPages(parts),
      ...providerPages(parts),
      ...connectedPages(parts),
      ...firstPasswordPages(parts),
      ...onlyWithMail(parts.mailing, [
        ...forgottenPages(parts),
        ...mailSignInPages(parts),
        ...confirmAddressPages(parts),
        ...addressPages(parts),
      ]),
      ...outboxPages(parts),
      ...recoverPages(parts),
      ...returnPages(parts),
      ...authorizePages(parts),
      ...applicationPages(parts),
      ...devicePages(parts),
    ],
    assets: Object.values(assets),
    problemPage: problemPages(view),
  };
}
