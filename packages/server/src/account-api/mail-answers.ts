import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { Answer, EndpointRequest } from "../http/endpoint.ts";
import { limits } from "../primitives/limits.ts";
import type { AskedFrom, MailAsked } from "../users/mailing/asking.ts";
import type { Mailing } from "../users/mailing/mailing.ts";

/** An address as somebody types it. */
export const typedEmail = z.string().min(3).max(limits.emailCharactersMax);
/** The secret of a link; the form of the digits is looked at together with what they are. */
export const linkToken = z.string().min(1).max(200);
export const digits = z.string().min(1).max(32);

/** @throws Refusal mail_off */
export function needsMail({ isOn }: Pick<Mailing, "isOn">): void {
  if (!isOn) throw new Refusal("mail_off");
}

export const askedFrom = ({ ip, header }: Pick<EndpointRequest, "ip" | "header">): AskedFrom => ({
  ip,
  languages: header("accept-language"),
});

export const tooManyAttempts = ({ retryAfterSeconds }: { retryAfterSeconds: number }): Refusal =>
  new Refusal("too_many_attempts", { headers: { "Retry-After": String(retryAfterSeconds) } });

/** What is answered to whoever asks for a letter, whether or not one goes out. @throws Refusal */
export function answerAsked(asked: Exclude<MailAsked, { outcome: "asked" }>): never {
  if (asked.outcome === "too_many_attempts") throw tooManyAttempts(asked);
  throw new Refusal("invalid_request", { description: `${asked.field}: ${asked.problem}` });
}

export const accepted: Answer = { status: 202, json: {} };
