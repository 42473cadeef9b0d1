import { join } from "node:path";
import type { Random } from "./random.ts";
import type { Scene } from "./scene.ts";

/*
 * The loss of the newest writes: an older copy of the database takes its place, and the operator opens a window in
 * which newer tokens are taken up. What had ended stays ended; what began since is forgotten, and nobody is told that
 * they are signed out.
 */

export interface Copy {
  /** Before it was made, by the steady clock: what was acknowledged by then is in it. */
  readonly at: number;
}

const windowSecondsMax = 60;
const name = "older";
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export async function copyAside(scene: Scene): Promise<Copy> {
  const { world, nodesLock, postgresLock } = scene;
  if (world.postgres === undefined) {
    return nodesLock(async () => {
      const at = performance.now();
      await command(scene, ["backup", join(world.folder, name), "--force"]);
      return { at };
    });
  }
  const { postgres } = world;
  return postgresLock(async () => {
    const at = performance.now();
    await postgres.stop();
    postgres.copyTo(name);
    await postgres.start();
    return { at };
  });
}

export async function restoreCopy(scene: Scene, copy: Copy, random: Random): Promise<void> {
  const restoredAt = await scene.nodesLock(() => scene.postgresLock(() => exchange(scene, copy, random)));
  const closeAt = performance.now() + windowSecondsMax * 1000;
  // Each device has come back once: then no honest one needs the window any more.
  while (performance.now() < closeAt && devices(scene).some(({ turnedAt }) => turnedAt < restoredAt))
    await pause(50);
  // Who was not back by then stays out until they sign in, as docs/production.md says.
  for (const { record, turnedAt } of devices(scene)) if (turnedAt < restoredAt) record.mayBeForgotten = true;
  const closeWindow = scene.world.nodes.map((node) => async () => {
    node.set("KEYTURN_RESTORE_WINDOW_UNTIL", undefined);
    await node.stop();
    await node.start();
  });
  await scene.nodesLock(() => Promise.all(closeWindow.map((close) => close())));
}

const devices = ({ crowd }: Scene) => [...crowd.everybody].flatMap((person) => person.devices);

async function exchange(scene: Scene, copy: Copy, random: Random): Promise<number> {
  const { world, ledger, crowd } = scene;
  for (const node of world.nodes) await (random.chance(0.5) ? node.kill() : node.stop());
  // No reply of before may arrive after it.
  world.wire.cut(1, random);
  await pause(100);
  scene.disturb();
  if (world.postgres === undefined) await command(scene, ["restore", join(world.folder, name)]);
  else {
    await world.postgres.stop();
    world.postgres.restoreFrom(name);
    await world.postgres.start();
  }
  for (const record of ledger.sessions.values()) {
    if (record.begunAt > copy.at) record.mayBeForgotten = true;
    record.held.until = 0;
  }
  for (const person of crowd.everybody) {
    if (person.registeredAt > copy.at) person.mayBeForgotten = true;
    const back = person.formerPasswords.filter(({ replacedAt }) => replacedAt > copy.at);
    person.passwords.unshift(...back.map(({ text }) => text));
    for (const device of person.devices) device.earlier = [];
  }
  const until = new Date(Date.now() + windowSecondsMax * 1000).toISOString();
  for (const node of world.nodes) node.set("KEYTURN_RESTORE_WINDOW_UNTIL", until);
  const restoredAt = performance.now();
  await Promise.all(world.nodes.map((node) => node.start()));
  return restoredAt;
}

async function command({ world }: Scene, args: readonly string[]): Promise<void> {
  const { code, output } = (await world.nodes[0]?.run(args)) ?? { code: 1, output: "" };
  if (code !== 0) throw new Error(`keyturn ${args.join(" ")} ended with ${code}:\n${output}`);
}
