import type { PageAnswer } from "../http/page.ts";
import { texts } from "./texts.ts";
import type { TroubleCode } from "./texts-providers.ts";
import { html, type View } from "./view.ts";

const statuses = {
  unknown_provider: 403,
  unreachable: 503,
  attempt_gone: 403,
  denied: 403,
  not_proven: 401,
  account_disabled: 403,
  registration_closed: 403,
  signed_out: 403,
  taken: 409,
  too_many: 409,
  nothing_pending: 403,
} as const satisfies Record<TroubleCode, number>;

/** Why a way with a provider has ended, and what to do next. Nothing that the provider wrote is on it. */
export function troublePage(
  view: View,
  code: TroubleCode,
  { provider = "", isSignedIn }: { provider?: string; isSignedIn: boolean },
): PageAnswer {
  const { title, text } = texts.providers.trouble[code];
  const next = isSignedIn
    ? html`<a class="button" href="${view.url("/account")}">${texts.nav.account}</a>`
    : html`<a class="button" href="${view.url("/sign-in")}">${texts.providers.again}</a>`;
  const body = html`<div class="card">
<h1>${title}</h1>
<p>${text(provider)}</p>
<p class="actions">${next}<a class="button quiet" href="${view.url("/")}">${texts.problemHome}</a></p>
</div>`;
  return { status: statuses[code], html: view.page({ title, body, isError: true }) };
}

/** Too many at once from one address. */
export function waitPage(view: View, seconds: number): PageAnswer {
  const { title } = texts.problems.busy;
  const body = html`<div class="card">
<h1>${title}</h1>
<p>${texts.tooManyAttempts(seconds)}</p>
<p class="actions"><a class="button quiet" href="${view.url("/sign-in")}">${texts.providers.again}</a></p>
</div>`;
  const headers = { "Retry-After": String(seconds) };
  return { status: 429, html: view.page({ title, body, isError: true }), headers };
}

/** Leads to the provider. A page and not a redirect: browsers hold `form-action` against a redirect after a form. */
export function leavingPage(view: View, { provider, url }: { provider: string; url: string }): PageAnswer {
  const words = texts.providers;
  const title = words.leaving(provider);
  const body = html`<div class="card">
<h1>${title}</h1>
<p>${words.leavingAbout(provider, new URL(url).host)}</p>
<p class="actions"><a class="button" href="${url}">${words.leave}</a></p>
</div>`;
  return { status: 200, html: view.page({ title, body, leadsTo: url }) };
}
