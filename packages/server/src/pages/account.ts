import type { Audit } from "../audit/audit.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Page, PageAnswer, PersonRequest } from "../http/page.ts";
import type { Clock } from "../primitives/clock.ts";
import { isId } from "../primitives/id.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Mailing } from "../users/mailing/mailing.ts";
import type { User } from "../users/user.ts";
import { addressSection } from "./address.ts";
import { applicationsSection } from "./applications.ts";
import { type ConnectedParts, connectedSection } from "./connected.ts";
import { deviceList } from "./device-list.ts";
import { deviceNames } from "./device-names.ts";
import { noticeOf } from "./form-parts.ts";
import type { createPlaces } from "./places.ts";
import { recoveredPart } from "./recover.ts";
import { eventList } from "./security-events.ts";
import { type NoticeCode, texts } from "./texts.ts";
import { type Html, html, type View } from "./view.ts";

interface Parts extends Pick<ConnectedParts, "identities" | "providers" | "users"> {
  readonly view: View;
  readonly mailing: Mailing;
  readonly sessions: Pick<Sessions, "list" | "find" | "end" | "endAllOfUser">;
  readonly audit: Pick<Audit, "list">;
  readonly browserSessions: Pick<BrowserSessions, "clearCookie">;
  readonly placesOf: ReturnType<typeof createPlaces>;
  readonly clock: Clock;
  readonly applications: Parameters<typeof applicationsSection>[1]["applications"];
}

/** GET /account, and what its buttons do. */
export function accountPages(parts: Parts): Page[] {
  const { view, sessions, browserSessions } = parts;
  const strangersGoTo = () => view.url("/sign-in", { return_to: view.url("/account") });
  const back = (notice: NoticeCode): PageAnswer => ({ location: view.url("/account", { notice }) });

  async function endOne({ person, field, ip }: PersonRequest): Promise<PageAnswer> {
    const id = field("session");
    const session = isId(id) ? await sessions.find(id) : undefined;
    // Somebody else's session and none at all are told alike.
    if (session === undefined || session.userId !== person.user.id) return back("session-gone");
    if (session.id === person.session.id) {
      await sessions.end(session.id, { actor: "user", reason: "signed_out", ip });
      return { location: view.url("/sign-out"), cookies: [browserSessions.clearCookie()] };
    }
    const isEnded = await sessions.end(session.id, { actor: "user", reason: "ended_by_user", ip });
    return back(isEnded ? "session-ended" : "session-gone");
  }

  async function endOthers({ person, ip }: PersonRequest): Promise<PageAnswer> {
    const by = { actor: "user", reason: "ended_by_user", ip, except: person.session.id } as const;
    const ended = await sessions.endAllOfUser(person.user.id, by);
    return back(ended > 0 ? "others-ended" : "none-ended");
  }

  return [
    {
      method: "GET",
      path: "/account",
      summary: "Who is signed in, on which devices, and what happened lately",
      access: "person",
      query: { notice: { about: "A code of what was just done" } },
      strangersGoTo,
      handle: async (request) => ({ status: 200, html: await accountPage(request, parts) }),
    },
    {
      method: "POST",
      path: "/account/sessions/end",
      summary: "Ends one of the user's sessions",
      access: "person",
      fields: { session: { about: "Its id" } },
      strangersGoTo,
      handle: endOne,
    },
    {
      method: "POST",
      path: "/account/sessions/end-others",
      summary: "Ends all of the user's other sessions",
      access: "person",
      strangersGoTo,
      handle: endOthers,
    },
  ];
}

async function accountPage(request: PersonRequest, parts: Parts): Promise<string> {
  const { person, formToken: token } = request;
  const { view, clock } = parts;
  const userId = person.user.id;
  const words = texts.account;
  const [alive, newest, events, deviceOf] = await Promise.all([
    // What applications hold stands beside: they are no devices.
    parts.sessions.list({ userId, kinds: ["app", "browser"], alive: true }),
    // Of sessions that are over only their names are wanted, for the events.
    parts.sessions.list({ userId }),
    parts.audit.list({ userId }),
    deviceNames(),
  ]);
  const known = [person.session, ...alive];
  const places = await parts.placesOf(new Set(known.flatMap(({ ip }) => ip ?? [])));
  const now = clock.now();
  const time = (at: number): Html => {
    const seconds = Math.max(0, Math.floor((now - at) / 1000));
    return html`<time datetime="${new Date(at).toISOString()}" title="${texts.moment(at)}">${texts.ago(seconds)}</time>`;
  };
  const names = new Map([...newest, ...known].map((session) => [session.id, deviceOf(session)]));
  const devices = deviceList({
    view,
    sessions: alive,
    current: person.session,
    deviceOf,
    places,
    token,
    time,
  });
  const body = html`<div class="who">
${avatar(person.user)}
<div><h1>${words.title}</h1>${whoIs(person.user)}</div>
</div>
${noticeOf(request.query.notice)}
${recoveredPart(view, person.session)}
<section aria-labelledby="devices"><h2 id="devices">${words.devices}</h2><p class="about">${words.devicesAbout}</p>
${devices}</section>
${addressSection(request, parts)}
<section aria-labelledby="password"><h2 id="password">${words.password}</h2><p class="about">${words.passwordAbout}</p>
<p><a class="button quiet" href="${view.url("/account/password")}">${words.changePassword}</a></p></section>
${await connectedSection(request, { ...parts, time })}
${await applicationsSection(request, { ...parts, time })}
<section aria-labelledby="factors"><h2 id="factors">${texts.factors.account.title}</h2><p class="about">${texts.factors.account.about}</p>
<p><a class="button quiet" href="${view.url("/account/factors")}">${texts.factors.account.open}</a></p></section>
<section aria-labelledby="events"><h2 id="events">${words.events}</h2><p class="about">${words.eventsAbout}</p>
${eventList(events, { deviceOf: (id) => knownName(names.get(id)?.name), places, time }) ?? html`<p>${words.noEvents}</p>`}</section>`;
  return view.page({ title: words.title, body, person, isWide: true });
}

/** "You signed in on Unknown device" says less than "You signed in". */
const knownName = (name: string | undefined) => (name === texts.account.unknownDevice ? undefined : name);

function avatar({ name, username }: User): Html {
  const [first = ""] = (name ?? username).toUpperCase();
  return html`<span class="avatar" aria-hidden="true">${first}</span>`;
}

function whoIs({ name, username, email, emailVerified }: User): Html {
  const parts = [
    name !== undefined && html`<strong>${name}</strong>`,
    html`<span>${username}</span>`,
    email !== undefined &&
      html`<span>${email}${!emailVerified && ` (${texts.account.emailUnverified})`}</span>`,
  ];
  return html`<p class="muted names">${parts}</p>`;
}
