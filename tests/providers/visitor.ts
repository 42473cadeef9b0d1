import assert from "node:assert/strict";
import {
  formOf,
  readable,
  type TestBrowser,
  testBrowser,
} from "../../packages/server/src/pages/test-browser.ts";
import type { Reply, TestServer } from "../../packages/server/src/test-server.ts";

/** Somebody who goes to a provider from a Keyturn, in a browser without scripts. */

const ours = { "sec-fetch-site": "same-origin" };
/** As a browser says of a navigation that another site has led to. */
const theirs = { "sec-fetch-site": "cross-site" };

export interface Visit {
  readonly browser: TestBrowser;
  /** At the provider. */
  readonly url: URL;
  readonly state: string;
}

/** Where the page leads to by itself. */
function leadsTo(page: Reply): URL {
  const [, escaped = ""] = /<meta http-equiv="refresh" content="0; url=([^"]*)">/.exec(page.text) ?? [];
  assert.ok(escaped !== "", `the page leads nowhere: ${readable(page)}`);
  return new URL(escaped.replaceAll("&amp;", "&"));
}

/** Presses the button of the sign-in page. */
export async function setOut(
  server: TestServer,
  provider: string,
  { browser = testBrowser(server), returnTo = "" }: { browser?: TestBrowser; returnTo?: string } = {},
): Promise<Visit> {
  const query = returnTo && `?return_to=${encodeURIComponent(returnTo)}`;
  const page = await browser.open(`/sign-in/with/${provider}${query}`);
  const left = await browser.submit(page, `/sign-in/with/${provider}`);
  return visitOf(left, browser);
}

/** Presses "Connect" on the account page. */
export async function setOutToConnect(browser: TestBrowser, provider: string): Promise<Visit> {
  const page = await browser.open("/account");
  const fields = formOf(page, "/account/connections/add", `value="${provider}"`);
  return visitOf(await browser.post("/account/connections/add", fields, ours), browser);
}

function visitOf(left: Reply, browser: TestBrowser): Visit {
  assert.equal(left.status, 200, readable(left));
  const url = leadsTo(left);
  return { browser, url, state: url.searchParams.get("state") ?? "" };
}

/** Comes back with an answer. */
export function comeBack(
  browser: TestBrowser,
  provider: string,
  answer: Readonly<Record<string, string>>,
): Promise<Reply> {
  const path = `/sign-in/with/${provider}/callback?${new URLSearchParams(answer)}`;
  return browser.open(path, theirs);
}

/** Comes back by the address that the provider has led to. */
export const follow = (browser: TestBrowser, { pathname, search }: URL): Promise<Reply> =>
  browser.open(pathname + search, theirs);

/** Who is signed in in the browser; undefined for nobody. */
export async function whoIs(server: TestServer, browser: TestBrowser): Promise<string | undefined> {
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const reply = await server.call("/session", { headers: { cookie } });
  return (reply.json.user as { username?: string } | undefined)?.username;
}

/** The identities that there are, as one line each. */
export async function identities(server: TestServer): Promise<string[]> {
  const users = await server.app.users.list();
  const lists = await Promise.all(
    users.map(async ({ id, username }) =>
      (await server.app.identities.list(id)).map(({ providerId }) => `${username} ${providerId}`),
    ),
  );
  return lists.flat().sort();
}
