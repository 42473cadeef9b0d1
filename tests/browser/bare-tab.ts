import type { Client } from "@keyturn/client";
import type { Page } from "playwright-core";

/** A tab that holds a client and nothing else, and what a test asks of it. */
export const bareTabPath = "/bare";

export interface Seen {
  readonly event: "signedIn" | "refreshed" | "signedOut";
  readonly reason?: string;
}

declare global {
  interface Window {
    keyturn: Client;
    seen: Seen[];
  }
}

/** Options of the client, those that can be written down. */
export interface BareOptions {
  /** Default: under /auth of the page's own origin. */
  readonly issuer?: string;
  readonly mode?: "token" | "cookie";
  readonly dpop?: boolean;
  readonly lockSeconds?: number;
  /** Not the client's: the page does not ask who is there when it loads. */
  readonly listensOnly?: boolean;
}

export const bareTabUrl = (origin: string, options: BareOptions = {}) =>
  `${origin}${bareTabPath}#${encodeURIComponent(JSON.stringify(options))}`;

export function bareTabAnswer(): Response {
  return new Response(html, { headers: { "content-type": "text/html; charset=utf-8" } });
}

const html = `<!doctype html>
<html lang="en" data-ready="no">
<title>A client</title>
<link rel="icon" href="data:,">
<script type="module">
import { createClient } from "/client/index.js";
const { listensOnly, ...options } = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
const { origin } = location;
window.seen = [];
window.keyturn = createClient({ issuer: origin + "/auth", ...options });
for (const event of ["signedIn", "refreshed", "signedOut"]) {
  keyturn.on(event, (detail) => seen.push({ event, ...(detail?.reason && { reason: detail.reason }) }));
}
// As every page does that shows who is signed in.
if (!listensOnly) await keyturn.session();
document.documentElement.dataset.ready = "yes";
</script>
`;

/** What a tab's request came to: the status of the API's answer, or the code of the client's error. */
export function call(page: Page, path = "/api/hello"): Promise<number | string> {
  return page.evaluate(async (url) => {
    try {
      const response = await window.keyturn.fetch(url);
      await response.text();
      return response.status;
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  }, path);
}

export const callAll = (pages: readonly Page[]) => Promise.all(pages.map((page) => call(page)));

export function signIn(page: Page, who: { username: string; password: string }): Promise<unknown> {
  return page.evaluate((account) => window.keyturn.signIn(account), who);
}

/** The username of whoever is signed in there. */
export function username(page: Page): Promise<string | undefined> {
  return page.evaluate(async () => (await window.keyturn.session())?.user.username as string | undefined);
}

/** What the tab's client has told so far. */
export const seen = (page: Page): Promise<Seen[]> => page.evaluate(() => window.seen);

/** Waits until the tab's client tells this. */
export async function sees(page: Page, event: Seen["event"], reason?: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => window.seen.some((one) => one.event === wanted.event && one.reason === wanted.reason),
    { event, reason },
  );
}
