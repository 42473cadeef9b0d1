import type { PageProblem } from "../http/page.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

/** The page in place of one that cannot be shown. Nothing of the request is in it, not even its address. */
export function problemPages(view: View): (problem: PageProblem) => string {
  const made = new Map<PageProblem, string>();
  return (problem) => {
    const known = made.get(problem);
    if (known !== undefined) return known;
    const { title, text } = texts.problems[problem];
    const body = html`<div class="card">
<h1>${title}</h1>
<p>${text}</p>
<p class="actions"><a class="button quiet" href="${view.url("/account")}">${texts.nav.account}</a><a class="button quiet" href="${view.url("/")}">${texts.problemHome}</a></p>
</div>`;
    const page = view.page({ title, body, isError: true });
    made.set(problem, page);
    return page;
  };
}
