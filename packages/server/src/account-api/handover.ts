import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { type Proofs, proofAbout } from "../http/proofs.ts";
import type { Metrics } from "../observability/metrics.ts";
import { limits } from "../primitives/limits.ts";
import type { Handovers } from "../users/handovers.ts";
import { type ArrivedParts, answerArrived, arrivedRefusals } from "./arrived.ts";
import { shownText } from "./login.ts";
import { loginReply } from "./schemas.ts";
import { FIRST_PARTY_CLIENT } from "./tokens.ts";

const body = z.object({
  code: z.string().min(1).max(limits.handoverCodeCharactersMax),
  verifier: z.string().min(43).max(128),
  device: shownText(limits.deviceCharactersMax).optional(),
});

interface Dependencies extends ArrivedParts {
  readonly handovers: Pick<Handovers, "take">;
  readonly proofs: Proofs;
  readonly metrics: Pick<Metrics, "signedIn">;
}

/** POST /login/handover: an app takes over who has signed in on the pages for it. */
export function handoverEndpoint(dependencies: Dependencies): Endpoint {
  const { handovers, proofs, metrics } = dependencies;

  async function handle(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    const { ip, userAgent } = request;
    const keyThumbprint = await proofs.thumbprintOf(request);
    const arrival = { clientId: FIRST_PARTY_CLIENT, kind: "app", keyThumbprint, ip, userAgent } as const;
    const arrived = await handovers.take({ ...arrival, ...request.body });
    metrics.signedIn(arrived?.outcome ?? "invalid_handover");
    if (arrived === undefined) throw new Refusal("invalid_handover");
    return answerArrived(arrived, dependencies);
  }

  return {
    method: "POST",
    path: "/login/handover",
    summary:
      "Takes over who has signed in on the pages: the code of /sign-in/return, and what it was asked with",
    access: "public",
    body,
    success: { status: 200, about: "Signed in: the same reply as that of POST /login", schema: loginReply },
    refusals: ["invalid_handover", ...arrivedRefusals, "invalid_dpop_proof", "use_dpop_nonce"],
    requestHeaders: { DPoP: proofAbout },
    handle,
  };
}
