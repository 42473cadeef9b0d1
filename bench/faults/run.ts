import { createAsking } from "./asking.ts";
import { createCrowd } from "./crowd.ts";
import { createDeeds } from "./deeds.ts";
import { type Fault, faults, killNodes } from "./faults.ts";
import { judge, type Verdict } from "./judgement.ts";
import { type Counts, emptyLedger, type Ledger } from "./ledger.ts";
import { commands } from "./nodes.ts";
import { createPeople } from "./people.ts";
import { type Random, seededRandom } from "./random.ts";
import { makeLock, type Scene } from "./scene.ts";
import { storedSessions } from "./stored.ts";
import { createThieves } from "./thieves.ts";
import { type Engine, makeWorld, type World } from "./world.ts";

export interface RunOptions {
  readonly engine: Engine;
  /** Decides which faults come, in which order, after which pauses. */
  readonly seed: number;
  /** The faults end when all of these are reached, or after `secondsMax`. */
  readonly kills: number;
  readonly turns: number;
  /** Each fault at least so often. */
  readonly ofEach: number;
  readonly secondsMax: number;
  readonly people: number;
  readonly lanes: number;
  readonly eventfulness: number;
  readonly graceSeconds: number;
  readonly command: keyof typeof commands;
  readonly log: (line: string) => void;
}

export interface Report extends Verdict {
  readonly engine: Engine;
  readonly seed: number;
  readonly seconds: number;
  readonly people: number;
  readonly sessions: number;
  readonly counts: Counts;
  /** How often each fault was done. */
  readonly faults: Readonly<Record<string, number>>;
  /** What broke on the wires. */
  readonly wires: Readonly<Record<string, number>>;
  /** Faults that were not done, each with why. */
  readonly skipped: Readonly<Record<string, string>>;
}

const killName = "kill a node (kill -9)";
const gapMilliseconds = [20, 250] as const;
const killGapMilliseconds = [20, 300] as const;
const progressSeconds = 10;
const aheadShareMax = 0.01;
const settleSecondsMax = 120;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** One run: the world, the crowd in it, what goes wrong, and the judgement at the end. */
export async function runFaults(options: RunOptions): Promise<Report> {
  const { engine, graceSeconds, log } = options;
  const world = await makeWorld({ engine, graceSeconds, command: commands[options.command]() });
  const startedAt = performance.now();
  try {
    const ledger = emptyLedger();
    let isOver = false;
    const giveUp = () => {
      isOver = true;
    };
    const { scene, crowd, close } = populate(world, { options, ledger, giveUp });
    const running = crowd.run();
    running.catch(() => {});
    const settledUntil = performance.now() + settleSecondsMax * 1000;
    while (!isOver && !crowd.isSettled() && performance.now() < settledUntil) await pause(20);
    log(`${crowd.everybody.size} people have signed in; the faults begin`);
    const beganAt = performance.now();
    const killed = () => world.nodes.reduce((sum, node) => sum + node.kills(), 0);
    const done: Record<string, number> = {};
    const chosen = faults.filter((fault) => fault.engines.includes(engine));
    const skipped = Object.fromEntries(
      chosen.flatMap((fault) => {
        const why = fault.skipped?.();
        return why === undefined ? [] : [[fault.name, why]];
      }),
    );
    const possible = chosen.filter(({ name }) => skipped[name] === undefined);
    for (const { name } of possible) done[name] = 0;
    const count = (name: string) => {
      done[name] = (done[name] ?? 0) + 1;
    };
    const isEnough = () =>
      isOver ||
      (performance.now() - beganAt) / 1000 > options.secondsMax ||
      (killed() >= options.kills &&
        ledger.counts.turns >= options.turns &&
        possible.every(({ name }) => (done[name] ?? 0) >= options.ofEach));
    // Kills and turns are done at about the same time: between two faults there is load, and not only recovery.
    const isAhead = (faultsDone: number) =>
      faultsDone / Math.max(1, options.kills) >
      ledger.counts.turns / Math.max(1, options.turns) + aheadShareMax;
    const inTime = async (faultsDone: () => number) => {
      while (!isEnough() && isAhead(faultsDone())) await pause(20);
    };
    const others = () => Object.values(done).reduce((sum, times) => sum + times, 0) - possible.length;
    const told = setInterval(
      () => log(progress(startedAt, { ledger, done, kills: killed() })),
      progressSeconds * 1000,
    );
    try {
      await Promise.all([
        killing(scene, {
          random: seededRandom(options.seed, "kills"),
          isEnough,
          inTime: () => inTime(killed),
        }),
        breaking(scene, {
          random: seededRandom(options.seed, "faults"),
          isEnough,
          inTime: () => inTime(others),
          count,
          possible,
          done,
        }),
      ]);
    } finally {
      clearInterval(told);
      crowd.end();
    }
    await running;
    await crowd.lastLook();
    close();
    const verdict = judge(ledger, await storedSessions(world.url));
    return {
      engine,
      seed: options.seed,
      seconds: Math.round((performance.now() - startedAt) / 1000),
      people: options.people,
      sessions: ledger.sessions.size,
      counts: ledger.counts,
      faults: { [killName]: killed(), ...done },
      wires: wiresOf(world),
      skipped,
      ...verdict,
    };
  } finally {
    await world.close();
  }
}

