import type { Page, PageAnswer, PersonRequest } from "../http/page.ts";
import type { Application, Applications } from "../oauth/interaction.ts";
import { accessList } from "./consent.ts";
import { hidden, postForm } from "./form-parts.ts";
import { type NoticeCode, texts } from "./texts.ts";
import { factLine, type Html, html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly applications: Pick<Applications, "list" | "withdraw">;
}

/** What the buttons of "Applications" do. */
export function applicationPages({ view, applications }: Parts): Page[] {
  const back = (notice: NoticeCode): PageAnswer => ({ location: view.url("/account", { notice }) });
  return [
    {
      method: "POST",
      path: "/account/applications/withdraw",
      summary: "Ends what an application was let in to, and forgets what was agreed to",
      access: "person",
      fields: { client: { about: "The id of the application" } },
      strangersGoTo: () => view.url("/sign-in", { return_to: view.url("/account") }),
      async handle({ person, field, ip }: PersonRequest): Promise<PageAnswer> {
        const clientId = field("client");
        const isDone = await applications.withdraw({ userId: person.user.id, clientId, ip });
        return back(isDone ? "withdrawn" : "withdrawn-already");
      },
    },
  ];
}

/** "Applications" of the account page; nothing where there are none. */
export async function applicationsSection(
  { person, formToken }: PersonRequest,
  shown: Parts & { readonly time: (milliseconds: number) => Html },
): Promise<Html | undefined> {
  const all = await shown.applications.list(person.user.id);
  if (all.length === 0) return undefined;
  const words = texts.oauth.account;
  return html`<section aria-labelledby="applications"><h2 id="applications">${words.title}</h2><p class="about">${words.about}</p>
<ul class="rows">${all.map((one) => row(one, { ...shown, formToken }))}</ul></section>`;
}

function row(
  application: Application,
  { view, time, formToken }: Parts & { time: (milliseconds: number) => Html; formToken: string },
): Html {
  const words = texts.oauth.account;
  const { clientId, name = words.gone, since, lastUsedAt } = application;
  const form = postForm(
    { action: view.url("/account/applications/withdraw"), token: formToken },
    html`${hidden("client", clientId)}<button class="quiet small">${words.withdraw}<span class="unseen"> ${name}</span></button>`,
  );
  const facts = factLine([
    html`${words.since} ${time(since)}`,
    lastUsedAt !== undefined && html`${words.lastUsed} ${time(lastUsedAt)}`,
  ]);
  return html`<li><div><h3>${name}</h3>
<p class="muted">${facts}</p>
${accessList(application)}</div>${form}</li>`;
}
