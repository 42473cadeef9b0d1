import { z } from "zod";
import type { Settings } from "../config-schema.ts";
import { Refusal } from "../errors.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Users } from "../users/users.ts";
import { shownText } from "./login.ts";
import { userReply } from "./schemas.ts";
import { shownUser } from "./user.ts";

const body = z.object({
  username: z.string().min(1).max(limits.usernameCharactersMax),
  password: z.string().min(1).max(limits.passwordBytesMax),
  email: z.string().min(3).max(limits.emailCharactersMax).optional(),
  name: shownText(limits.nameCharactersMax).optional(),
});

interface Dependencies {
  readonly users: Users;
  readonly settings: Pick<Settings, "registration">;
}

/** POST /register: an account by one's own hand. */
export function registerEndpoint({ users, settings }: Dependencies): Endpoint {
  async function handle(request: EndpointRequest<z.infer<typeof body>>): Promise<Answer> {
    if (settings.registration === "off") throw new Refusal("registration_closed");
    const result = await users.register(request.body, {
      ip: request.ip,
      languages: request.header("accept-language"),
    });
    switch (result.outcome) {
      case "registered":
        return { status: 201, json: { user: shownUser(result.user) } };
      case "registration_refused":
        throw new Refusal("registration_refused");
      case "invalid":
        throw new Refusal(result.field === "password" ? "weak_password" : "invalid_request", {
          description: `${result.field}: ${result.problem}`,
        });
      case "too_many_attempts":
        throw new Refusal("too_many_attempts", {
          headers: { "Retry-After": String(result.retryAfterSeconds) },
        });
      case "busy":
        throw new Refusal("busy", { headers: { "Retry-After": "2" } });
      default:
        return unreachable(result);
    }
  }

  return {
    method: "POST",
    path: "/register",
    summary: "Makes an account, where the settings allow it",
    access: "public",
    body,
    success: { status: 201, about: "The account was made", schema: z.object({ user: userReply }) },
    refusals: ["registration_closed", "registration_refused", "weak_password", "too_many_attempts", "busy"],
    handle,
  };
}