function populate(
  world: World,
  { options, ledger, giveUp }: { options: RunOptions; ledger: Ledger; giveUp: () => void },
) {
  const { seed, graceSeconds, log } = options;
  let disturbances = 0;
  let differing = false;
  const asking = createAsking({
    ledger,
    isDraining: () => scene.isDraining,
    giveUp(why) {
      log(`given up: ${why}\n${world.nodes.map((node) => `${node.name}:\n${node.log()}`).join("\n")}`);
      giveUp();
    },
  });
  const random = seededRandom(seed, "people");
  const people = createPeople({ ledger, asking, random });
  const deeds = createDeeds({ ledger, asking, people, random });
  const thieves = createThieves({
    ledger,
    asking,
    people,
    deeds,
    random,
    graceSeconds,
    // While clocks differ no two moments are alike: NaN is not even itself.
    disturbances: () => (differing ? Number.NaN : disturbances),
  });
  const crowd = createCrowd({
    people,
    deeds,
    thieves,
    random,
    port: () => world.wire.port,
    size: options.people,
    lanes: options.lanes,
    eventfulness: options.eventfulness,
  });
  const scene: Scene = {
    world,
    ledger,
    crowd,
    nodesLock: makeLock(),
    postgresLock: makeLock(),
    isDraining: false,
    disturb: () => void disturbances++,
    clocksDiffer(doThey) {
      // On PostgreSQL the database's clock counts, and nobody has touched that.
      if (world.engine === "postgres") return;
      disturbances++;
      differing = doThey;
    },
    log,
  };
  return { scene, crowd, close: () => crowd.close() };
}

interface Going {
  readonly random: Random;
  readonly isEnough: () => boolean;
  /** Resolves when it is time for the next one. */
  readonly inTime: () => Promise<void>;
  readonly count: (name: string) => void;
}

async function killing(scene: Scene, { random, isEnough, inTime }: Omit<Going, "count">): Promise<void> {
  while (!isEnough()) {
    await scene.nodesLock(() => killNodes(scene, random));
    await pause(random.between(...killGapMilliseconds));
    await inTime();
  }
}

/** One after the other, beside the kills: first each once, then by their weights. */
async function breaking(
  scene: Scene,
  {
    random,
    isEnough,
    inTime,
    count,
    possible,
    done,
  }: Going & { possible: readonly Fault[]; done: Readonly<Record<string, number>> },
): Promise<void> {
  while (!isEnough()) {
    const rare = possible.filter(({ name }) => (done[name] ?? 0) === 0);
    const weighted = possible.flatMap((fault) => Array.from({ length: fault.weight }, () => fault));
    const fault = random.pick(rare.length > 0 ? rare : weighted);
    const begunAt = performance.now();
    await fault.run(scene, random);
    scene.log(`${fault.name}: ${((performance.now() - begunAt) / 1000).toFixed(1)} s`);
    count(fault.name);
    await pause(random.between(...gapMilliseconds));
    await inTime();
  }
}

function wiresOf({ wire, databaseWire }: World): Record<string, number> {
  return {
    "clients' connections cut": wire.counts.cut,
    "clients' connections stalled": wire.counts.stalled,
    "replies to clients lost": wire.counts.repliesLost,
    ...(databaseWire && {
      "PostgreSQL's connections cut": databaseWire.counts.cut,
      "PostgreSQL's connections stalled": databaseWire.counts.stalled,
      "PostgreSQL's replies lost": databaseWire.counts.repliesLost,
    }),
  };
}

function progress(
  startedAt: number,
  { ledger, done, kills }: { ledger: Ledger; done: Readonly<Record<string, number>>; kills: number },
): string {
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  const others = Object.values(done).reduce((sum, count) => sum + count, 0);
  const { turns, thievesCaught } = ledger.counts;
  return `${seconds} s: ${turns} turns, ${kills} kills, ${others} other faults, ${thievesCaught} thieves caught, ${ledger.complaints.length} complaints`;
}
