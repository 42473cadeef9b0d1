import type { Providers } from "../providers/providers.ts";
import { hidden, postForm } from "./form-parts.ts";
import { texts } from "./texts.ts";
import { type Html, html, type View } from "./view.ts";

interface Shown {
  readonly view: View;
  readonly providers: Pick<Providers, "offered">;
  readonly token: string;
  readonly returnTo: string | undefined;
}

/** The other ways to sign in. Each is a form: a link could be followed by whoever leads somebody here. */
export function providerButtons({ view, providers, token, returnTo }: Shown): Html | undefined {
  const offered = providers.offered();
  if (offered.length === 0) return undefined;
  const words = texts.providers;
  const buttons = offered.map(({ id, label }) =>
    postForm(
      { action: view.url(`/sign-in/with/${id}`), token },
      html`${hidden("return_to", returnTo)}<button class="quiet">${words.continueWith(label)}</button>`,
    ),
  );
  return html`<p class="or"><span>${words.or}</span></p>
<div class="providers">${buttons}</div>`;
}
