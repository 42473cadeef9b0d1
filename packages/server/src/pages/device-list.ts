import { limits } from "../primitives/limits.ts";
import type { Session } from "../sessions/session.ts";
import type { Device } from "./device-names.ts";
import { hidden, postForm } from "./form-parts.ts";
import { deviceIcons } from "./icons.ts";
import { texts } from "./texts.ts";
import { factLine, type Html, html, type View } from "./view.ts";

interface Shown {
  readonly view: View;
  /** The sessions that are not over, a page at most. */
  readonly sessions: readonly Session[];
  readonly current: Session;
  readonly deviceOf: (session: Session) => Device;
  readonly places: ReadonlyMap<string, string>;
  readonly token: string;
  readonly time: (milliseconds: number) => Html;
}

/** Where somebody is signed in: this device first, then by last use, each with a button that ends it. */
export function deviceList(shown: Shown): Html {
  const { sessions, current, token, view } = shown;
  const others = sessions
    .filter(({ id }) => id !== current.id)
    .sort((one, other) => other.lastUsedAt - one.lastUsedAt);
  const words = texts.account;
  const isCut = sessions.length === limits.pageRowsMax;
  return html`<ul class="rows">${[current, ...others].map((session) => row(session, shown))}</ul>
${isCut && html`<p class="muted">${words.more(limits.pageRowsMax)}</p>`}
${
  others.length > 0 &&
  postForm(
    { action: view.url("/account/sessions/end-others"), token },
    html`<button class="quiet">${words.endOthers}</button>`,
  )
}`;
}

function row(session: Session, { view, current, deviceOf, places, token, time }: Shown): Html {
  const words = texts.account;
  const isCurrent = session.id === current.id;
  const { name, software, kind } = deviceOf(session);
  const place = session.ip === undefined ? undefined : places.get(session.ip);
  const facts = factLine([
    software !== name && software,
    place,
    session.ip !== undefined && html`<span class="ip">${session.ip}</span>`,
  ]);
  const used = html`${words.lastUsed} ${time(session.lastUsedAt)}`;
  const button = html`<button class="quiet small">${words.end}<span class="unseen"> ${name}</span></button>`;
  const end = postForm(
    { action: view.url("/account/sessions/end"), token },
    html`${hidden("session", session.id)}${button}`,
  );
  return html`<li>${deviceIcons[kind]}<div>
<h3>${name}${isCurrent && html` <span class="badge">${words.thisDevice}</span>`}</h3>
<p class="muted">${facts}</p>
<p class="muted">${factLine([used, html`${words.signedIn} ${time(session.createdAt)}`])}</p>
</div>${!isCurrent && end}</li>`;
}
