import { lstatSync, mkdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Keeps compiled code in a folder of this user's own: Node runs what it finds there, so a folder that another user
 * of the machine could have made is not used. Without one the start is slower, nothing else.
 */
export function compileInCache(): void {
  const user = process.getuid?.();
  const folder = join(tmpdir(), user === undefined ? "keyturn-compiled" : `keyturn-compiled-${user}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const status = lstatSync(folder);
    const isOurs = user === undefined || (status.uid === user && (status.mode & 0o077) === 0);
    if (!status.isDirectory() || !isOurs) return;
    enableCompileCache(folder);
    // Threads do not inherit it, but read this variable; one that the operator has set stays.
    process.env.NODE_COMPILE_CACHE ??= folder;
  } catch {
    // No place for it.
  }
}
