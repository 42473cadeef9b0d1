import { createHmac } from "node:crypto";
import type { Connection, Reply, Request } from "./connection.ts";
import { complain, generationOf, type Ledger, note, type SessionRecord } from "./ledger.ts";

/*
 * How a client of docs/refresh-tokens.md asks: when no reply comes, or a 5xx, it asks the same again, with the same
 * token and the same attempt key, until somebody answers.
 */

export interface AskingOptions {
  readonly ledger: Ledger;
  /** Whether a node is being stopped in order, and nothing else is wrong. */
  readonly isDraining: () => boolean;
  /** Called when a client never got through: nothing more is to be learnt from this run. */
  readonly giveUp: (why: string) => void;
}

export type Asking = ReturnType<typeof createAsking>;

export type Refreshed =
  | { readonly outcome: "token"; readonly token: string; readonly accessToken: string }
  | { readonly outcome: "refused"; readonly reason: string }
  | { readonly outcome: "gave up" };

const answerSecondsMax = 90;
/** No stall, no frozen node holds a request longer, and then lets it go on. */
const lateSeconds = 4;
/** sessions/recent.ts: so many replacements a row remembers. */
const remembered = 4;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export function createAsking({ ledger, isDraining, giveUp }: AskingOptions) {
  const { counts } = ledger;

  /** Until there is an answer other than 5xx. */
  async function ask(
    connection: Connection,
    request: Request,
    { of, onUnanswered }: { of?: SessionRecord | undefined; onUnanswered?: () => void } = {},
  ): Promise<Reply | undefined> {
    const giveUpAt = performance.now() + answerSecondsMax * 1000;
    for (let tries = 0; performance.now() < giveUpAt; tries++) {
      counts.requests++;
      const inDrain = isDraining();
      const reply = await connection.exchange(request);
      if (reply === undefined) {
        counts.unanswered++;
        if (inDrain && isDraining()) counts.unansweredWhileDraining++;
        onUnanswered?.();
      } else if (reply.status === 503) counts.busy++;
      else if (reply.status < 500) return reply;
      else {
        const what = `${request.method} ${request.path} answered ${reply.status}: ${reply.body.slice(0, 300)}`;
        complain(ledger, { kind: "wrong answer", what, ...(of && { of }) });
      }
      if (of) note(of, `${request.path}: ${reply?.status ?? "no reply"}, again`);
      await pause(Math.min(500, 10 * 2 ** tries));
    }
    const what = `${request.method} ${request.path} had no answer for ${answerSecondsMax} s`;
    complain(ledger, { kind: "never answered", what, ...(of && { of }) });
    giveUp(what);
    return undefined;
  }

  return {
    ask,

    /** One token, presented until it is answered. @param deviceSecret undefined: who asks has none, as a thief */
    async refresh(
      connection: Connection,
      session: SessionRecord,
      presented: { token: string; deviceSecret: Buffer | undefined },
    ): Promise<Refreshed> {
      const { token, deviceSecret } = presented;
      const key = deviceSecret && createHmac("sha256", deviceSecret).update(token).digest("base64url");
      const fields = key === undefined ? "" : `Idempotency-Key: ${key}\r\n`;
      const generation = generationOf(token);
      const who = deviceSecret === undefined ? "thief" : "owner";
      const { held } = session;
      const onUnanswered = () => {
        const now = performance.now();
        const most = generation + remembered;
        held.generationMax = now < held.until ? Math.min(held.generationMax, most) : most;
        held.until = now + lateSeconds * 1000;
      };
      const request = {
        method: "POST",
        path: "/refresh",
        fields,
        body: `{"refreshToken":"${token}"}`,
      } as const;
      const reply = await ask(connection, request, { of: session, onUnanswered });
      if (reply === undefined) return { outcome: "gave up" };
      if (reply.status === 200) {
        const { refreshToken, accessToken } = JSON.parse(reply.body);
        counts.turns++;
        note(session, `${who}: generation ${generation}, was given ${generationOf(refreshToken)}`);
        return { outcome: "token", token: refreshToken, accessToken };
      }
      const reason = reasonIn(reply);
      note(session, `${who}: generation ${generation}, was refused: ${reply.status} ${reason}`);
      return { outcome: "refused", reason };
    },
  };
}

export function reasonIn({ status, body }: Reply): string {
  try {
    const { error, reason } = JSON.parse(body);
    return String(reason ?? error);
  } catch {
    return `${status} ${body.slice(0, 100)}`;
  }
}

/** Whether another turn is one too many while a late copy of an earlier request may still arrive. */
export const mustRest = ({ held, generation }: SessionRecord): boolean =>
  performance.now() < held.until && generation >= held.generationMax;
