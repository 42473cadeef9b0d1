import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { ClientRecords } from "./client-records.ts";
import type { SpentAssertions } from "./spent-assertions.ts";

interface Dependencies {
  readonly records: ClientRecords;
  readonly spent: SpentAssertions;
  readonly clock: Clock;
}

/** Removes clients that registered themselves and that nobody used in time, and assertions that have expired. */
export function createForgetting({ records, spent, clock }: Dependencies) {
  return {
    /** A bounded piece of it; how many clients were forgotten. */
    async run(): Promise<number> {
      await spent.deletePast();
      const now = clock.now();
      let forgotten = 0;
      for (const id of await records.unused(now)) {
        if (await records.remove(id, { actor: "system" }, now)) forgotten++;
      }
      return forgotten;
    },
    everySeconds: limits.clientsForgottenEverySeconds,
  };
}
