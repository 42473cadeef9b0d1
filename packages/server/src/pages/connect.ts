import type { Page, PageAnswer, PageRequest, Person } from "../http/page.ts";
import type { WaitingPerson } from "../providers/flow.ts";
import { hidden, postForm } from "./form-parts.ts";
import { answerFinished, type ProviderParts } from "./provider-answers.ts";
import { troublePage } from "./provider-trouble.ts";
import { isRecent } from "./recent.ts";
import { nameOf } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { type Html, html } from "./view.ts";

/**
 * GET and POST /sign-in/connect: for somebody whom a provider has vouched for, and whose address an account here has.
 * An address is no proof of an account; whoever signs in to it afterwards has one.
 */
export function connectPages(parts: ProviderParts): Page[] {
  const { view, providerFlow: flow, binderCookie } = parts;
  const words = texts.providers.connect;
  const action = view.url("/sign-in/connect");

  /** Who has signed in since the provider vouched: before that, it may be anybody who used this browser last. */
  async function proven({ person }: PageRequest, { pending }: WaitingPerson): Promise<Person | undefined> {
    const isSince = person !== undefined && person.session.createdAt >= pending.createdAt;
    return isSince && (await isRecent(person, parts)) ? person : undefined;
  }

  const formOf = (token: string, act: "connect" | "new", button: Html) =>
    postForm({ action, token }, html`${hidden("act", act)}${button}`);

  function ask(request: PageRequest, waiting: WaitingPerson): string {
    const { provider, mayStartAnew } = waiting;
    const signIn = view.url("/sign-in", { as: "someone-else", return_to: action });
    const anew = html`<p class="muted">${words.anewAbout}</p>
${formOf(request.formToken, "new", html`<button class="quiet">${words.anew}</button>`)}`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
<p>${words.about(provider.label)}</p>
<p class="actions"><a class="button" href="${signIn}">${words.signIn(parts.settings.siteName)}</a></p>
${mayStartAnew && anew}
</div>`;
    return view.page({ title: words.title, body });
  }

  function confirm(request: PageRequest, waiting: WaitingPerson, person: Person): string {
    const { provider, label } = waiting;
    const title = words.confirmTitle(provider.label);
    const body = html`<div class="card">
<h1>${title}</h1>
<p>${words.confirm(provider.label, label, nameOf(person))}</p>
${formOf(
  request.formToken,
  "connect",
  html`<p class="actions"><button>${words.submit}</button><a class="button quiet" href="${view.url("/account")}">${words.notNow}</a></p>`,
)}
</div>`;
    return view.page({ title, body, person });
  }

  async function show(request: PageRequest): Promise<PageAnswer> {
    const waiting = await flow.pending(binderCookie.valueIn(request));
    if (waiting === undefined)
      return troublePage(view, "nothing_pending", { isSignedIn: request.person !== undefined });
    const person = await proven(request, waiting);
    return {
      status: 200,
      html: person === undefined ? ask(request, waiting) : confirm(request, waiting, person),
    };
  }

  async function act(request: PageRequest): Promise<PageAnswer> {
    const { person, ip, userAgent, field } = request;
    const binder = binderCookie.valueIn(request);
    const waiting = await flow.pending(binder);
    if (waiting === undefined || binder === undefined) return { location: action };
    if (field("act") === "new") {
      const arrival = { clientId: parts.clientId, kind: "browser", ip, userAgent } as const;
      const ended = await flow.startAnew(binder, waiting, { arrival, holder: person });
      return answerFinished(ended, { request, parts });
    }
    const holder = await proven(request, waiting);
    if (holder === undefined) return { location: action };
    const connected = await flow.connect(binder, waiting, { ...holder, ip });
    return answerFinished(connected, { request, parts });
  }

  return [
    {
      method: "GET",
      path: "/sign-in/connect",
      summary: "For whom a provider has vouched and whose address an account has: asks to prove the account",
      access: "anyone",
      tokenOf: "browser",
      handle: show,
    },
    {
      method: "POST",
      path: "/sign-in/connect",
      summary: "Connects the provider to the account that was proven, or makes a new account",
      access: "anyone",
      tokenOf: "browser",
      fields: { act: { about: "`connect`, or `new` where the account's address was never confirmed" } },
      handle: act,
      again: () => ({ location: action }),
    },
  ];
}
