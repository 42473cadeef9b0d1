import { html as honoHtml, raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { Asset, Person } from "../http/page.ts";
import { logo } from "./icons.ts";
import { texts } from "./texts.ts";

export type Html = HtmlEscapedString;

/** The template tag of every page: what is put in is escaped, unless it is a template itself. Nothing in it waits. */
export const html = honoHtml as (strings: TemplateStringsArray, ...values: unknown[]) => Html;

/** Facts side by side; what is not known leaves no gap. */
export function factLine(facts: readonly (Html | string | false | undefined)[]): Html {
  const known = facts.filter((fact) => fact !== false && fact !== undefined);
  return html`${known.map((fact, index) => html`${index > 0 && " · "}${fact}`)}`;
}

export interface Shown {
  readonly title: string;
  readonly body: Html;
  /** What went wrong stands in front of the title: it is the first thing that a screen reader says. */
  readonly isError?: boolean;
  /** Whose page it is; then the way to the account and out is at its top. */
  readonly person?: Person | undefined;
  /** With the script of passkeys; the row of the page says so too, for its security policy. */
  readonly hasScript?: boolean;
  /** Its form is sent by itself where scripts run; the page says so in its own policy. */
  readonly sendsItself?: boolean;
  /** Where the browser goes on to by itself: an address of another site, which no form may lead to. */
  readonly leadsTo?: string;
  /** One card in the middle (the default), or the width that lists need. */
  readonly isWide?: boolean;
}

export type View = ReturnType<typeof createView>;

/** How every page looks, and where its links lead. */
export function createView({
  settings,
  stylesheet,
  icon,
  script,
  formPost,
}: {
  settings: { readonly issuer: string; readonly siteName: string };
  stylesheet: Pick<Asset, "path">;
  icon: Pick<Asset, "path">;
  script: Pick<Asset, "path">;
  formPost: Pick<Asset, "path">;
}) {
  const { host, pathname } = new URL(settings.issuer);
  const { siteName } = settings;
  const base = pathname.replace(/\/$/, "");
  // Ours, not anybody's input. The name of the site stands beside it.
  const mark = raw(logo.replace("<svg ", '<svg class="logo" aria-hidden="true" focusable="false" '));

  /** The address of a page of ours, on this origin: an issuer with a path has it in front. */
  function url(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return `${base}${path}${given.length === 0 ? "" : `?${new URLSearchParams(given)}`}`;
  }

  function navigation(): Html {
    const { nav } = texts;
    return html`<nav aria-label="${nav.label}"><a href="${url("/account")}">${nav.account}</a><a href="${url("/sign-out")}">${nav.signOut}</a></nav>`;
  }

  function page(shown: Shown): string {
    const { title, body, isError = false, person, isWide = false, hasScript = false, leadsTo } = shown;
    const itsScript = shown.sendsItself === true ? formPost : hasScript ? script : undefined;
    const shownTitle = title === siteName ? title : texts.title(title, siteName);
    return String(html`<!doctype html>
<html lang="${texts.language}">
<head>
<meta charset="utf-8">
<title>${isError ? texts.errorTitle(shownTitle) : shownTitle}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
${
  leadsTo !== undefined &&
  html`<meta http-equiv="refresh" content="0; url=${leadsTo}">
`
}<link rel="icon" href="${url(icon.path)}" type="image/svg+xml">
<link rel="stylesheet" href="${url(stylesheet.path)}">${
      itsScript &&
      html`
<script src="${url(itsScript.path)}" defer></script>`
    }
</head>
<body class="${isWide ? "wide" : "narrow"}">
${isWide && html`<a class="skip" href="#content">${texts.skip}</a>`}
<header><a class="brand" href="${url("/")}">${mark}<span>${siteName}</span></a>${person && navigation()}</header>
<main id="content" tabindex="-1">
${body}
</main>
<footer><p>${texts.youAreAt(host)}</p></footer>
</body>
</html>
`);
  }

  return { url, page };
}
