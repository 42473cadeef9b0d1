import type { Page, PageAnswer, PersonRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Providers } from "../providers/providers.ts";
import type { Identities, Identity } from "../users/identities.ts";
import type { Users } from "../users/users.ts";
import { hidden, postForm } from "./form-parts.ts";
import { answerBegun, type BeginParts } from "./provider-answers.ts";
import { troublePage } from "./provider-trouble.ts";
import { isRecent, type RecentParts } from "./recent.ts";
import { returnPath } from "./return-to.ts";
import { type NoticeCode, texts } from "./texts.ts";
import { factLine, type Html, html, type View } from "./view.ts";

export interface ConnectedParts extends BeginParts, RecentParts {
  readonly providers: Pick<Providers, "offered">;
  readonly identities: Pick<Identities, "list" | "unlink">;
  readonly users: Pick<Users, "hasPassword">;
}

/** What the buttons of "Connected accounts" do. */
export function connectedPages(parts: ConnectedParts): Page[] {
  const { view, providerFlow: flow, identities } = parts;
  const account = () => view.url("/account");
  const strangersGoTo = () => view.url("/sign-in", { return_to: account() });
  /** Another way to sign in is a way for whoever sits at a browser that was left open: the owner is asked again. */
  const signInAgain = (): PageAnswer => ({
    location: view.url("/sign-in", { as: "someone-else", return_to: account() }),
  });
  const back = (notice: NoticeCode): PageAnswer => ({ location: view.url("/account", { notice }) });

  /** The same as a page that an app may lead to: the way to a provider begins by a form of ours. */
  async function askToAdd(request: PersonRequest): Promise<PageAnswer> {
    const { provider: id, return_to } = request.query;
    const provider = parts.providers.offered().find((one) => one.id === id);
    if (provider === undefined) return troublePage(view, "unknown_provider", { isSignedIn: true });
    const returnTo = returnPath(return_to);
    if (!(await isRecent(request.person, parts))) {
      const here = view.url("/account/connections/add", { provider: id, return_to: returnTo });
      return { location: view.url("/sign-in", { as: "someone-else", return_to: here }) };
    }
    const title = texts.providers.account.add(provider.label);
    const fields = html`${hidden("provider", id)}${hidden("return_to", returnTo)}<button>${title}</button>`;
    const body = html`<div class="card">
<h1>${title}</h1>
<p>${texts.providers.account.about}</p>
${postForm({ action: view.url("/account/connections/add"), token: request.formToken }, fields)}
</div>
<p class="below"><a href="${account()}">${texts.password.back}</a></p>`;
    return { status: 200, html: view.page({ title, body, person: request.person }) };
  }

  async function add(request: PersonRequest): Promise<PageAnswer> {
    const { person, field, ip } = request;
    if (!(await isRecent(person, parts))) return signInAgain();
    const providerId = field("provider");
    const returnTo = returnPath(field("return_to"));
    return answerBegun((binder) => flow.begin({ providerId, binder, returnTo, linkTo: person, ip }), {
      request,
      parts,
    });
  }

  async function remove({ person, field, ip }: PersonRequest): Promise<PageAnswer> {
    if (!(await isRecent(person, parts))) return signInAgain();
    const unlinked = await identities.unlink(person.user.id, field("identity"), { actor: "user", ip });
    switch (unlinked) {
      case "unlinked":
        return back("disconnected");
      case "last_way_in":
        return back("disconnect-last");
      case "unknown_identity":
        return back("disconnect-gone");
      default:
        return unreachable(unlinked);
    }
  }

  return [
    {
      method: "GET",
      path: "/account/connections/add",
      summary: "Asks whether to connect a provider: the address for apps that lead to it",
      access: "person",
      query: {
        provider: { about: "Its id" },
        return_to: { about: "Where to go on afterwards: a path of this origin; /account otherwise" },
      },
      strangersGoTo: ({ query: { provider, return_to } }) => {
        const here = { provider, return_to: returnPath(return_to) };
        return view.url("/sign-in", { return_to: view.url("/account/connections/add", here) });
      },
      handle: askToAdd,
    },
    {
      method: "POST",
      path: "/account/connections/add",
      summary: "Leads to a provider, to connect it; who has not signed in lately is asked to do so first",
      access: "person",
      fields: {
        provider: { about: "Its id" },
        return_to: { about: "Where to go on afterwards: a path of this origin; /account otherwise" },
      },
      strangersGoTo,
      handle: add,
    },
    {
      method: "POST",
      path: "/account/connections/remove",
      summary: "Disconnects a provider, unless it is the last way to sign in",
      access: "person",
      fields: { identity: { about: "The id of the connection" } },
      strangersGoTo,
      handle: remove,
    },
  ];
}

interface Shown extends Pick<ConnectedParts, "identities" | "providers" | "users"> {
  readonly view: View;
  readonly time: (milliseconds: number) => Html;
}

/** "Connected accounts" of the account page; nothing where there are none and can be none. */
export async function connectedSection(
  { person, formToken }: PersonRequest,
  shown: Shown,
): Promise<Html | undefined> {
  const offered = shown.providers.offered();
  const identities = await shown.identities.list(person.user.id);
  if (offered.length === 0 && identities.length === 0) return undefined;
  const hasPassword = await shown.users.hasPassword(person.user.id);
  const words = texts.providers.account;
  const labels = new Map(offered.map(({ id, label }) => [id, label]));
  const rows = identities.map((identity) => row(identity, { ...shown, labels, formToken }));
  const open = offered.filter(({ id }) => !identities.some(({ providerId }) => providerId === id));
  const buttons = open.map(({ id, label }) =>
    postForm(
      { action: shown.view.url("/account/connections/add"), token: formToken },
      html`${hidden("provider", id)}<button class="quiet">${words.add(label)}</button>`,
    ),
  );
  return html`<section aria-labelledby="connected"><h2 id="connected">${words.title}</h2><p class="about">${words.about}</p>
${rows.length > 0 ? html`<ul class="rows">${rows}</ul>` : html`<p class="muted">${words.none}</p>`}
${!hasPassword && html`<p class="muted">${words.noPassword} <a href="${shown.view.url("/account/password/first")}">${words.setPassword}</a></p>`}
<div class="providers">${buttons}</div></section>`;
}

function row(
  { id, providerId, label, createdAt }: Identity,
  { view, time, labels, formToken }: Shown & { labels: ReadonlyMap<string, string>; formToken: string },
): Html {
  const words = texts.providers.account;
  const name = labels.get(providerId) ?? providerId;
  const form = postForm(
    { action: view.url("/account/connections/remove"), token: formToken },
    html`${hidden("identity", id)}<button class="quiet small">${words.remove}<span class="unseen"> ${name}</span></button>`,
  );
  return html`<li><div><h3>${name}</h3>
<p class="muted">${factLine([label, html`${words.since} ${time(createdAt)}`])}</p></div>${form}</li>`;
}
