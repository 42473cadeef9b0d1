import { limits } from "../primitives/limits.ts";
import { hidden, postForm } from "./form-parts.ts";
import { texts } from "./texts.ts";
import { type Html, html } from "./view.ts";

interface Area {
  readonly kind: "get" | "create";
  /** What to ask the browser for, or where to fetch it. */
  readonly options: object | { readonly url: string };
  readonly action: string;
  readonly token: string;
  readonly button: string;
  readonly returnTo?: string | undefined;
  readonly fields?: Html | undefined;
}

/** A form that pages/passkeys.js fills in. Hidden until it does. */
export function passkeyArea({ kind, options, action, token, button, returnTo, fields }: Area): Html {
  const source =
    "url" in options
      ? html` data-options-url="${options.url}"`
      : html` data-options="${JSON.stringify(options)}"`;
  const form = postForm(
    { action, token },
    html`${hidden("return_to", returnTo)}<input type="hidden" name="passkey" value="">
${fields}
<p class="problem" aria-live="polite" data-problem hidden>${texts.factors.passkeyProblem}</p>
<button class="quiet">${button}</button>`,
  );
  return html`<div class="passkey" data-passkey="${kind}"${source} hidden>${form}</div>`;
}

/** The JSON that the script put into the form; undefined for what is none. */
export function passkeyFrom(text: string): unknown {
  if (text === "" || text.length > limits.passkeyResponseCharactersMax) return undefined;
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && typeof value.response === "object"
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}
