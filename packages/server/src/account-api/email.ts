import { z } from "zod";
import { Refusal } from "../errors.ts";
import { invalidToken } from "../http/authenticate.ts";
import type { Answer, Endpoint, UserRequest } from "../http/endpoint.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Factors } from "../users/factors/factors.ts";
import type { Mailing } from "../users/mailing/mailing.ts";
import type { Users } from "../users/users.ts";
import {
  accepted,
  answerAsked,
  askedFrom,
  digits,
  linkToken,
  needsMail,
  tooManyAttempts,
  typedEmail,
} from "./mail-answers.ts";
import { userReply } from "./schemas.ts";
import { shownUser } from "./user.ts";

const changeBody = z.object({ email: typedEmail });
const confirmBody = z.object({ token: linkToken.optional(), code: digits.optional() });

interface Dependencies {
  readonly mailing: Mailing;
  readonly users: Pick<Users, "findById">;
  readonly factors: Pick<Factors, "ownedBy" | "stepUp">;
}

/** The user's own address: another one, a letter to confirm it, and the confirmation. */
export function emailEndpoints({ mailing, users, factors }: Dependencies): Endpoint[] {
  async function userOf({ session }: UserRequest<unknown>) {
    const user = await users.findById(session.userId);
    if (user === undefined) throw invalidToken();
    return user;
  }

  async function change(request: UserRequest<z.infer<typeof changeBody>>): Promise<Answer> {
    needsMail(mailing);
    const user = await userOf(request);
    // Whoever has the address has the account: by the next forgotten password.
    if (!factors.stepUp.isRecent(request.session, await factors.ownedBy(user.id))) {
      throw new Refusal("step_up_required");
    }
    const asked = await mailing.ask.change(user, request.body.email, askedFrom(request));
    return asked.outcome === "asked" || asked.outcome === "unchanged" ? accepted : answerAsked(asked);
  }

  async function verification(request: UserRequest): Promise<Answer> {
    needsMail(mailing);
    const asked = await mailing.ask.verification(await userOf(request), askedFrom(request));
    switch (asked.outcome) {
      case "asked":
      case "already_verified":
        return accepted;
      case "no_address":
        throw new Refusal("invalid_request", { description: "This account has no e-mail address." });
      case "too_many_attempts":
        throw tooManyAttempts(asked);
      default:
        return unreachable(asked);
    }
  }

  async function confirm(request: UserRequest<z.infer<typeof confirmBody>>): Promise<Answer> {
    needsMail(mailing);
    const { token, code } = request.body;
    if ((token === undefined) === (code === undefined)) {
      throw new Refusal("invalid_request", { description: "Send one of token and code." });
    }
    const by = { userId: request.session.userId, ip: request.ip };
    const confirmed =
      token === undefined
        ? await mailing.addresses.confirmByDigits(code ?? "", by)
        : await mailing.addresses.confirmByLink(token, by);
    switch (confirmed.outcome) {
      case "verified":
      case "changed":
        return { status: 200, json: shownUser(confirmed.user) };
      case "invalid_mail_code":
      case "other_account":
        throw new Refusal("invalid_mail_code");
      case "email_taken":
        throw new Refusal("email_taken");
      case "too_many_attempts":
        throw tooManyAttempts(confirmed);
      default:
        return unreachable(confirmed);
    }
  }

  return [
    {
      method: "POST",
      path: "/email",
      summary: "Asks for another e-mail address: a letter with a link goes to it, and a word to the old one",
      access: "user",
      body: changeBody,
      success: {
        status: 202,
        about: "The same whether or not somebody has that address; nothing is changed until it is confirmed",
        schema: z.object({}),
      },
      refusals: ["mail_off", "step_up_required", "too_many_attempts"],
      handle: change,
    },
    {
      method: "POST",
      path: "/email/verification",
      summary: "Asks for a letter to confirm the user's address once more",
      access: "user",
      success: {
        status: 202,
        about: "It is under way, unless the address is confirmed already",
        schema: z.object({}),
      },
      refusals: ["mail_off", "too_many_attempts"],
      handle: verification,
    },
    {
      method: "POST",
      path: "/email/confirm",
      summary: "Confirms an address by the token of a link, or by the six digits of the letter, as its user",
      access: "user",
      body: confirmBody,
      success: { status: 200, about: "The user, with the address confirmed", schema: userReply },
      refusals: ["mail_off", "invalid_mail_code", "email_taken", "too_many_attempts"],
      handle: confirm,
    },
  ];
}
