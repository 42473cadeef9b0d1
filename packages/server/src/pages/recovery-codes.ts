import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

/** Codes that are shown this once, and the way on. */
export function recoveryCodesPage(view: View, shown: { codes: readonly string[]; onTo: string }): string {
  const words = texts.factors.codes;
  const body = html`<div class="card">
<h1>${words.title}</h1>
<p>${words.about}</p>
<ul class="codes">${shown.codes.map((code) => html`<li><code>${code}</code></li>`)}</ul>
<p class="actions"><a class="button" href="${shown.onTo}">${words.proceed}</a></p>
</div>`;
  return view.page({ title: words.title, body });
}
