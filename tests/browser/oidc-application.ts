import type { TestContext } from "node:test";
import type { OidcClient, OidcClientOptions, OidcSession } from "@keyturn/client/oidc";
import type { Guard } from "@keyturn/guard";
import type { Page } from "playwright-core";
import { createSite } from "../../examples/spa/site.ts";
import { closeAfter } from "./closing.ts";
import { startWire } from "./wire.ts";

/** An application at an origin of its own that signs in by @keyturn/client/oidc, and an API that the guard protects. */

declare global {
  interface Window {
    oidc: OidcClient;
    told: string[];
    arrived: { username?: string | undefined; returnTo?: string | undefined; error?: string };
  }
}

export const appPath = "/app";
export const callbackPath = "/callback";
export const byePath = "/bye";

/** Options that can be written down; `redirectUri` is the site's own. */
export type PageOptions = Omit<OidcClientOptions, "redirectUri" | "storage" | "fetch">;

/** The application's site at `url`; its pages hold a client and nothing else. */
export async function openApplication(t: TestContext, readOptions: () => PageOptions) {
  const wire = await startWire();
  closeAfter(t, wire.close);
  let site: ReturnType<typeof createSite> | undefined;
  return {
    url: wire.url,
    wire,
    /** Once the provider is there. */
    serve(guard: Guard): void {
      site = createSite({ guard, issuer: readOptions().issuer });
      wire.connect((request, connection) => {
        const { pathname } = new URL(request.url);
        const isPage = [appPath, callbackPath, byePath].includes(pathname);
        return isPage ? pageAnswer(readOptions()) : (site?.fetch(request, connection) ?? new Response(null));
      });
    },
  };
}

const pageAnswer = (options: PageOptions) =>
  new Response(html(options), { headers: { "content-type": "text/html; charset=utf-8" } });

const html = (options: PageOptions) => `<!doctype html>
<html lang="en" data-ready="no">
<title>Photos</title>
<link rel="icon" href="data:,">
<button id="popup">Sign in</button>
<script type="module">
import { createOidcClient } from "/client/oidc.ts";
window.told = [];
window.oidc = createOidcClient({
  redirectUri: "${callbackPath}", postLogoutRedirectUri: "${byePath}", ...${JSON.stringify(options)},
});
for (const event of ["signedIn", "refreshed", "signedOut"]) {
  oidc.on(event, ({ reason, session }) => told.push(event + " " + (reason ?? session.user.username)));
}
const taken = (promise) => promise.then(
  (one) => { window.arrived = { username: one?.user.username, returnTo: one?.returnTo }; },
  (error) => { window.arrived = { error: error.code ?? String(error) }; },
);
document.querySelector("#popup").onclick = () => taken(oidc.signIn({ popup: true, prompt: "consent" }));
if (location.pathname === "${callbackPath}") await taken(oidc.finishSignIn());
else await oidc.session();
document.documentElement.dataset.ready = "yes";
</script>
`;

export const isReady = (page: Page) => page.locator('html[data-ready="yes"]').waitFor();

/** Leaves by redirect, and comes back as whoever agrees at the provider. */
export async function signInByRedirect(
  page: Page,
  origin: string,
  how: object = {},
): Promise<Window["arrived"]> {
  await page.evaluate((given) => void window.oidc.signIn(given).catch(() => {}), {
    prompt: "consent",
    ...how,
  });
  await page.waitForURL((url) => url.href.startsWith(`${origin}${callbackPath}`));
  await isReady(page);
  return page.evaluate(() => window.arrived);
}

export const sessionOf = (page: Page): Promise<OidcSession | undefined> =>
  page.evaluate(() => window.oidc.session());

/** The status of the API's answer, or the code of the client's error. */
export const callApi = (page: Page): Promise<number | string> =>
  page.evaluate(() =>
    window.oidc.fetch("/api/hello").then(
      ({ status }) => status,
      (error) => String(error.code ?? error),
    ),
  );
