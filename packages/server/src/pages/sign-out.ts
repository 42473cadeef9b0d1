import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Page, PageAnswer, PageRequest, PersonRequest } from "../http/page.ts";
import type { Sessions } from "../sessions/sessions.ts";
import { checkbox, postForm } from "./form-parts.ts";
import { nameOf } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly sessions: Pick<Sessions, "end" | "endAllOfUser">;
  readonly browserSessions: Pick<BrowserSessions, "clearCookie">;
}

/** GET and POST /sign-out. */
export function signOutPages({ view, sessions, browserSessions }: Parts): Page[] {
  const words = texts.signOut;

  function show({ person, formToken }: PageRequest): PageAnswer {
    if (person === undefined) {
      const body = html`<div class="card">
<h1>${words.doneTitle}</h1>
<p>${words.done}</p>
<p class="actions"><a class="button" href="${view.url("/sign-in")}">${words.again}</a></p>
</div>`;
      return { status: 200, html: view.page({ title: words.doneTitle, body }) };
    }
    const fields = html`${checkbox({ name: "everywhere", label: words.everywhere, hint: words.everywhereHint })}
<p class="actions"><button>${words.submit}</button><a class="button quiet" href="${view.url("/account")}">${words.stay}</a></p>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
<p>${words.question(nameOf(person))}</p>
${postForm({ action: view.url("/sign-out"), token: formToken }, fields)}
</div>`;
    return { status: 200, html: view.page({ title: words.title, body }) };
  }

  async function signOut({ person, field, ip }: PersonRequest): Promise<PageAnswer> {
    const { session } = person;
    const by = { actor: "user", reason: "signed_out", ip } as const;
    if (field("everywhere") === "on") await sessions.endAllOfUser(session.userId, by);
    else await sessions.end(session.id, by);
    return { location: view.url("/sign-out"), cookies: [browserSessions.clearCookie()] };
  }

  return [
    {
      method: "GET",
      path: "/sign-out",
      summary: "Asks whether to sign out; says so when nobody is signed in",
      access: "anyone",
      handle: show,
    },
    {
      method: "POST",
      path: "/sign-out",
      summary: "Ends the browser's session and takes its cookie away",
      access: "person",
      fields: { everywhere: { about: "`on`: all of the user's sessions" } },
      strangersGoTo: () => view.url("/sign-out"),
      handle: signOut,
    },
  ];
}
