import { Refusal } from "../errors.ts";
import type { Session } from "../sessions/session.ts";
import type { Factors } from "../users/factors/factors.ts";

/**
 * Whoever changes by what an account is signed in to has proven lately who they are, as strongly as they can: the
 * same rule as on the pages.
 * @throws Refusal step_up_required
 */
export async function proven(session: Session, factors: Pick<Factors, "ownedBy" | "stepUp">): Promise<void> {
  const owned = await factors.ownedBy(session.userId);
  if (!factors.stepUp.isRecent(session, owned)) throw new Refusal("step_up_required");
}
