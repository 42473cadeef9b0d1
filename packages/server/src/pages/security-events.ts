import type { AuditEventType, StoredAuditEvent } from "../audit/events.ts";
import { limits } from "../primitives/limits.ts";
import type { EndReason } from "../sessions/end.ts";
import { eventIcons } from "./icons.ts";
import { texts } from "./texts.ts";
import { factLine, type Html, html } from "./view.ts";

const weights: Readonly<Partial<Record<AuditEventType, keyof typeof eventIcons>>> = {
  "session.started": "good",
  "session.reuse_detected": "warning",
  "code.reused": "warning",
  "sign_in.failed": "warning",
  "sign_in.limited": "warning",
  "recovery_code.used": "warning",
  "passkey.counter_went_back": "warning",
  "second_factor.failed": "warning",
  "second_factor.limited": "warning",
};

/** What a list of events asks for besides the events. */
interface Telling {
  /** What the device of a session is called, if that is still known. */
  readonly deviceOf: (sessionId: string) => string | undefined;
  readonly places: ReadonlyMap<string, string>;
  /** How a moment is shown. */
  readonly time: (milliseconds: number) => Html;
}

/** Events that say the same one after the other are one line, with the time of the newest. */
interface Line {
  readonly event: StoredAuditEvent;
  readonly sentence: string;
  count: number;
}

/** What happened to an account, for its owner: the events that `texts` has a sentence for. */
export function eventList(events: readonly StoredAuditEvent[], telling: Telling): Html | undefined {
  const lines = linesOf(events, telling.deviceOf);
  if (lines.length === 0) return undefined;
  return html`<ol class="rows events">${lines.map((line) => item(line, telling))}</ol>`;
}

function linesOf(events: readonly StoredAuditEvent[], deviceOf: Telling["deviceOf"]): Line[] {
  const lines: Line[] = [];
  for (const event of events) {
    const { type, actor, sessionId, detail, ip } = event;
    // What an application is let in to is told when it is agreed to.
    if (type === "session.started" && detail?.kind === "client") continue;
    const sentence = texts.account.event(type, {
      byOperator: actor === "operator",
      device: sessionId === undefined ? undefined : deviceOf(sessionId),
      endReason: detail?.reason as EndReason | undefined,
      isByMail: detail?.reason === "wrong_mail_code",
    });
    if (sentence === undefined) continue;
    const last = lines.at(-1);
    if (last?.sentence === sentence && last.event.ip === ip) last.count++;
    else if (lines.length === limits.securityEventsShownMax) break;
    else lines.push({ event, sentence, count: 1 });
  }
  return lines;
}

function item({ event, sentence, count }: Line, { places, time }: Telling): Html {
  const { type, at, ip } = event;
  const weight = weights[type] ?? "plain";
  const place = ip === undefined ? undefined : places.get(ip);
  const facts = [
    count > 1 && texts.account.times(count),
    time(at),
    place,
    ip !== undefined && html`<span class="ip">${ip}</span>`,
  ];
  return html`<li class="${weight}">${eventIcons[weight]}<div><p>${sentence}</p>
<p class="muted">${factLine(facts)}</p></div></li>`;
}
