import type { KeyObject } from "node:crypto";
import { FIRST_PARTY_CLIENT } from "./account-api/tokens.ts";
import type { ResolvedSettings } from "./config.ts";
import type { Hooks } from "./hooks.ts";
import type { BrowserSessions } from "./http/browser-sessions.ts";
import type { CrossSite } from "./http/cross-site.ts";
import { createFormTokens } from "./http/form-token.ts";
import type { Traffic } from "./http/traffic.ts";
import { createPageRoutes } from "./page-routes.ts";
import { createPages } from "./pages/pages.ts";
import { version } from "./version.ts";

type Parts = Omit<Parameters<typeof createPages>[0], "clientId" | "placeOf" | "version"> &
  Pick<Parameters<typeof createPageRoutes>[0], "metrics"> & {
    readonly settings: ResolvedSettings;
    readonly browserSessions: BrowserSessions;
    readonly crossSite: CrossSite;
    readonly formTokenKey: KeyObject;
    readonly hooks: Hooks;
    readonly traffic: Traffic;
  };

/** The part of the composition root that makes what people see. */
export function openPages(parts: Parts) {
  const isSecure = parts.settings.issuer.startsWith("https:");
  const placeOf = parts.hooks.placeOf;
  const made = createPages({ ...parts, version, clientId: FIRST_PARTY_CLIENT, placeOf });
  const formTokens = createFormTokens({ key: parts.formTokenKey, isSecure });
  const siteOf = parts.crossSite.siteOf;
  return { pages: made.pages, routes: createPageRoutes({ ...parts, ...made, formTokens, siteOf }) };
}
