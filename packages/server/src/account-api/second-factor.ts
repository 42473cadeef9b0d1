import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { CrossSite } from "../http/cross-site.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { type Proofs, proofAbout } from "../http/proofs.ts";
import type { Metrics } from "../observability/metrics.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Factors } from "../users/factors/factors.ts";
import { ownerOfTicket } from "../users/factors/second-step.ts";
import { type ArrivedParts, answerArrived } from "./arrived.ts";
import { sessionBefore } from "./login.ts";
import { passkeyAnswer } from "./passkeys.ts";
import { cookieLoginReply, loginReply } from "./schemas.ts";

const ticket = z.string().min(1).max(200);
const code = z.string().min(1).max(64);
const body = z.object({
  ticket,
  code: code.optional(),
  recoveryCode: code.optional(),
  passkey: passkeyAnswer.optional(),
});
const ticketBody = z.object({ ticket });

const enrolmentReply = z.object({
  secret: z.string().describe("Base 32, for an authenticator app"),
  uri: z.string().describe("otpauth://, the same for a QR code"),
});
const challengeReply = z.object({
  options: z.record(z.string(), z.unknown()).describe("For navigator.credentials.get, as JSON"),
});
const recovery = {
  recoveryCodes: z.array(z.string()).optional().describe("After an enrolment: shown this once"),
};

interface Dependencies extends ArrivedParts {
  readonly factors: Pick<Factors, "secondStep" | "requestOptions">;
  readonly browserSessions: BrowserSessions;
  readonly crossSite: CrossSite;
  readonly proofs: Proofs;
  readonly metrics: Pick<Metrics, "signedIn">;
}

/** The second step of a sign-in, whichever way the first one was taken. */
export function secondFactorEndpoints(dependencies: Dependencies): Endpoint[] {
  const { factors, metrics, proofs } = dependencies;
  const { secondStep } = factors;

  async function finish(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    const { ticket, code, recoveryCode, passkey } = request.body;
    const given = [code, recoveryCode, passkey].filter((one) => one !== undefined);
    if (given.length !== 1) {
      throw new Refusal("invalid_request", { description: "Send one of code, recoveryCode and passkey." });
    }
    const waiting = await secondStep.look(ticket);
    if (waiting === undefined) throw new Refusal("invalid_ticket");
    const byCookie = waiting.ticket.arrival.kind === "browser";
    const replaces = byCookie ? await sessionBefore(request, dependencies) : undefined;
    const keyThumbprint = byCookie ? undefined : await proofs.thumbprintOf(request);
    const { ip, userAgent } = request;
    const taken = await secondStep.finish({
      ticket,
      code: code ?? recoveryCode,
      passkey,
      replaces,
      keyThumbprint,
      ip,
      userAgent,
    });
    metrics.signedIn(taken.outcome);
    switch (taken.outcome) {
      case "signed_in": {
        const answer = await answerArrived(taken, dependencies);
        const { recoveryCodes } = taken;
        return recoveryCodes === undefined
          ? answer
          : { ...answer, json: { ...(answer.json as object), recoveryCodes } };
      }
      case "invalid_ticket":
      case "wrong_code":
        throw new Refusal(taken.outcome);
      case "too_many_attempts":
        throw new Refusal("too_many_attempts", {
          headers: { "Retry-After": String(taken.retryAfterSeconds) },
        });
      default:
        return unreachable(taken);
    }
  }

  async function enrol({ body }: EndpointRequest<z.infer<typeof ticketBody>>): Promise<Answer> {
    const pending = await secondStep.beginTotp(body.ticket);
    if (pending === undefined) throw new Refusal("invalid_ticket");
    return { status: 200, json: pending };
  }

  async function challenge({ body }: EndpointRequest<z.infer<typeof ticketBody>>): Promise<Answer> {
    const waiting = await secondStep.look(body.ticket);
    if (waiting === undefined || waiting.owned.passkeys.length === 0) throw new Refusal("invalid_ticket");
    const use = { purpose: "second-factor", owner: ownerOfTicket(waiting.ticket) } as const;
    return { status: 200, json: { options: await factors.requestOptions(use, waiting.user.id) } };
  }

  return [
    {
      method: "POST",
      path: "/login/second-factor",
      summary:
        "Finishes a sign-in that was answered with second_factor_required, by its ticket and one proof",
      access: "public",
      body,
      success: {
        status: 200,
        about: "Signed in: the same reply as that of POST /login",
        schema: z.union([loginReply.extend(recovery), cookieLoginReply.extend(recovery)]),
      },
      refusals: [
        "invalid_ticket",
        "wrong_code",
        "too_many_attempts",
        "cross_site_request",
        "invalid_dpop_proof",
        "use_dpop_nonce",
      ],
      requestHeaders: { DPoP: proofAbout },
      handle: finish,
    },
    {
      method: "POST",
      path: "/login/second-factor/challenge",
      summary: "What to ask navigator.credentials.get for, when a passkey is the second factor",
      access: "public",
      body: ticketBody,
      success: {
        status: 200,
        about: `Good for ${limits.challengeMinutesMax} minutes`,
        schema: challengeReply,
      },
      refusals: ["invalid_ticket"],
      handle: challenge,
    },
    {
      method: "POST",
      path: "/login/enrolment",
      summary:
        "A secret for an authenticator app, for a sign-in answered with second_factor_enrolment_required",
      access: "public",
      body: ticketBody,
      success: {
        status: 200,
        about: "The secret; its first code goes to /login/second-factor",
        schema: enrolmentReply,
      },
      refusals: ["invalid_ticket"],
      handle: enrol,
    },
  ];
}
