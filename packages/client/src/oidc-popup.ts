import type { ModeParts } from "./mode.ts";
import type { Answer, Leaving } from "./oidc-signing.ts";

/**
 * A sign-in in a window of its own. What comes back goes from the callback page to the page that waits, by a channel
 * of this origin and by `postMessage`: a provider's page may have cut the windows apart (Cross-Origin-Opener-Policy),
 * and then only the channel is left. Both are of this origin alone. Where nobody takes it, the window signs in itself.
 */

export interface Popup {
  readonly closed: boolean;
  readonly location: { href: string };
  close(): void;
}

interface Message {
  readonly state?: unknown;
  readonly answer?: Answer;
  readonly taken?: unknown;
}

interface PageMessage {
  readonly data: unknown;
  readonly origin: string;
  readonly source: { postMessage(message: unknown, origin: string): void } | null;
}

interface Page {
  readonly opener?: PageMessage["source"];
  readonly document?: { hasFocus(): boolean };
  addEventListener?(
    event: "message",
    listener: (message: PageMessage) => void,
    how: { signal: AbortSignal },
  ): void;
}

const page = globalThis as unknown as Page;
const takenWithinMs = 2000;
const lookPauseMs = 500;
/** A window that a provider has cut off looks closed; it is believed when this page has been in front so often. */
const closedLooks = 4;

type Hear = (message: Message, reply: (message: Message) => void) => void;

/** Both ways at once; `tell` speaks to whoever listens. */
function listen({ settings, runtime }: ModeParts, hear: Hear, stopped: AbortSignal) {
  const origin = runtime.pageOrigin ?? "";
  const channel = runtime.openChannel(`keyturn-popup:${settings.issuer}`);
  const tell = (message: Message) => channel?.postMessage(message);
  const heard = (data: unknown, reply: (message: Message) => void) => {
    if (typeof data === "object" && data !== null) hear(data as Message, reply);
  };
  if (channel) channel.onmessage = ({ data }) => heard(data, tell);
  page.addEventListener?.(
    "message",
    ({ data, origin: from, source }) => {
      // Anybody who has this window can send to it.
      if (from === origin) heard(data, (message) => source?.postMessage(message, origin));
    },
    { signal: stopped },
  );
  stopped.addEventListener("abort", () => channel?.close());
  return (message: Message) => {
    tell(message);
    page.opener?.postMessage(message, origin);
  };
}

/** On the callback page: whether the page that waits has taken the answer. */
export async function handOver(parts: ModeParts, answer: Answer): Promise<boolean> {
  const { runtime, closed } = parts;
  const over = new AbortController();
  let isTaken = false;
  const { state } = answer;
  const tell = listen(
    parts,
    (message) => {
      if (message.state !== state || message.taken !== true) return;
      isTaken = true;
      over.abort();
    },
    over.signal,
  );
  tell({ state, answer });
  await runtime.sleep(takenWithinMs, over.signal, closed);
  over.abort();
  return isTaken;
}

export interface Waiting {
  readonly popup: Popup;
  readonly leaving: Leaving;
  /** Whether the sign-in is still to be finished: the window may have done it itself. */
  readonly isUnderWay: () => Promise<boolean>;
}

/**
 * On the page that waits: what came back; undefined when the window has finished it.
 *
 * @throws KeyturnError `popup_closed`, `closed`.
 */
export async function waitForAnswer(parts: ModeParts, waiting: Waiting): Promise<Answer | undefined> {
  const { runtime, closed, tools } = parts;
  const KeyturnError = tools[7];
  const { popup, leaving, isUnderWay } = waiting;
  const { state } = leaving;
  const over = new AbortController();
  let answer: Answer | undefined;
  listen(
    parts,
    (message, reply) => {
      if (message.state !== state || message.answer?.state !== state) return;
      answer ??= message.answer;
      reply({ state, taken: true });
      over.abort();
    },
    over.signal,
  );
  popup.location.href = leaving.url;
  try {
    for (let looks = 0; answer === undefined; ) {
      await runtime.sleep(lookPauseMs, over.signal, closed);
      if (closed.aborted) throw new KeyturnError("closed", "This client was closed");
      if (answer !== undefined) break;
      if (!(await isUnderWay())) return undefined;
      looks = popup.closed && (page.document?.hasFocus() ?? true) ? looks + 1 : 0;
      if (looks >= closedLooks)
        throw new KeyturnError("popup_closed", "The window was closed before anybody signed in");
    }
    return answer;
  } finally {
    over.abort();
  }
}
