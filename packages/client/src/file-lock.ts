import { randomInt, randomUUID } from "node:crypto";
import { open, readFile, unlink } from "node:fs/promises";
import { KeyturnError } from "./keyturn-error.ts";

/** A lock between processes: a file that only one of them can make. It is held for milliseconds. */

const pauseMs = 5;
/** Whoever holds it longer is dead, stopped, or on a machine that is. */
const staleMs = 5000;
const waitMs = 15_000;

const pause = () => new Promise((resolve) => setTimeout(resolve, randomInt(pauseMs, 3 * pauseMs)));

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

/** False when the file is there already. */
async function makeFile(path: string, content: string): Promise<boolean> {
  try {
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(content);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    // Windows says EPERM while a file of that name is about to vanish.
    if (codeOf(error) === "EEXIST" || codeOf(error) === "EPERM") return false;
    throw error;
  }
}

/** Undefined when there is none. */
async function ownerOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error) => {
    if (codeOf(error) !== "ENOENT") throw error;
  });
}

function isDead(owner: string): boolean {
  const pid = Number.parseInt(owner, 10);
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
}

/** Takes the lock away from an owner that is gone. Only one process does, and only from that owner. */
async function breakLock(path: string, owner: string): Promise<void> {
  const breaking = `${path}.break`;
  if (!(await makeFile(breaking, owner))) return;
  try {
    if ((await ownerOf(path)) === owner) await removeFile(path);
  } finally {
    await removeFile(breaking);
  }
}

/**
 * Runs while no other process does. `isHeld` says whether the lock is still this one's: to be asked right before
 * what must not happen twice, by a process that may have been stopped for long.
 *
 * @throws KeyturnError `unavailable` when the lock cannot be had within 15 seconds.
 */
export async function withFileLock<T>(
  path: string,
  work: (isHeld: () => Promise<boolean>) => Promise<T>,
): Promise<T> {
  const own = `${process.pid} ${randomUUID()}`;
  const startedAt = performance.now();
  let seen: { readonly owner: string; readonly sinceMs: number } | undefined;
  while (!(await makeFile(path, own))) {
    const now = performance.now();
    if (now - startedAt > waitMs) {
      const message = `Another process holds ${path}. If none does, remove that file and ${path}.break`;
      throw new KeyturnError("unavailable", message);
    }
    const owner = await ownerOf(path);
    if (owner !== undefined && seen?.owner !== owner) seen = { owner, sinceMs: now };
    if (owner !== undefined && (isDead(owner) || (seen && now - seen.sinceMs > staleMs))) {
      await breakLock(path, owner);
    }
    await pause();
  }
  try {
    return await work(async () => (await ownerOf(path)) === own);
  } finally {
    if ((await ownerOf(path)) === own) await removeFile(path);
  }
}
