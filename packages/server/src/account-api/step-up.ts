import { z } from "zod";
import type { ResolvedSettings } from "../config.ts";
import { Refusal } from "../errors.ts";
import { invalidToken } from "../http/authenticate.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Answer, Endpoint, UserRequest } from "../http/endpoint.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import { acrOf } from "../sessions/acr.ts";
import type { RightsReader } from "../sessions/rights.ts";
import type { AccessTokens } from "../tokens/access-token.ts";
import type { Factors } from "../users/factors/factors.ts";
import type { Users } from "../users/users.ts";
import { passkeyAnswer } from "./passkeys.ts";
import { mintFor } from "./tokens.ts";

const body = z.object({
  password: z.string().min(1).max(limits.passwordBytesMax).optional(),
  code: z.string().min(1).max(64).optional(),
  passkey: passkeyAnswer.optional(),
});

interface Dependencies {
  readonly factors: Pick<Factors, "stepUp">;
  readonly users: Pick<Users, "findById">;
  readonly browserSessions: Pick<BrowserSessions, "setCookie">;
  readonly accessTokens: AccessTokens;
  readonly rights: RightsReader;
  readonly settings: ResolvedSettings;
}

/** POST /step-up: a session proves again who it belongs to, for APIs that want a recent or a stronger proof. */
export function stepUpEndpoints(dependencies: Dependencies): Endpoint[] {
  const { factors, users, browserSessions } = dependencies;

  async function handle(request: UserRequest<z.infer<typeof body>>): Promise<Answer> {
    const { session, ip } = request;
    const user = await users.findById(session.userId);
    if (user === undefined) throw invalidToken();
    const proven = await factors.stepUp.prove({ session, user, ip, ...request.body });
    switch (proven.outcome) {
      case "proven":
        break;
      case "wrong_proof":
        throw new Refusal("wrong_proof");
      case "busy":
        throw new Refusal("busy", { headers: { "Retry-After": "2" } });
      case "too_many_attempts":
        throw new Refusal("too_many_attempts", {
          headers: { "Retry-After": String(proven.retryAfterSeconds) },
        });
      default:
        return unreachable(proven);
    }
    const { session: now, credential } = proven;
    const facts = { ...now, sessionId: now.id, rights: await dependencies.rights.of(now.id) };
    const json = { ...mintFor(facts, dependencies), sessionId: now.id, acr: acrOf(now.amr) };
    if (credential === undefined) return { status: 200, json };
    return {
      status: 200,
      json,
      headers: { "Set-Cookie": browserSessions.setCookie({ session: now, credential }) },
    };
  }

  async function challenge({ session }: UserRequest): Promise<Answer> {
    const options = await factors.stepUp.passkeyOptions(session);
    if (options === undefined) {
      throw new Refusal("invalid_passkey", { description: "This account has no passkey." });
    }
    return { status: 200, json: { options } };
  }

  return [
    {
      method: "POST",
      path: "/step-up",
      summary:
        "Proves again who the session belongs to: auth_time, amr and acr of its tokens are those of now",
      access: "user",
      body,
      success: {
        status: 200,
        about: "Proven; a browser's session goes on under a new id and cookie",
        schema: z.object({
          accessToken: z.string().describe("A JWT as in RFC 9068, for the Authorization header"),
          tokenType: z.enum(["Bearer", "DPoP"]),
          expiresIn: z.int().describe("Seconds until the access token expires"),
          sessionId: z.uuid(),
          acr: z.string().describe("urn:keyturn:1fa or urn:keyturn:2fa"),
        }),
      },
      refusals: ["wrong_proof", "too_many_attempts", "busy"],
      handle,
    },
    {
      method: "POST",
      path: "/step-up/challenge",
      summary: "What to ask navigator.credentials.get for, to prove it by a passkey",
      access: "user",
      success: {
        status: 200,
        about: `Good for ${limits.challengeMinutesMax} minutes`,
        schema: z.object({ options: z.record(z.string(), z.unknown()) }),
      },
      refusals: ["invalid_passkey"],
      handle: challenge,
    },
  ];
}
