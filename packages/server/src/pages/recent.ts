import type { Person } from "../http/page.ts";
import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";

/** Whether somebody has proven who they are so lately that they may change how they sign in. */
export function isRecent({ session }: Pick<Person, "session">, clock: Clock): boolean {
  return session.createdAt > clock.now() - limits.recentSignInSeconds * 1000;
}
