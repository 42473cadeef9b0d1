import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { CrossSite } from "../http/cross-site.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { type Proofs, proofAbout } from "../http/proofs.ts";
import type { Metrics } from "../observability/metrics.ts";
import { limits } from "../primitives/limits.ts";
import type { Factors } from "../users/factors/factors.ts";
import { type ArrivedParts, answerArrived } from "./arrived.ts";
import { sessionBefore, shownText } from "./login.ts";
import { cookieLoginReply, loginReply } from "./schemas.ts";
import { FIRST_PARTY_CLIENT } from "./tokens.ts";

const part = z.string().max(limits.passkeyResponseCharactersMax);

/** WebAuthn Level 3 §5.1.8, AuthenticationResponseJSON: what it means is for the verifier to say. */
export const passkeyAnswer = z.object({
  id: part,
  rawId: part,
  type: z.literal("public-key"),
  response: z.object({
    clientDataJSON: part,
    authenticatorData: part,
    signature: part,
    userHandle: part.nullish(),
  }),
  clientExtensionResults: z.record(z.string(), z.unknown()).default({}),
});

/** RegistrationResponseJSON, the same of navigator.credentials.create. */
export const passkeyCreated = z.object({
  id: part,
  rawId: part,
  type: z.literal("public-key"),
  response: z.object({
    clientDataJSON: part,
    attestationObject: part,
    transports: z.array(z.string().max(20)).max(10).optional(),
  }),
  clientExtensionResults: z.record(z.string(), z.unknown()).default({}),
});

const body = z.object({
  passkey: passkeyAnswer,
  device: shownText(limits.deviceCharactersMax).optional(),
  mode: z.enum(["token", "cookie"], 'takes "token" or "cookie"').optional(),
});

interface Dependencies extends ArrivedParts {
  readonly factors: Pick<Factors, "passkeyOptions" | "signInByPasskey">;
  readonly browserSessions: BrowserSessions;
  readonly crossSite: CrossSite;
  readonly proofs: Proofs;
  readonly metrics: Pick<Metrics, "signedIn">;
  /** What the browser of a request is known by before anybody is signed in; empty for what is no browser. */
  readonly browserOf: (request: { header(name: string): string | undefined }) => string;
}

/** POST /passkeys/challenge and POST /login/passkey. */
export function passkeyEndpoints(dependencies: Dependencies): Endpoint[] {
  const { factors, proofs, metrics, browserOf } = dependencies;

  async function challenge(request: EndpointRequest): Promise<Answer> {
    return { status: 200, json: { options: await factors.passkeyOptions(browserOf(request)) } };
  }

  async function signIn(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    const { passkey, device, mode } = request.body;
    const { ip, userAgent } = request;
    const byCookie = mode === "cookie";
    const arrived = await factors.signInByPasskey(passkey, {
      owner: browserOf(request),
      clientId: FIRST_PARTY_CLIENT,
      kind: byCookie ? "browser" : "app",
      replaces: byCookie ? await sessionBefore(request, dependencies) : undefined,
      keyThumbprint: byCookie ? undefined : await proofs.thumbprintOf(request),
      device,
      ip,
      userAgent,
    });
    metrics.signedIn(arrived?.outcome ?? "invalid_passkey");
    if (arrived === undefined) throw new Refusal("invalid_passkey");
    return answerArrived(arrived, dependencies);
  }

  return [
    {
      method: "POST",
      path: "/passkeys/challenge",
      summary: "What to ask navigator.credentials.get for, to sign in without a name",
      access: "public",
      success: {
        status: 200,
        about: `Good for ${limits.challengeMinutesMax} minutes, once, and for this browser if it has been to /sign-in`,
        schema: z.object({
          options: z.record(z.string(), z.unknown()).describe("PublicKeyCredentialRequestOptionsJSON"),
        }),
      },
      refusals: [],
      handle: challenge,
    },
    {
      method: "POST",
      path: "/login/passkey",
      summary: "Signs in by a passkey alone: it has verified its user, and counts as two factors",
      access: "public",
      body,
      success: { status: 200, about: "Signed in", schema: z.union([loginReply, cookieLoginReply]) },
      refusals: ["invalid_passkey", "cross_site_request", "invalid_dpop_proof", "use_dpop_nonce"],
      requestHeaders: { DPoP: proofAbout },
      handle: signIn,
    },
  ];
}
