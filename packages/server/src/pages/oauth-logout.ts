import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Page, PageAnswer, PageRequest, PersonRequest } from "../http/page.ts";
import { parametersOf } from "../http/parameters.ts";
import type { LogoutInteraction, LogoutLook, LogoutProblem, Next } from "../oauth/interaction-logout.ts";
import { unreachable } from "../primitives/assert.ts";
import { hidden, postForm } from "./form-parts.ts";
import { nameOf } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly logoutInteraction: LogoutInteraction;
  readonly browserSessions: Pick<BrowserSessions, "clearCookie">;
}

const PATH = "/oauth/logout";
const CONFIRM = "/oauth/logout/confirm";
const parameters = {
  id_token_hint: { about: "An ID token of whoever is to be signed out; it may have expired" },
  client_id: { about: "The application, where there is no hint; else the same" },
  post_logout_redirect_uri: { about: "Where the browser goes on to: as registered, byte for byte" },
  state: { about: "Handed back with it" },
  logout_hint: { about: "Not used" },
  ui_locales: { about: "Not used" },
} as const;
/** What the form of the question carries on: by then the hint has done what it can. */
const carried = ["client_id", "post_logout_redirect_uri", "state"] as const;

/** GET and POST /oauth/logout: OpenID Connect RP-Initiated Logout 1.0. */
export function oauthLogoutPages({ view, logoutInteraction, browserSessions }: Parts): Page[] {
  const words = texts.logout;

  function refusedPage(problem: LogoutProblem): PageAnswer {
    const body = html`<div class="card">
<h1>${words.refusedTitle}</h1>
<p>${words.refused[problem]}</p>
<p class="actions"><a class="button quiet" href="${view.url("/sign-out")}">${words.signOut}</a></p>
</div>`;
    return { status: 403, html: view.page({ title: words.refusedTitle, body, isError: true }) };
  }

  function ask(request: PageRequest, { client, next }: LogoutLook & { outcome: "ask" }): PageAnswer {
    const { person, formToken, query } = request;
    const fields = html`${carried.map((name) => hidden(name, name === "client_id" ? client?.id : next && query[name]))}
<p class="actions"><button>${words.submit}</button><a class="button quiet" href="${view.url("/account")}">${words.stay}</a></p>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
<p>${words.question(person === undefined ? "" : nameOf(person), client?.name)}</p>
<p class="muted">${words.what}</p>
${postForm({ action: view.url(CONFIRM), token: formToken }, fields)}
</div>`;
    return { status: 200, html: view.page({ title: words.title, body, person }) };
  }

  const goOn = (next: Next | undefined): string => next?.url ?? view.url("/sign-out");

  async function show(request: PageRequest): Promise<PageAnswer> {
    const { person, query, ip } = request;
    const look = await logoutInteraction.look(parametersOf(Object.entries(query)), person);
    switch (look.outcome) {
      case "refused":
        return refusedPage(look.problem);
      case "nobody":
        return { location: goOn(look.next) };
      case "ask":
        return ask(request, look);
      case "end": {
        if (person !== undefined) await logoutInteraction.end(person, ip);
        return { location: goOn(look.next), cookies: [browserSessions.clearCookie()] };
      }
      default:
        return unreachable(look);
    }
  }

  /** After the form: a page that leads on, for browsers hold `form-action` against a redirect to another site. */
  function leave(name: string, { url }: Next): PageAnswer {
    const title = words.leaving(name);
    const body = html`<div class="card">
<h1>${title}</h1>
<p>${words.leavingAbout(name, new URL(url).host)}</p>
<p class="actions"><a class="button" href="${url}">${words.leave}</a></p>
</div>`;
    return { status: 200, html: view.page({ title, body, leadsTo: url }) };
  }

  async function confirm(request: PersonRequest): Promise<PageAnswer> {
    const { person, field, ip } = request;
    const given = parametersOf(carried.map((name) => [name, field(name)] as const));
    const look = await logoutInteraction.look(given, person);
    if (look.outcome === "refused") return refusedPage(look.problem);
    await logoutInteraction.end(person, ip);
    const cookies = [browserSessions.clearCookie()];
    const { client, next } = look;
    if (client === undefined || next === undefined) return { location: view.url("/sign-out"), cookies };
    return { ...leave(client.name, next), cookies };
  }

  /** Without cookies, for the form came from another site: the same again, as a navigation of this browser. */
  function bounce({ field }: PageRequest): PageAnswer {
    const given = Object.keys(parameters).map((name) => [name, field(name)] as const);
    return { location: view.url(PATH, Object.fromEntries(given.filter(([, value]) => value !== ""))) };
  }

  return [
    {
      method: "GET",
      path: PATH,
      summary: "Signs out at the request of an application: OpenID Connect RP-Initiated Logout 1.0 §2",
      access: "anyone",
      query: parameters,
      handle: show,
    },
    {
      method: "POST",
      path: PATH,
      summary: "The same for an application that sends a form; leads on to the page before",
      access: "anyone",
      fromElsewhere: true,
      fields: parameters,
      handle: bounce,
    },
    {
      method: "POST",
      path: CONFIRM,
      summary: "Signs out after the question of /oauth/logout",
      access: "person",
      fields: Object.fromEntries(carried.map((name) => [name, parameters[name]])),
      strangersGoTo: () => view.url("/sign-out"),
      handle: confirm,
    },
  ];
}
