import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { CrossSite } from "../http/cross-site.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { type Proofs, proofAbout } from "../http/proofs.ts";
import type { Metrics } from "../observability/metrics.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Session } from "../sessions/session.ts";
import type { createSignIn } from "../users/sign-in.ts";
import { type ArrivedParts, answerArrived, arrivedRefusals } from "./arrived.ts";
import { cookieLoginReply, loginReply } from "./schemas.ts";
import { FIRST_PARTY_CLIENT } from "./tokens.ts";

/** Text that a person may have typed and another will read: no control characters, no half surrogate pairs. */
export const shownText = (charactersMax: number) =>
  z
    .string()
    .max(charactersMax)
    .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), "takes text without control characters");

const body = z.object({
  username: z.string().min(1).max(limits.emailCharactersMax),
  password: z.string().min(1).max(limits.passwordBytesMax),
  device: shownText(limits.deviceCharactersMax).optional(),
  mode: z.enum(["token", "cookie"], 'takes "token" or "cookie"').optional(),
});

interface Dependencies extends ArrivedParts {
  readonly signIn: ReturnType<typeof createSignIn>;
  readonly metrics: Pick<Metrics, "signedIn">;
  readonly browserSessions: BrowserSessions;
  readonly crossSite: CrossSite;
  readonly proofs: Proofs;
}

/**
 * The session that this browser has now. OWASP ASVS 5.0 §7.2.4: a sign-in makes a new one and ends the one before.
 * A page of another site must not sign people in either: they would use an account that somebody else reads.
 */
export async function sessionBefore(
  request: EndpointRequest,
  { browserSessions, crossSite }: Pick<Dependencies, "browserSessions" | "crossSite">,
): Promise<Session | undefined> {
  if (browserSessions.valueIn(request) !== undefined || crossSite.siteOf(request) === "cross") {
    crossSite.check(request);
  }
  const found = await browserSessions.find(request);
  return found.outcome === "found" ? found.session : undefined;
}

/** POST /login: a password for a session. */
export function loginEndpoint(dependencies: Dependencies): Endpoint {
  const { signIn, metrics, proofs } = dependencies;

  async function handle(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    const { username, password, device, mode } = request.body;
    const { ip, userAgent } = request;
    const byCookie = mode === "cookie";
    const replaces = byCookie ? await sessionBefore(request, dependencies) : undefined;
    // Before the password: a client whose proof lacks the nonce comes again, and that is no attempt.
    const keyThumbprint = byCookie ? undefined : await proofs.thumbprintOf(request);
    const result = await signIn({
      username,
      password,
      device,
      ip,
      userAgent,
      clientId: FIRST_PARTY_CLIENT,
      kind: byCookie ? "browser" : "app",
      replaces,
      keyThumbprint,
    });
    metrics.signedIn(result.outcome);
    switch (result.outcome) {
      case "invalid_credentials":
        throw new Refusal("invalid_credentials");
      case "too_many_attempts":
        throw new Refusal("too_many_attempts", {
          headers: { "Retry-After": String(result.retryAfterSeconds) },
        });
      case "busy":
        throw new Refusal("busy", { headers: { "Retry-After": "2" } });
      case "signed_in":
      case "second_factor_required":
        return answerArrived(result, dependencies);
      default:
        return unreachable(result);
    }
  }

  return {
    method: "POST",
    path: "/login",
    summary: "Signs in with a username or e-mail address and a password",
    access: "public",
    body,
    success: { status: 200, about: "Signed in", schema: z.union([loginReply, cookieLoginReply]) },
    refusals: [
      "invalid_credentials",
      ...arrivedRefusals,
      "too_many_attempts",
      "busy",
      "cross_site_request",
      "invalid_dpop_proof",
      "use_dpop_nonce",
    ],
    requestHeaders: { DPoP: proofAbout },
    handle,
  };
}
