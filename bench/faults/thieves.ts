import type { Asking } from "./asking.ts";
import type { Deeds } from "./deeds.ts";
import { complain, type Ledger, note } from "./ledger.ts";
import type { Device, Lane, People, Person } from "./people.ts";
import type { Random } from "./random.ts";

/*
 * A thief copies a token and does not have the device's secret. Used after the grace it ends the session, whoever of
 * the two turned first; within the grace nobody could tell, and nobody is counted.
 */

export interface ThievesOptions {
  readonly ledger: Ledger;
  readonly asking: Asking;
  readonly people: People;
  readonly deeds: Deeds;
  readonly random: Random;
  readonly graceSeconds: number;
  /** Changes whenever the server's time no longer says how long ago something was: a clock shifted, a restore. */
  readonly disturbances: () => number;
}

/** What comes after a pause; undefined when it is over. */
export type Step = { readonly afterMilliseconds: number; run(lane: Lane): Promise<Step | undefined> };

const overReasons = ["reused", "revoked"];

export function createThieves(options: ThievesOptions) {
  const { ledger, asking, people, deeds, random, graceSeconds, disturbances } = options;
  const { counts } = ledger;
  /** The grace is counted from the commit, the pause from the reply: a little more is enough. */
  const afterMilliseconds = graceSeconds * 1000 + 250;

  /** The one who comes later must be refused, and then both are out. */
  async function settle(
    person: Person,
    device: Device,
    { lane, token, by, since }: { lane: Lane; token: string; by: "thief" | "owner"; since: number },
  ): Promise<undefined> {
    const { record } = device;
    const deviceSecret = by === "owner" ? device.secret : undefined;
    const answer = await asking.refresh(lane.second, record, { token, deviceSecret });
    if (disturbances() !== since) {
      counts.theftsNotJudged++;
      people.leave(person, device, "shared");
      return undefined;
    }
    if (answer.outcome === "gave up") return undefined;
    if (answer.outcome === "token" || !overReasons.includes(answer.reason)) {
      const said = answer.outcome === "token" ? "a token" : answer.reason;
      const what = `the ${by} came after the grace with the older token, and was answered with ${said}`;
      complain(ledger, { kind: "thief not caught", what, of: record });
      people.leave(person, device, "shared");
      return undefined;
    }
    counts.thievesCaught++;
    deeds.markEnded(person, device);
    await deeds.presentEnded(lane.first, record);
    return undefined;
  }

  return {
    /** The owner's token is copied. From here on the session is no honest one. */
    async steal(person: Person, device: Device, lane: Lane): Promise<Step | undefined> {
      const { record } = device;
      const { token } = record;
      const since = disturbances();
      if (random.chance(0.5)) {
        note(record, "a thief copies the token, and its owner turns first");
        if (!(await people.turn(person, device, lane.first))) return undefined;
        counts.thefts++;
        record.state = "shared";
        return {
          afterMilliseconds,
          run: (later) => settle(person, device, { lane: later, token, by: "thief", since }),
        };
      }
      note(record, "a thief copies the token, and turns first");
      record.state = "shared";
      const stolen = await asking.refresh(lane.second, record, { token, deviceSecret: undefined });
      if (stolen.outcome !== "token") {
        // Its reply was lost, and its own second try came too late; or a restore came between.
        if (stolen.outcome === "refused" && overReasons.includes(stolen.reason))
          deeds.markEnded(person, device);
        else people.leave(person, device, "shared");
        return undefined;
      }
      counts.thefts++;
      record.handedOut.clear();
      return {
        afterMilliseconds,
        run: (later) => settle(person, device, { lane: later, token, by: "owner", since }),
      };
    },
  };
}
