import { openConnection } from "./connection.ts";
import type { Deeds } from "./deeds.ts";
import type { Lane, People, Person } from "./people.ts";
import type { Random } from "./random.ts";
import type { createThieves, Step } from "./thieves.ts";

/** Everybody at once: so many lanes, each with a person at a time, who does one thing and queues again. */

export interface CrowdOptions {
  readonly people: People;
  readonly deeds: Deeds;
  readonly thieves: ReturnType<typeof createThieves>;
  readonly random: Random;
  readonly port: () => number;
  readonly size: number;
  readonly lanes: number;
  /** How often something else is done than a refresh: 1 is about as often as is useful in a run of minutes. */
  readonly eventfulness: number;
}

type Deed =
  | "race"
  | "lateDuplicate"
  | "signOut"
  | "revokeOther"
  | "changePassword"
  | "steal"
  | "presentEnded";
/** Of a thousand things that people do; the rest are refreshes. */
const deedsPerThousand: readonly (readonly [Deed, number])[] = [
  ["race", 20],
  ["lateDuplicate", 5],
  ["signOut", 0.5],
  ["revokeOther", 0.5],
  ["changePassword", 0.5],
  ["steal", 2],
  ["presentEnded", 2],
];
const restMilliseconds = 250;
const idleMilliseconds = 5;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export type Crowd = ReturnType<typeof createCrowd>;

export function createCrowd(options: CrowdOptions) {
  const { people, deeds, thieves, random, port, size, lanes, eventfulness } = options;
  const everybody = new Set<Person>();
  let queue: ((lane: Lane) => Promise<void>)[] = [];
  let at = 0;
  let isOver = false;
  /** People who rest, or whose thief waits. */
  let away = 0;

  const enqueue = (job: (lane: Lane) => Promise<void>) => void queue.push(job);
  const later = (milliseconds: number, job: (lane: Lane) => Promise<void>) => {
    away++;
    setTimeout(() => {
      away--;
      enqueue(job);
    }, milliseconds);
  };

  function next(): ((lane: Lane) => Promise<void>) | undefined {
    const job = queue[at];
    if (job === undefined) return undefined;
    at++;
    if (at > 10_000) {
      queue = queue.slice(at);
      at = 0;
    }
    return job;
  }

  const comes = async (lane: Lane): Promise<void> => {
    if (isOver) return;
    const person = await people.register(lane);
    if (person === undefined) {
      if (!isOver) later(restMilliseconds, comes);
      return;
    }
    everybody.add(person);
    goesOn(person);
  };
  const goesOn = (person: Person) => enqueue((lane) => does(person, lane));

  async function does(person: Person, lane: Lane): Promise<void> {
    if (isOver) return;
    if (people.wantsDevice(person)) {
      // Who cannot sign in on a second device goes on with the first, which is still to be good at the end.
      if ((await people.signIn(person, lane)) || person.devices.length > 0) return goesOn(person);
      everybody.delete(person);
      return enqueue(comes);
    }
    const device = people.deviceOf(person);
    if (device === undefined) return later(restMilliseconds, (lane) => does(person, lane));
    const deed = choose();
    if (deed === "steal") return stepOn(person, await thieves.steal(person, device, lane));
    if (deed === undefined) await people.turn(person, device, lane.first);
    else if (deed === "presentEnded") await deeds.presentEnded(lane.second);
    else await deeds[deed](person, device, lane);
    goesOn(person);
  }

  /** A thief waits, and its person with it. */
  function stepOn(person: Person, step: Step | undefined): void {
    if (step === undefined) goesOn(person);
    else later(step.afterMilliseconds, async (lane) => stepOn(person, await step.run(lane)));
  }

  function choose(): Deed | undefined {
    let drawn = (random.next() * 1000) / eventfulness;
    for (const [deed, share] of deedsPerThousand) {
      if (drawn < share) return deed;
      drawn -= share;
    }
    return undefined;
  }

  async function work(lane: Lane): Promise<void> {
    while (!isOver || away > 0 || at < queue.length) {
      const job = next();
      if (job === undefined) await pause(idleMilliseconds);
      else await job(lane);
    }
  }

  const all = Array.from({ length: lanes }, () => ({
    first: openConnection(port),
    second: openConnection(port),
  }));

  return {
    everybody,
    /** Whether all have signed in. */
    isSettled: () => everybody.size >= size && [...everybody].every(({ devices }) => devices.length > 0),
    /** Resolves when `end` has been called and nothing is under way any more. */
    async run(): Promise<void> {
      for (let person = 0; person < size; person++) enqueue(comes);
      await Promise.all(all.map(work));
    },
    end(): void {
      isOver = true;
    },
    /** Once more for everybody, when everything is in order again: what was acknowledged is still good. */
    async lastLook(): Promise<void> {
      const waiting = [...everybody];
      const records = [...deeds.ended];
      await Promise.all(
        all.map(async (lane) => {
          for (let person = waiting.pop(); person !== undefined; person = waiting.pop()) {
            for (const device of person.devices) await people.turn(person, device, lane.first);
            if (people.wantsDevice({ ...person, devices: [] })) await people.signIn(person, lane);
          }
          for (let record = records.pop(); record !== undefined; record = records.pop())
            await deeds.presentEnded(lane.second, record);
        }),
      );
    },
    close(): void {
      for (const { first, second } of all) {
        first.close();
        second.close();
      }
    },
  };
}
