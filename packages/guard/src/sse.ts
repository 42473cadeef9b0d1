/** A parser of server-sent events (HTML Living Standard §9.2.6, "Interpreting an event stream"). */

export type ServerSentEvent = {
  /** "message" when the stream named none. */
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
};

export type EventStreamParser = {
  /** @throws Error when a line or an event passes its bound; the stream is of no use afterwards. */
  push(chunk: Uint8Array): void;
};

export type EventStreamHandlers = {
  readonly event: (event: ServerSentEvent) => void;
  /** The server's wish for the pause before a new connection, in milliseconds. */
  readonly retry?: (milliseconds: number) => void;
};

/** Longest line, in characters. */
export const lineCharactersMax = 1_000_000;
/** Longest data of one event, in characters: a snapshot of a million entries, line by line. */
const eventCharactersMax = 200_000_000;

const lineEnd = /[\r\n]/g;

/** Makes a parser; bytes may be cut anywhere, within a character or a line end too. */
export function createEventStreamParser(handlers: EventStreamHandlers): EventStreamParser {
  // Strips one leading byte order mark, as the standard asks, and joins characters cut in two.
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  let endedWithCarriageReturn = false;
  let type = "";
  let data: string[] = [];
  let dataCharacters = 0;
  let lastEventId = "";

  function dispatch(): void {
    // "If the data buffer is an empty string, set the data buffer and the event type buffer to the empty string and
    // return." One empty data line is not that: it leaves a line feed in the buffer.
    if (data.length > 0) {
      handlers.event({ type: type === "" ? "message" : type, data: data.join("\n"), lastEventId });
    }
    type = "";
    data = [];
    dataCharacters = 0;
  }

  function field(name: string, value: string): void {
    switch (name) {
      case "event":
        type = value;
        break;
      case "data":
        dataCharacters += value.length + 1;
        if (dataCharacters > eventCharactersMax) throw new Error("an event of the stream is too long");
        data.push(value);
        break;
      case "id":
        if (!value.includes("\0")) lastEventId = value;
        break;
      case "retry":
        if (/^[0-9]{1,10}$/.test(value)) handlers.retry?.(Number(value));
        break;
    }
  }

  function line(text: string): void {
    if (text.length > lineCharactersMax) throw new Error("a line of the stream is too long");
    const colon = text.indexOf(":");
    if (text === "") dispatch();
    else if (colon === -1) field(text, "");
    // A line that starts with a colon is a comment.
    else if (colon > 0)
      field(text.slice(0, colon), text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1));
  }

  return {
    push(chunk) {
      let text = decoder.decode(chunk, { stream: true });
      if (text === "") return;
      // A CR ended the last line already; the LF that follows belongs to it.
      if (endedWithCarriageReturn && text[0] === "\n") text = text.slice(1);
      endedWithCarriageReturn = false;
      let start = 0;
      lineEnd.lastIndex = 0;
      for (let found = lineEnd.exec(text); found !== null; found = lineEnd.exec(text)) {
        line(rest + text.slice(start, found.index));
        rest = "";
        start = found.index + 1;
        if (found[0] === "\r") {
          if (start === text.length) endedWithCarriageReturn = true;
          else if (text[start] === "\n") start++;
        }
        lineEnd.lastIndex = start;
      }
      rest += text.slice(start);
      if (rest.length > lineCharactersMax) throw new Error("a line of the stream is too long");
    },
  };
}
