import { canLimitFiles, limitFiles, type Node } from "./nodes.ts";
import type { Random } from "./random.ts";
import { copyAside, restoreCopy } from "./restoring.ts";
import type { Scene } from "./scene.ts";
import type { Engine } from "./world.ts";

/** What goes wrong: each fault is done to the world and mended again; clients are not told. */
export interface Fault {
  readonly name: string;
  readonly engines: readonly Engine[];
  /** How often it is chosen, compared with the others. */
  readonly weight: number;
  /** Why it cannot be done on this machine. */
  skipped?(): string | undefined;
  run(scene: Scene, random: Random): Promise<void>;
}

const both: readonly Engine[] = ["sqlite", "postgres"];
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
/** Longer stalls are cut at their end: what is let go on must arrive before its client has given it up. */
const stallMillisecondsMax = 2_500;
const seconds = 1000;
const minute = 60 * seconds;
const hour = 60 * minute;
const day = 24 * hour;
/** Within the time that a session may idle (14 days): beyond it "idle too long" is what the clock says. */
const clockShifts = [5 * seconds, minute, hour, day, 10 * day].flatMap((shift) => [shift, -shift]);
const clockReadMilliseconds = 60;

const running = ({ world }: Scene) => world.nodes.filter((node) => node.isRunning());
const signal = (node: Node, name: NodeJS.Signals) => {
  const pid = node.pid();
  if (pid !== undefined && node.isRunning()) process.kill(pid, name);
};

/** `kill -9` of a node, or of all at once, and their start some moments later. */
export async function killNodes({ world: { nodes } }: Scene, random: Random): Promise<void> {
  const victims = random.chance(0.3) ? nodes : [random.pick(nodes)];
  await pause(random.between(0, 200));
  await Promise.all(victims.map((node) => node.kill()));
  await pause(random.between(0, 200));
  await Promise.all(victims.map((node) => node.start()));
}

export const faults: readonly Fault[] = [
  {
    name: "stop a node in order (SIGTERM)",
    engines: both,
    weight: 2,
    run: (scene, random) =>
      scene.nodesLock(async () => {
        const node = random.pick(scene.world.nodes);
        scene.isDraining = true;
        await node.stop();
        scene.isDraining = false;
        await node.start();
      }),
  },
  {
    name: "freeze a node (SIGSTOP)",
    engines: both,
    weight: 2,
    async run(scene, random) {
      const node = random.pick(scene.world.nodes);
      signal(node, "SIGSTOP");
      await pause(random.between(100, stallMillisecondsMax));
      signal(node, "SIGCONT");
    },
  },
  {
    name: "cut clients' connections",
    engines: both,
    weight: 6,
    run: async ({ world }, random) => world.wire.cut(random.pick([0.1, 0.5, 1]), random),
  },
  {
    name: "stall clients' connections",
    engines: both,
    weight: 3,
    run: ({ world }, random) => world.wire.stall(random.pick([0.2, 1]), stallOf(random)),
  },
  {
    name: "lose replies to clients",
    engines: both,
    weight: 6,
    run: async ({ world }, random) => world.wire.loseReplies(random.between(1, 40)),
  },
  {
    name: "cut connections to PostgreSQL",
    engines: ["postgres"],
    weight: 5,
    run: async ({ world }, random) => world.databaseWire?.cut(random.pick([0.3, 1]), random),
  },
  {
    name: "stall connections to PostgreSQL",
    engines: ["postgres"],
    weight: 3,
    run: async ({ world }, random) => world.databaseWire?.stall(random.pick([0.3, 1]), stallOf(random)),
  },
  {
    name: "lose replies of PostgreSQL",
    engines: ["postgres"],
    weight: 5,
    run: async ({ world }, random) => world.databaseWire?.loseReplies(random.between(1, 4)),
  },
  {
    name: "kill PostgreSQL (kill -9)",
    engines: ["postgres"],
    weight: 3,
    run: (scene, random) =>
      scene.postgresLock(async () => {
        await scene.world.postgres?.kill();
        await pause(random.between(0, 300));
        await scene.world.postgres?.start();
      }),
  },
  {
    name: "disk full",
    engines: both,
    weight: 2,
    skipped: () =>
      canLimitFiles
        ? undefined
        : "there is no prlimit here, by which the size of a process's files is limited",
    run: (scene, random) => (scene.world.engine === "sqlite" ? fillForNodes : fillForPostgres)(scene, random),
  },
  {
    name: "shift a node's clock",
    engines: both,
    weight: 3,
    async run(scene, random) {
      const node = random.pick(scene.world.nodes);
      scene.clocksDiffer(true);
      node.shiftClock(random.pick(clockShifts));
      await pause(random.between(300, 1500));
      node.shiftClock(0);
      await pause(clockReadMilliseconds);
      scene.clocksDiffer(false);
    },
  },
  {
    name: "restore an older copy",
    engines: both,
    weight: 1,
    async run(scene, random) {
      const copy = await copyAside(scene);
      await pause(random.between(500, 3000));
      await restoreCopy(scene, copy, random);
    },
  },
];

function stallOf(random: Random) {
  const end = random.pick(["go on", "cut"] as const);
  const most = end === "cut" ? 2 * stallMillisecondsMax : stallMillisecondsMax;
  return { milliseconds: random.between(200, most), end, random };
}

async function fillForNodes(scene: Scene, random: Random): Promise<void> {
  const pids = running(scene).flatMap((node) => node.pid() ?? []);
  limitFiles(pids, random.pick([4096, 65_536, 1_048_576]));
  await pause(random.between(300, 1500));
  limitFiles(pids, "unlimited");
}

/** Its log is among what it cannot write: then it ends all its processes and recovers, as on a disk that is full. */
const fillForPostgres = (scene: Scene, random: Random) =>
  scene.postgresLock(async () => {
    const { postgres } = scene.world;
    if (postgres === undefined) return;
    limitFiles(postgres.pids(), random.pick([65_536, 1_048_576]));
    await pause(random.between(300, 1500));
    // Twice: a process that began meanwhile has the limit of the server that made it.
    for (const wait of [50, 0]) {
      if (postgres.isRunning()) limitFiles(postgres.pids(), "unlimited");
      await pause(wait);
    }
    if (!postgres.isRunning()) await postgres.start();
  });
