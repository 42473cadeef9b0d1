import type { Person } from "../http/page.ts";
import type { AuthorizationAnswer, ConsentAsked, Waiting } from "../oauth/interaction.ts";
import { shownText } from "../oauth/interaction.ts";
import { hidden, postForm } from "./form-parts.ts";
import { nameOf } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { type Html, html, type View } from "./view.ts";

export const decidePath = "/oauth/authorize/decide";

interface Deciding {
  readonly waiting: Waiting;
  readonly person: Person;
  readonly token: string;
}

/** Where somebody comes back to a request that waits for them. */
export const waitingPath = (view: View, { clientId, requestUri }: Waiting): string =>
  view.url("/oauth/authorize", { client_id: clientId, request_uri: requestUri });

const reference = ({ clientId, requestUri }: Waiting): Html =>
  html`${hidden("client_id", clientId)}${hidden("request_uri", requestUri)}`;

const someoneElse = (view: View, waiting: Waiting) =>
  view.url("/sign-in", { as: "someone-else", return_to: waitingPath(view, waiting) });

/**
 * What an application asks for, and where the answer goes. Nothing that the client has registered is loaded or linked:
 * a logo of its choice would lend it somebody else's face.
 */
export function consentPage(view: View, asked: ConsentAsked, { waiting, person, token }: Deciding): string {
  const words = texts.oauth.consent;
  const { client, scopes, resources, redirectUri } = asked;
  const title = words.title(client.name);
  const isUnchecked = client.origin === "dynamic" || client.origin === "document";
  const form = postForm(
    { action: view.url(decidePath), token },
    html`${reference(waiting)}${hidden("shown", shownText({ scopes, resources }))}
<button name="decision" value="allow">${words.allow}</button>
<button class="quiet" name="decision" value="deny">${words.deny}</button>`,
  );
  const body = html`<div class="card">
<h1>${title}</h1>
<p class="muted">${words.signedInAs(nameOf(person))} <a href="${someoneElse(view, waiting)}">${words.someoneElse}</a></p>
<p>${words.wants(client.name)}</p>
${accessList({ scopes, resources })}
<p><strong>${words.leadsTo(placeOf(redirectUri))}</strong>${client.origin === "document" && ` ${words.publishedAt(placeOf(client.id))}`}</p>
${isUnchecked && html`<div class="notice bad"><p>${words.unchecked}</p></div>`}
${form}
<p class="muted">${words.later}</p>
</div>`;
  return view.page({ title, body });
}

/** What is allowed, in words where there are any. */
export function accessList({ scopes, resources }: Pick<ConsentAsked, "scopes" | "resources">): Html {
  const words = texts.oauth.consent;
  const items = [
    ...scopes.map((scope) => words.scope(scope) ?? html`${words.otherScope} <code>${scope}</code>`),
    ...resources.map((resource) => html`${words.at} <code>${resource}</code>`),
  ];
  return html`<ul class="access">${items.map((item) => html`<li>${item}</li>`)}</ul>`;
}

/** As whom the person goes on. */
export function choicePage(
  view: View,
  { client }: { client: { readonly name: string } },
  { waiting, person, token }: Deciding,
): string {
  const words = texts.oauth.choice;
  const form = postForm(
    { action: view.url(decidePath), token },
    html`${reference(waiting)}<button name="decision" value="continue">${words.goOnAs(nameOf(person))}</button>`,
  );
  const body = html`<div class="card">
<h1>${words.title}</h1>
<p>${words.about(client.name)}</p>
${form}
<p class="actions"><a class="button quiet" href="${someoneElse(view, waiting)}">${words.someoneElse}</a></p>
</div>`;
  return view.page({ title: words.title, body });
}

/** The host that a person knows an application by; of a program on their device what can be said. */
function placeOf(uri: string): string {
  const words = texts.oauth.consent;
  const url = URL.parse(uri);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    return words.appOnThisDevice(uri.slice(0, uri.indexOf(":")));
  }
  const isHere = url.protocol === "http:" && /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
  return isHere ? `${words.onThisDevice} (${url.host})` : url.host;
}

/** Leads on to the application with the answer in the address. */
export function onwardPage(view: View, { location, redirectUri }: AuthorizationAnswer): string {
  const words = texts.oauth.leaving;
  const title = words.title(placeOf(redirectUri));
  const body = html`<div class="card">
<h1>${title}</h1>
<p>${words.about}</p>
<p class="actions"><a class="button" href="${location}">${words.submit}</a></p>
</div>`;
  return view.page({ title, body, leadsTo: location });
}

/** The same by a form, as the application has asked for: OAuth 2.0 Form Post Response Mode. See form-post.js. */
export function onwardForm(view: View, { redirectUri, fields }: AuthorizationAnswer): string {
  const words = texts.oauth.leaving;
  const title = words.title(placeOf(redirectUri));
  // Not `postForm`: a token of ours is nobody else's.
  const body = html`<div class="card">
<h1>${title}</h1>
<p>${words.formAbout}</p>
<form method="post" action="${redirectUri}">
${Object.entries(fields).map(([name, value]) => hidden(name, value))}
<button>${words.submit}</button>
</form>
</div>`;
  return view.page({ title, body, sendsItself: true });
}
