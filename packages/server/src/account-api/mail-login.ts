import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { CrossSite } from "../http/cross-site.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { type Proofs, proofAbout } from "../http/proofs.ts";
import type { Metrics } from "../observability/metrics.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Mailing } from "../users/mailing/mailing.ts";
import { type ArrivedParts, answerArrived, arrivedRefusals } from "./arrived.ts";
import { sessionBefore, shownText } from "./login.ts";
import {
  answerAsked,
  askedFrom,
  digits,
  linkToken,
  needsMail,
  tooManyAttempts,
  typedEmail,
} from "./mail-answers.ts";
import { cookieLoginReply, loginReply } from "./schemas.ts";
import { FIRST_PARTY_CLIENT } from "./tokens.ts";

const askBody = z.object({ email: typedEmail });
const confirmBody = z.object({
  ticket: z.string().min(1).max(200).optional(),
  code: digits.optional(),
  token: linkToken.optional(),
  device: shownText(limits.deviceCharactersMax).optional(),
  mode: z.enum(["token", "cookie"], 'takes "token" or "cookie"').optional(),
});

interface Dependencies extends ArrivedParts {
  readonly mailing: Mailing;
  readonly metrics: Pick<Metrics, "signedIn">;
  readonly browserSessions: BrowserSessions;
  readonly crossSite: CrossSite;
  readonly proofs: Proofs;
}

/** POST /login/email and /login/email/confirm: signing in by what a letter carries. */
export function mailLoginEndpoints(dependencies: Dependencies): Endpoint[] {
  const { mailing, metrics, proofs } = dependencies;

  async function ask(request: EndpointRequest<z.infer<typeof askBody>>): Promise<Answer> {
    needsMail(mailing);
    const asked = await mailing.ask.signIn(request.body.email, askedFrom(request));
    if (asked.outcome !== "asked") return answerAsked(asked);
    return { status: 202, json: { ticket: asked.ticket, expiresIn: asked.expiresInSeconds } };
  }

  async function confirm(request: EndpointRequest<z.infer<typeof confirmBody>>): Promise<Answer> {
    needsMail(mailing);
    const { ticket, code, token, device, mode } = request.body;
    const byCode = ticket !== undefined && code !== undefined ? { ticket, digits: code } : undefined;
    const isOneOfThem = token === undefined ? byCode !== undefined : !ticket && !code;
    if (!isOneOfThem) {
      throw new Refusal("invalid_request", { description: "Send ticket and code, or token." });
    }
    const isCookie = mode === "cookie";
    const replaces = isCookie ? await sessionBefore(request, dependencies) : undefined;
    // Before the code: a client whose proof lacks the nonce comes again, and that is no attempt.
    const keyThumbprint = isCookie ? undefined : await proofs.thumbprintOf(request);
    const { ip, userAgent } = request;
    const kind = isCookie ? ("browser" as const) : ("app" as const);
    const arrival = { clientId: FIRST_PARTY_CLIENT, kind, replaces, keyThumbprint, device, ip, userAgent };
    const result =
      byCode === undefined
        ? await mailing.mailSignIn.byLink(token ?? "", arrival)
        : await mailing.mailSignIn.byDigits(byCode, arrival);
    metrics.signedIn(result.outcome);
    switch (result.outcome) {
      case "signed_in":
      case "second_factor_required":
        return answerArrived(result, dependencies);
      case "invalid_mail_code":
        throw new Refusal("invalid_mail_code");
      case "too_many_attempts":
        throw tooManyAttempts(result);
      default:
        return unreachable(result);
    }
  }

  return [
    {
      method: "POST",
      path: "/login/email",
      summary: "Asks for a letter with a link and six digits to sign in with",
      access: "public",
      body: askBody,
      success: {
        status: 202,
        about: "The same, in the same time, whether or not anybody has confirmed that address",
        schema: z.object({
          ticket: z.string().describe("The six digits are good together with it only"),
          expiresIn: z.int().describe("Seconds for which they are good, counted from the sending"),
        }),
      },
      refusals: ["mail_off", "too_many_attempts"],
      handle: ask,
    },
    {
      method: "POST",
      path: "/login/email/confirm",
      summary: "Signs in by ticket and six digits, or by the token of the link",
      access: "public",
      body: confirmBody,
      success: {
        status: 200,
        about: "Signed in: the same reply as that of POST /login",
        schema: z.union([loginReply, cookieLoginReply]),
      },
      refusals: [
        "mail_off",
        "invalid_mail_code",
        ...arrivedRefusals,
        "too_many_attempts",
        "cross_site_request",
        "invalid_dpop_proof",
        "use_dpop_nonce",
      ],
      requestHeaders: { DPoP: proofAbout },
      handle: confirm,
    },
  ];
}
