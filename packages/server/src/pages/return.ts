import type { Page, PageAnswer, PageRequest, PersonRequest } from "../http/page.ts";
import { limits } from "../primitives/limits.ts";
import { type Handovers, isS256 } from "../users/handovers.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly handovers: Pick<Handovers, "issue" | "isFresh">;
  readonly settings: { readonly issuer: string; readonly allowedOrigins: readonly string[] };
}

const PATH = "/sign-in/return";
const STATE = /^[A-Za-z0-9_-]{1,128}$/;

/**
 * GET /sign-in/return: back to the app that has led somebody here to sign in. The app is an origin that the operator
 * trusts with the cookie already; nobody is led anywhere else. With a challenge it gets a code, never a token.
 */
export function returnPages({ view, handovers, settings }: Parts): Page[] {
  const trusted = new Set([new URL(settings.issuer).origin, ...settings.allowedOrigins]);
  const words = texts.providers.back;

  /** Where the app wants its person back; undefined for what is not an address of a trusted origin. */
  function appOf({ query }: PageRequest): URL | undefined {
    const { to = "" } = query;
    const url = to.length <= limits.returnToCharactersMax ? URL.parse(to) : null;
    if (url === null || !trusted.has(url.origin)) return undefined;
    return url.username === "" && url.password === "" ? url : undefined;
  }

  function again({ query }: PageRequest): string {
    const { to, challenge, key, state } = query;
    return view.url(PATH, { to, challenge, key, state });
  }

  function handle(request: PersonRequest): PageAnswer {
    const app = appOf(request);
    if (app === undefined) return { problem: "invalid_request" };
    const { challenge, key, state } = request.query;
    if (challenge !== undefined) {
      const isKey = key === undefined || isS256(key);
      if (!isS256(challenge) || !isKey || state === undefined || !STATE.test(state)) {
        return { problem: "invalid_request" };
      }
      const { session } = request.person;
      // An old session is no sign-in: whoever sits at this browser now may be somebody else.
      if (!handovers.isFresh(session)) {
        return { location: view.url("/sign-in", { as: "someone-else", return_to: again(request) }) };
      }
      app.searchParams.set("keyturn_code", handovers.issue(session, { challenge, keyThumbprint: key }));
      app.searchParams.set("keyturn_state", state);
    }
    const title = words.title(app.host);
    const body = html`<div class="card">
<h1>${title}</h1>
<p class="actions"><a class="button" href="${app.href}">${words.proceed}</a></p>
</div>`;
    // A page and not a redirect: policies of forms hold for where these lead, and pages lead to their origin only.
    return { status: 200, html: view.page({ title, body, leadsTo: app.href }) };
  }

  return [
    {
      method: "GET",
      path: PATH,
      summary: "Leads back to an app of `allowedOrigins` that somebody has signed in for",
      access: "person",
      query: {
        to: { about: "Where: an address of the issuer's origin, or of one of `allowedOrigins`" },
        challenge: { about: "S256 of a verifier, RFC 7636: adds `keyturn_code` for POST /login/handover" },
        key: { about: "The RFC 7638 thumbprint of the key that the code is bound to" },
        state: { about: "Comes back as `keyturn_state`; needed with a challenge" },
      },
      strangersGoTo: (request) =>
        view.url("/sign-in", { return_to: appOf(request) ? again(request) : undefined }),
      handle,
    },
  ];
}
