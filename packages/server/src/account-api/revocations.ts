import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { Answer, Endpoint, ResourceRequest } from "../http/endpoint.ts";
import { limits } from "../primitives/limits.ts";
import type { FeedEvent, Revocations } from "../sessions/revocations.ts";

const HEARTBEAT_MILLISECONDS = 1000;
/** A reader that takes nothing for so long that this much waits for it is cut off; it resumes when it can. */
const UNSENT_EVENTS_MAX = 1000;

const entry = z.object({
  seq: z.int(),
  session: z.uuid().optional(),
  client: z.string().optional(),
  all: z.literal(true).optional(),
  before: z.int().describe("Seconds since 1970: tokens minted earlier are meant"),
  until: z.int().describe("Seconds since 1970: from then on the entry may be forgotten"),
  soft: z.literal(true).optional().describe("Such tokens must be exchanged; nobody is signed out"),
});

/** GET /revocations: the feed, as server-sent events or as one JSON snapshot. */
export function revocationsEndpoint({ revocations }: { revocations: Revocations }): Endpoint {
  async function handle(request: ResourceRequest): Promise<Answer> {
    const position = lastEventId(request.header("last-event-id"));
    if (accepts(request.header("accept")) === "stream") return stream(request, position);
    const { seq, entries } = await revocations.snapshot();
    const isKnown = position !== undefined && position <= seq;
    return {
      status: 200,
      json: { seq, entries: isKnown ? entries.filter((one) => one.seq > position) : entries },
    };
  }

  function stream(request: ResourceRequest, position: number | undefined): Answer {
    if (revocations.followers() >= limits.feedReadersMax) {
      throw new Refusal("busy", { headers: { "Retry-After": "5" } });
    }
    const headers = {
      "Content-Type": "text/event-stream; charset=utf-8",
      // Some proxies collect a response before they pass it on, unless they are told not to.
      "X-Accel-Buffering": "no",
    };
    return { status: 200, stream: eventStream({ revocations, position, signal: request.signal() }), headers };
  }

  return {
    method: "GET",
    path: "/revocations",
    summary: "The revocation feed: server-sent events (Accept: text/event-stream), or a snapshot as JSON",
    access: "resource",
    requestHeaders: {
      "Last-Event-ID": { about: "The last sequence number seen: what came after it is sent" },
    },
    success: {
      status: 200,
      about: "Revocations whose tokens may still be alive",
      schema: z.object({ seq: z.int(), entries: z.array(entry) }),
    },
    refusals: ["invalid_request", "invalid_client", "busy", "not_acceptable"],
    streams: true,
    handle,
  };
}

interface Stream {
  readonly revocations: Revocations;
  readonly position: number | undefined;
  readonly signal: AbortSignal;
}

function eventStream({ revocations, position, signal }: Stream): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stop = () => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (text: string) => {
          // Below zero by as many chunks as wait to be taken.
          if ((controller.desiredSize ?? 0) < -UNSENT_EVENTS_MAX) end();
          else controller.enqueue(encoder.encode(text));
        };
        // Ended when it cannot be brought up to date: the reader comes again, with the position it has.
        const unfollow = revocations.follow(
          (event) => send(formatted(event)),
          position,
          () => end(),
        );
        // A guard takes a beat for "there is nothing new": who has not looked must not say so.
        const beat = () => revocations.isCurrent() && send(": heartbeat\n\n");
        const heartbeat = setInterval(beat, HEARTBEAT_MILLISECONDS);
        heartbeat.unref();
        let isOver = false;
        stop = () => {
          isOver = true;
          clearInterval(heartbeat);
          unfollow();
          forget();
        };
        const end = () => {
          if (isOver) return;
          stop();
          controller.close();
        };
        const forget = revocations.onStop(end);
        signal.addEventListener("abort", end, { once: true });
        // At once, so that a proxy and the reader see the head of the answer.
        send("retry: 500\n\n");
      },
      cancel() {
        stop();
      },
    },
    { highWaterMark: 16 },
  );
}

function formatted(event: FeedEvent): string {
  const seq = event.type === "snapshot" ? event.seq : event.entry.seq;
  const data = event.type === "snapshot" ? { seq, entries: event.entries } : event.entry;
  // An entry a line, so that no line grows with their number: readers bound what they take as one.
  const lines = JSON.stringify(data).replaceAll("},{", "},\ndata: {");
  return `event: ${event.type}\nid: ${seq}\ndata: ${lines}\n\n`;
}

/** @throws Refusal invalid_request */
function lastEventId(header: string | undefined): number | undefined {
  if (header === undefined || header === "") return undefined;
  if (!/^\d{1,15}$/.test(header)) {
    throw new Refusal("invalid_request", {
      description: "Last-Event-ID takes a sequence number of this feed.",
    });
  }
  return Number(header);
}

/** @throws Refusal not_acceptable */
function accepts(header: string | undefined): "stream" | "snapshot" {
  if (header === undefined || header.trim() === "") return "snapshot";
  const types = header.split(",").map(wantedType);
  if (types.includes("text/event-stream")) return "stream";
  if (types.some((type) => type === "application/json" || type === "*/*" || type === "application/*"))
    return "snapshot";
  throw new Refusal("not_acceptable", { description: "Ask for text/event-stream or application/json." });
}

/** RFC 9110 §12.4.2: "a value of 0 means not acceptable". Undefined then. */
function wantedType(range: string): string | undefined {
  const [type, ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
  return parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? undefined : type;
}
