import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Answer, Endpoint, UserRequest } from "../http/endpoint.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Factors } from "../users/factors/factors.ts";
import type { Users } from "../users/users.ts";
import { passwordReply } from "./schemas.ts";

const body = z.object({
  currentPassword: z.string().min(1).max(limits.passwordBytesMax),
  newPassword: z.string().min(1).max(limits.passwordBytesMax),
  endOtherSessions: z.boolean().optional(),
});

interface Dependencies {
  readonly users: Pick<Users, "changePassword">;
  readonly browserSessions: BrowserSessions;
  readonly factors: Pick<Factors, "stepUp">;
}

/** POST /password: a user's own change of password. */
export function passwordEndpoint({ users, browserSessions, factors }: Dependencies): Endpoint {
  async function handle(request: UserRequest<z.infer<typeof body>>): Promise<Answer> {
    const { currentPassword, newPassword, endOtherSessions = true } = request.body;
    if (await factors.stepUp.isNeededForPassword(request.session)) throw new Refusal("step_up_required");
    const changed = await users.changePassword({
      session: request.session,
      current: currentPassword,
      password: newPassword,
      endOthers: endOtherSessions,
      ip: request.ip,
    });
    switch (changed.outcome) {
      case "changed": {
        const { session, credential } = changed;
        const json = { sessionId: session.id };
        if (credential === undefined) return { status: 200, json };
        return {
          status: 200,
          json,
          headers: { "Set-Cookie": browserSessions.setCookie({ session, credential }) },
        };
      }
      case "wrong_password":
        throw new Refusal("wrong_password");
      case "invalid":
        throw new Refusal("weak_password", { description: changed.problem });
      case "too_many_attempts":
        throw new Refusal("too_many_attempts", {
          headers: { "Retry-After": String(changed.retryAfterSeconds) },
        });
      case "busy":
        throw new Refusal("busy", { headers: { "Retry-After": "2" } });
      default:
        return unreachable(changed);
    }
  }

  return {
    method: "POST",
    path: "/password",
    summary: "Changes the user's password, and by default ends their other sessions",
    access: "user",
    body,
    success: {
      status: 200,
      about: "Changed; a browser's session goes on under a new id and cookie",
      schema: passwordReply,
    },
    refusals: ["wrong_password", "step_up_required", "weak_password", "too_many_attempts", "busy"],
    handle,
  };
}
