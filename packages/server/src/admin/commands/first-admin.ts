import { assert } from "../../primitives/assert.ts";
import type { User } from "../../users/user.ts";
import type { Users } from "../../users/users.ts";
import { randomPassword } from "./random-password.ts";

/** The user of a new server. The password is shown this once. */
export interface FirstAdmin {
  readonly user: User;
  readonly password: string;
}

/**
 * Adds the user `admin` with a random password when there is no user at all. Of any number of servers that start
 * at once one adds it, because a username is taken once; the others get undefined.
 */
export async function addFirstAdmin({ users }: { users: Users }): Promise<FirstAdmin | undefined> {
  if ((await users.list({ rows: 1 })).length > 0) return undefined;
  const password = randomPassword();
  const added = await users.add({ username: "admin", password, roles: ["admin"] }, { actor: "system" });
  if (added.outcome === "username_taken") return undefined;
  // A random password in some 170,000 looks like one of the list: the next one does not.
  if (added.outcome === "invalid" && added.field === "password") return addFirstAdmin({ users });
  assert(added.outcome === "added", `the first user was refused: ${added.outcome}`);
  return { user: added.user, password };
}
