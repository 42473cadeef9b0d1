import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Mailing } from "../users/mailing/mailing.ts";
import { accepted, answerAsked, askedFrom, linkToken, needsMail, typedEmail } from "./mail-answers.ts";

const askBody = z.object({ email: typedEmail });
const resetBody = z.object({
  token: linkToken,
  newPassword: z.string().min(1).max(limits.passwordBytesMax),
  endSessions: z.boolean().optional(),
});

/** POST /password/forgotten and /password/reset: a new password by a link to the account's confirmed address. */
export function forgottenEndpoints({ mailing }: { readonly mailing: Mailing }): Endpoint[] {
  async function ask(request: EndpointRequest<z.infer<typeof askBody>>): Promise<Answer> {
    needsMail(mailing);
    const asked = await mailing.ask.reset(request.body.email, askedFrom(request));
    return asked.outcome === "asked" ? accepted : answerAsked(asked);
  }

  async function reset(request: EndpointRequest<z.infer<typeof resetBody>>): Promise<Answer> {
    needsMail(mailing);
    const { token: link, newPassword: password, endSessions = true } = request.body;
    const done = await mailing.passwordReset.reset({ link, password, endSessions, ip: request.ip });
    switch (done.outcome) {
      case "reset":
        return { status: 204 };
      case "invalid_mail_code":
        throw new Refusal("invalid_mail_code");
      case "invalid":
        throw new Refusal("weak_password", { description: done.problem });
      case "busy":
        throw new Refusal("busy", { headers: { "Retry-After": "2" } });
      default:
        return unreachable(done);
    }
  }

  return [
    {
      method: "POST",
      path: "/password/forgotten",
      summary: "Asks for a letter with a link to choose a new password",
      access: "public",
      body: askBody,
      success: {
        status: 202,
        about: "The same, in the same time, whether or not anybody has confirmed that address",
        schema: z.object({}),
      },
      refusals: ["mail_off", "too_many_attempts"],
      handle: ask,
    },
    {
      method: "POST",
      path: "/password/reset",
      summary: "Sets a new password by the token of that link, and by default ends all sessions",
      access: "public",
      body: resetBody,
      success: {
        status: 204,
        about: "Set. Nobody is signed in by it, and a second factor is asked for as always",
      },
      refusals: ["mail_off", "invalid_mail_code", "weak_password", "busy"],
      handle: reset,
    },
  ];
}
