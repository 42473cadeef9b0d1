import { type Id, idToBytes } from "../../primitives/id.ts";
import { lockUser } from "../../sessions/sessions.sql.ts";
import type { Database, Sql } from "../../storage/database.ts";
import { anyway, selectWhether } from "./factors.sql.ts";

/** A way in which somebody has proven who they are, which can be used once. */
export interface Proof {
  /** RFC 8176. */
  readonly amr: readonly string[];
  /** What must still be so at the moment of its use: the code unspent, the counter as it was. */
  readonly onlyIf: Sql;
  /** What uses it up, with its audit events. */
  spend(onlyIf: Sql): readonly Sql[];
}

/** Who may use a secret that waits to be confirmed: the session, or the sign-in, that began it. */
export type Beginner = { readonly session: Id } | { readonly ticket: Uint8Array };

export const beginnerBytes = (beginner: Beginner): Uint8Array =>
  "session" in beginner ? idToBytes(beginner.session) : beginner.ticket;

/**
 * Uses a proof for an act of its user, in one transaction. The user's row is held meanwhile, so that of any number of
 * uses at once the first one wins and the others see it used.
 */
export function useProof(
  database: Database,
  given: { userId: Id; proof: Pick<Proof, "onlyIf" | "spend">; acts?: () => readonly Sql[] },
): Promise<boolean> {
  const { userId, proof, acts = () => [] } = given;
  return database.transaction(async (tx) => {
    await tx.run(lockUser(userId));
    if ((await tx.one(selectWhether(proof.onlyIf))) === undefined) return false;
    for (const statement of [...proof.spend(anyway), ...acts()]) await tx.run(statement);
    return true;
  });
}
