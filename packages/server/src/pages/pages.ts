import type { Asset, Page, PageProblem } from "../http/page.ts";
import type { Log } from "../observability/log.ts";
import { accountPages } from "./account.ts";
import { loadAssets } from "./assets.ts";
import { connectedPages } from "./connected.ts";
import { devicePages } from "./device.ts";
import { factorPages } from "./factors.ts";
import { firstPasswordPages } from "./first-password.ts";
import { homePage } from "./home.ts";
import { passwordPages } from "./password.ts";
import { createPlaces, type PlaceOf } from "./places.ts";
import { problemPages } from "./problems.ts";
import { createBinderCookie } from "./provider-cookie.ts";
import { providerPages } from "./providers.ts";
import { createTicketCookies, secondFactorPages } from "./second-factor.ts";
import { signInPages } from "./sign-in.ts";
import { signOutPages } from "./sign-out.ts";
import { signUpPages } from "./sign-up.ts";
import { stepUpPages } from "./step-up.ts";
import { createView } from "./view.ts";

type Needs<Make extends (parts: never) => unknown> = Omit<
  Parameters<Make>[0],
  "view" | "placesOf" | "ticketCookies" | "binderCookie"
>;

type Parts = Needs<typeof accountPages> &
  Needs<typeof homePage> &
  Needs<typeof passwordPages> &
  Needs<typeof signOutPages> &
  Needs<typeof secondFactorPages> &
  Needs<typeof stepUpPages> &
  Needs<typeof factorPages> &
  Needs<typeof signUpPages> &
  Needs<typeof providerPages> &
  Needs<typeof firstPasswordPages> &
  Needs<typeof devicePages> &
  Needs<typeof connectedPages> & {
    readonly placeOf: PlaceOf | undefined;
    readonly log: Log;
  };

/** Everything that people see: the rows of the pages, the files that they refer to, and the pages for problems. */
export function createPages(given: Parts): {
  readonly pages: readonly Page[];
  readonly assets: readonly Asset[];
  readonly problemPage: (problem: PageProblem) => string;
} {
  const { stylesheet, icon, script } = loadAssets();
  const view = createView({ settings: given.settings, stylesheet, icon, script });
  const parts = {
    ...given,
    view,
    placesOf: createPlaces(given),
    ticketCookies: createTicketCookies(given.settings),
    binderCookie: createBinderCookie(given.settings),
  };
  return {
    pages: [
      homePage(parts),
      ...signInPages(parts),
      ...signUpPages(parts),
      ...signOutPages(parts),
      ...accountPages(parts),
      ...passwordPages(parts),
      ...secondFactorPages(parts),
      ...stepUpPages(parts),
      ...factorPages(parts),
      ...providerPages(parts),
      ...connectedPages(parts),
      ...firstPasswordPages(parts),
      ...devicePages(parts),
    ],
    assets: [stylesheet, icon, script],
    problemPage: problemPages(view),
  };
}
