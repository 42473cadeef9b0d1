import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { ClockMemory, KnownClock } from "../primitives/clock.ts";

/** Another one each time the machine starts; where there is none, every process begins anew. */
const BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id";

/**
 * What processes on this machine know of its clock, in a small file beside the database. A process that starts in the
 * second in which the clock is wrong by a day would believe it. The file is worth nothing on another machine, or after
 * the machine's next start, and says so itself.
 */
export function clockMemory(path: string): ClockMemory | undefined {
  const boot = read(BOOT_ID_FILE)?.trim();
  if (!boot) return undefined;
  const file = `${path}-clock`;
  return {
    read: () => parse(read(file), boot),
    write(known) {
      try {
        const whole = `${file}.${process.pid}`;
        writeFileSync(whole, JSON.stringify({ boot, ...known }), { mode: 0o600 });
        renameSync(whole, file);
      } catch {
        // A full disk, or one that is not ours to write: the next process begins anew.
      }
    },
  };
}

function parse(text: string | undefined, boot: string): KnownClock | undefined {
  try {
    const known = JSON.parse(text ?? "") as Partial<KnownClock & { boot: string }> | null;
    const { distance, since, confirmedAt } = known ?? {};
    if (known?.boot !== boot || ![distance, since, confirmedAt].every(Number.isFinite)) return undefined;
    return { distance: Number(distance), since: Number(since), confirmedAt: Number(confirmedAt) };
  } catch {
    return undefined;
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
