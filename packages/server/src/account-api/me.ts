import { invalidToken } from "../http/authenticate.ts";
import type { Endpoint } from "../http/endpoint.ts";
import type { Users } from "../users/users.ts";
import { userReply } from "./schemas.ts";
import { shownUser } from "./user.ts";

/** GET /me: who the access token speaks for. */
export function meEndpoint({ users }: { users: Users }): Endpoint {
  return {
    method: "GET",
    path: "/me",
    summary: "The user that the access token speaks for",
    access: "user",
    success: { status: 200, about: "The user", schema: userReply },
    refusals: [],
    async handle({ session }) {
      const user = await users.findById(session.userId);
      if (user === undefined) throw invalidToken();
      return { status: 200, json: shownUser(user) };
    },
  };
}
