import type { Person } from "../http/page.ts";
import type { Factors } from "../users/factors/factors.ts";

/** What can tell how fresh and how strong a person's last proof is. */
export interface RecentParts {
  readonly factors: Pick<Factors, "ownedBy" | "stepUp">;
}

/**
 * Whether somebody has proven who they are so lately that they may change how they sign in, and as strongly as they
 * can: of who has a second factor, a password alone is not enough.
 */
export async function isRecent({ session, user }: Person, { factors }: RecentParts): Promise<boolean> {
  return factors.stepUp.isRecent(session, await factors.ownedBy(user.id));
}
