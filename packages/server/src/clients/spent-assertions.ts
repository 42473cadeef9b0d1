import type { Clock } from "../primitives/clock.ts";
import { sha256 } from "../primitives/digest.ts";
import type { Database } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import { deletePastSpent, insertSpent } from "./spent-assertions.sql.ts";

export type SpentAssertions = ReturnType<typeof createSpentAssertions>;

/** JWTs that may be used once: RFC 7523 §3, item 7: "to ensure that JWTs are not replayed". */
export function createSpentAssertions({ database, clock }: { database: Database; clock: Clock }) {
  return {
    /**
     * Spends it, by one statement: true for one caller, ever.
     * @param use.name what tells it from the client's others: its `jti`
     * @param use.expiresAt milliseconds since 1970: until then it is refused here, from then on by its `exp`
     */
    async spend(use: { kind: string; clientId: string; name: string; expiresAt: number }): Promise<boolean> {
      const digest = sha256(JSON.stringify([use.kind, use.clientId, use.name]));
      const [inserted] = await database.batch([insertSpent(digest, use.expiresAt)]);
      return inserted?.changes === 1;
    },

    async deletePast(): Promise<void> {
      const now = clock.now();
      await deleteInSlices(database, (rows) => deletePastSpent(now, rows));
    },
  };
}
