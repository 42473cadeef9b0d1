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
import { type ArrivedParts, answerArrived } from "./arrived.ts";
import { sessionBefore, shownText } from "./login.ts";
import { cookieLoginReply, loginReply } from "./schemas.ts";
import { FIRST_PARTY_CLIENT } from "./tokens.ts";

const body = z.object({
  username: z.string().min(1).max(limits.emailCharactersMax),
  code: z.string().min(1).max(64),
  device: shownText(limits.deviceCharactersMax).optional(),
  mode: z.enum(["token", "cookie"], 'takes "token" or "cookie"').optional(),
});

interface Dependencies extends ArrivedParts {
  readonly factors: Pick<Factors, "recover">;
  readonly browserSessions: BrowserSessions;
  readonly crossSite: CrossSite;
  readonly proofs: Proofs;
  readonly metrics: Pick<Metrics, "signedIn">;
}

/** POST /login/recovery: a recovery code alone, for whose only way in was a passkey that is lost. */
export function recoveryEndpoint(dependencies: Dependencies): Endpoint {
  const { factors, proofs, metrics } = dependencies;

  async function handle(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    const { username, code, device, mode } = request.body;
    const { ip, userAgent } = request;
    const byCookie = mode === "cookie";
    const recovered = await factors.recover({
      username,
      code,
      clientId: FIRST_PARTY_CLIENT,
      kind: byCookie ? "browser" : "app",
      replaces: byCookie ? await sessionBefore(request, dependencies) : undefined,
      keyThumbprint: byCookie ? undefined : await proofs.thumbprintOf(request),
      device,
      ip,
      userAgent,
    });
    metrics.signedIn(recovered.outcome);
    switch (recovered.outcome) {
      case "recovery_refused":
        throw new Refusal("recovery_refused");
      case "too_many_attempts":
        throw new Refusal("too_many_attempts", {
          headers: { "Retry-After": String(recovered.retryAfterSeconds) },
        });
      case "signed_in":
      case "second_factor_required":
        return answerArrived(recovered, dependencies);
      default:
        return unreachable(recovered);
    }
  }

  return {
    method: "POST",
    path: "/login/recovery",
    summary: "Signs in by a recovery code alone, where a passkey that is lost was the only way to sign in",
    access: "public",
    body,
    success: { status: 200, about: "Signed in", schema: z.union([loginReply, cookieLoginReply]) },
    refusals: [
      "recovery_refused",
      "second_factor_required",
      "too_many_attempts",
      "cross_site_request",
      "invalid_dpop_proof",
      "use_dpop_nonce",
    ],
    requestHeaders: { DPoP: proofAbout },
    handle,
  };
}
