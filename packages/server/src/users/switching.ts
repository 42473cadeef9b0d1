import type { Clock } from "../primitives/clock.ts";
import { isId } from "../primitives/id.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Database } from "../storage/database.ts";
import { actAndEnd, eventOf } from "./acts.ts";
import type { By } from "./user.ts";
import { deleteUser, isDisabled, isEnabled, updateUser } from "./users.sql.ts";

/** `unchanged`: it was so already, or there is no such user. */
export type Switched = "done" | "unchanged";

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly sessions: Pick<Sessions, "endAllOfUserStatements" | "announceEnded">;
}

/** What takes a user's access away, and gives it back. */
export function createSwitching(dependencies: Dependencies) {
  const { clock, sessions } = dependencies;

  async function setDisabled(id: string, disabled: boolean, by: By): Promise<Switched> {
    if (!isId(id)) return "unchanged";
    const at = clock.now();
    const changes = { disabledAt: disabled ? at : null };
    const isDone = await actAndEnd(dependencies, {
      userId: id,
      act: updateUser({ id, at, changes, onlyIf: disabled ? isEnabled : isDisabled }),
      follows: [eventOf({ type: disabled ? "user.disabled" : "user.enabled", userId: id, at }, by)],
      ending: disabled ? sessions.endAllOfUserStatements(id, { ...by, reason: "user_disabled" }) : [],
    });
    return isDone ? "done" : "unchanged";
  }

  return {
    /** Ends all the user's sessions; from then on signing in fails as if the password were wrong. */
    disable: (id: string, by: By): Promise<Switched> => setDisabled(id, true, by),
    enable: (id: string, by: By): Promise<Switched> => setDisabled(id, false, by),

    /** Ends the user's sessions and deletes user, credentials and roles. The audit log keeps the id. */
    async remove(id: string, by: By): Promise<Switched> {
      if (!isId(id)) return "unchanged";
      const isDone = await actAndEnd(dependencies, {
        userId: id,
        act: deleteUser(id),
        follows: [eventOf({ type: "user.removed", userId: id, at: clock.now() }, by)],
        ending: sessions.endAllOfUserStatements(id, { ...by, reason: "user_removed" }),
      });
      return isDone ? "done" : "unchanged";
    },
  };
}
