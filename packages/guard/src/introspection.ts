import { type Fetch, fetchJson } from "./bounded-fetch.ts";
import type { Emit } from "./events.ts";
import { authorization, type ResourceCredentials } from "./feed-request.ts";
import { createGenerations } from "./generations.ts";
import type { MaybePromise } from "./maybe-promise.ts";

/** What the issuer says that a token is worth at the moment; `unknown` when it did not say. */
export type Worth = "active" | "inactive" | "unknown";

export type Introspection = {
  /** Asks about a token whose signature was found good. Never rejects. */
  ask(token: string): MaybePromise<Worth>;
};

export type IntrospectionParts = {
  /** Rejects while the address cannot be learnt. */
  readonly url: () => Promise<string>;
  readonly resource: ResourceCredentials;
  readonly fetch: Fetch;
  readonly emit: Emit;
  /** Milliseconds that never go back. */
  readonly elapsedMs: () => number;
};

/** A revocation is to be felt within a second: an answer is as old as it is, and the next one takes its time. */
const rememberedMs = 750;
/** Answers kept; those that are forgotten before their time are asked for anew. */
const rememberedMax = 10_000;
/** Requests of the API wait for this. */
const timeoutMs = 2000;
/** Beyond this an API under load would lay a slow issuer low; further requests are told to come back. */
const askingMax = 64;
/** After an issuer that did not answer nobody is made to wait for the same again. */
const pauseMs = 1000;

type Answer = { readonly worth: Worth; readonly untilMs: number };

/**
 * Asks the issuer about tokens (RFC 7662), for while the feed is broken. RFC 7662 §4: "a shorter cache timeout will
 * provide the protected resource with more up-to-date information [...] at the cost of increased network traffic".
 */
export function createIntrospection(parts: IntrospectionParts): Introspection {
  const { resource, fetch, emit, elapsedMs } = parts;
  const answers = createGenerations<Answer>(rememberedMax);
  const asking = new Map<string, Promise<Worth>>();
  let pausedUntilMs = Number.NEGATIVE_INFINITY;
  let problem: string | undefined;

  function failed(message: string, pause = pauseMs): "unknown" {
    pausedUntilMs = elapsedMs() + pause;
    // Once, and not for every request that meets the same.
    if (problem !== message) emit({ type: "introspection_failed", message });
    problem = message;
    return "unknown";
  }

  async function request(token: string): Promise<Worth> {
    try {
      const url = await parts.url();
      const { status, body } = await fetchJson(fetch, url, {
        method: "POST",
        headers: {
          authorization: authorization(resource),
          "content-type": "application/x-www-form-urlencoded",
        },
        body: `token=${encodeURIComponent(token)}&token_type_hint=access_token`,
        timeoutMs,
      });
      if (status === 401 || status === 403)
        return failed(`${url} answered ${status}: it does not know the guard's \`resource\`.`);
      const active = typeof body === "object" && body !== null && "active" in body ? body.active : undefined;
      if (status !== 200 || typeof active !== "boolean") {
        // 400 is about this one question (a token that is too long for a form): the others are not made to wait.
        const pause = status === 400 ? 0 : pauseMs;
        return failed(`${url} answered ${status} and did not say what the token is worth.`, pause);
      }
      problem = undefined;
      return active ? "active" : "inactive";
    } catch (cause) {
      return failed(cause instanceof Error ? cause.message : String(cause));
    }
  }

  async function askAndRemember(token: string): Promise<Worth> {
    // Its time runs from the question: the answer may be as old as that.
    const untilMs = elapsedMs() + rememberedMs;
    const worth = await request(token);
    asking.delete(token);
    if (worth === "unknown") return worth;
    answers.set(token, { worth, untilMs });
    return worth;
  }

  return {
    ask(token) {
      const now = elapsedMs();
      const known = answers.get(token);
      if (known !== undefined && now < known.untilMs) return known.worth;
      const underWay = asking.get(token);
      if (underWay !== undefined) return underWay;
      if (now < pausedUntilMs || asking.size >= askingMax) return "unknown";
      const question = askAndRemember(token);
      asking.set(token, question);
      return question;
    },
  };
}
