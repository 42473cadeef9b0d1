import type { User } from "../users/user.ts";

/** A user as the API shows them to themselves. */
export function shownUser(user: User) {
  return {
    id: user.id,
    username: user.username,
    email: user.email,
    emailVerified: user.emailVerified,
    name: user.name,
    roles: user.roles,
    createdAt: new Date(user.createdAt).toISOString(),
  };
}
