import type { Page, PageAnswer, PageRequest } from "../http/page.ts";
import type { AskedFrom } from "../users/mailing/asking.ts";
import type { Mailing } from "../users/mailing/mailing.ts";
import { type FieldProblems, formProblem } from "./form-parts.ts";
import type { MailCookies } from "./mail-cookies.ts";
import { texts } from "./texts.ts";
import { type Html, html, type View } from "./view.ts";

export interface MailParts {
  readonly view: View;
  readonly mailing: Mailing;
  readonly mailCookies: MailCookies;
}

export const askedFrom = ({ ip, header }: Pick<PageRequest, "ip" | "header">): AskedFrom => ({
  ip,
  languages: header("accept-language"),
});

/** A card with a heading and paragraphs. */
export function card(title: string, body: Html): Html {
  return html`<div class="card">
<h1>${title}</h1>
${body}
</div>`;
}

/** In place of what a link would have opened; where to ask for another. */
export function linkGone(view: View, again: { path: string; label: string }): PageAnswer {
  const words = texts.mail;
  const body = card(
    words.linkGoneTitle,
    html`<p>${words.linkGone}</p>
<p class="actions"><a class="button quiet" href="${view.url(again.path)}">${again.label}</a></p>`,
  );
  return { status: 403, html: view.page({ title: words.linkGoneTitle, body, isError: true }) };
}

/** What is wrong with an address that was typed, or that it is too soon. */
export function notAsked(
  asked:
    | { outcome: "invalid"; problem: string }
    | { outcome: "too_many_attempts"; retryAfterSeconds: number },
  form: (problems: FieldProblems) => string,
): PageAnswer {
  if (asked.outcome === "invalid") {
    return { status: 422, html: form(new Map([["email", texts.problemOf("email", asked.problem)]])) };
  }
  const { retryAfterSeconds } = asked;
  return {
    status: 429,
    html: form(formProblem(texts.tooManyAttempts(retryAfterSeconds))),
    headers: { "Retry-After": String(retryAfterSeconds) },
  };
}

/** Where no mail is sent, none of these pages is there. */
export function onlyWithMail({ isOn }: Pick<Mailing, "isOn">, pages: readonly Page[]): Page[] {
  const none = (): PageAnswer => ({ problem: "not_found" });
  return isOn ? [...pages] : pages.map((page) => ({ ...page, handle: none, again: none }));
}
