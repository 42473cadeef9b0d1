import { KeyturnError } from "./keyturn-error.ts";
import type { Popup } from "./oidc-popup.ts";
import type { Answer } from "./oidc-signing.ts";
import { parseUrl } from "./options.ts";

/** The page that signs in, as far as it has an address, a history and windows. */
interface Page {
  readonly location?: { readonly href: string; assign(url: string): void };
  readonly history?: {
    readonly state: unknown;
    replaceState(state: unknown, title: string, url: string): void;
  };
  open?(url: string, name: string, features: string): Popup | null;
  addEventListener?(
    event: "pageshow",
    listener: (event: { readonly persisted: boolean }) => void,
    how: { once: true },
  ): void;
}

const page = globalThis as unknown as Page;
/** What is of the protocol in the address of the callback page; OpenID Connect Session Management has the last one. */
const answerFields = ["code", "state", "iss", "error", "error_description", "error_uri", "session_state"];
const popupSize = { width: 480, height: 680 };

/**
 * Where the page goes on when somebody has signed in.
 *
 * @throws KeyturnError `invalid_request` for another origin, or a script: it may have come by an address.
 */
export function placeToReturn(wanted: string | undefined): string | undefined {
  const here = page.location?.href;
  if (wanted === undefined || here === undefined) return here;
  if (parseUrl(wanted, here)?.origin === new URL(here).origin) return wanted;
  throw new KeyturnError("invalid_request", "returnTo has to be an address of this page's origin");
}

/** The page is on its way to another: nothing comes after this, unless its visitor comes back by the back button. */
export function leaveFor(url: string): Promise<never> {
  const { location } = page;
  if (!location) throw new KeyturnError("not_supported", "Only a page can be led to a provider");
  location.assign(url);
  return new Promise((_, reject) =>
    page.addEventListener?.(
      "pageshow",
      ({ persisted }) => {
        // Chromium keeps the page as it was; what it waits for would never come.
        if (persisted) reject(new KeyturnError("cancelled", "Back from the provider without an answer"));
      },
      { once: true },
    ),
  );
}

/** @throws KeyturnError `popup_blocked`. */
export function openPopup(size: unknown): Popup {
  const { width, height } = typeof size === "object" ? (size as typeof popupSize) : popupSize;
  // Each its own: a name that is taken would lead a window on that is under way.
  const popup = page.open?.("", `keyturn-${crypto.randomUUID()}`, `popup,width=${width},height=${height}`);
  if (popup) return popup;
  throw new KeyturnError(
    "popup_blocked",
    "The browser opened no window: call signIn from a click, or without popup",
  );
}

/** What the address of the callback page brings, taken out of it; undefined when it is another page, or brings nothing. */
export function takeAnswer(redirectUri: string): Answer | undefined {
  const url = parseUrl(page.location?.href ?? "", undefined);
  const own = new URL(redirectUri);
  if (!url || url.origin + url.pathname !== own.origin + own.pathname) return undefined;
  const { searchParams } = url;
  const state = searchParams.get("state");
  if (state === null || !(searchParams.has("code") || searchParams.has("error"))) return undefined;
  // RFC 6749 §3.1: "parameters MUST NOT be included more than once".
  const isTwice = answerFields.some((field) => searchParams.getAll(field).length > 1);
  const answer = Object.fromEntries(
    answerFields.map((field) => [field, searchParams.get(field) ?? undefined]),
  );
  for (const field of answerFields) searchParams.delete(field);
  // Out of the address before anything else: it must not be kept, sent on or asked for again.
  page.history?.replaceState(page.history.state, "", url.href);
  if (isTwice) throw new KeyturnError("invalid_answer", "The answer says something twice; sign in anew");
  return answer as unknown as Answer;
}
