/** What works only in Node: credentials in a file. */

import { mkdir, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { type CredentialStorage, readStored, type StoredCredentials } from "./credential-storage.ts";
import { withFileLock } from "./file-lock.ts";
import { KeyturnError, unavailable } from "./keyturn-error.ts";

type Records = Readonly<Record<string, unknown>>;

const bytesMax = 1_048_576;

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

const insecure = (message: string) => new KeyturnError("insecure_storage", message);

/**
 * The records in the file; none when there is no file.
 *
 * @throws KeyturnError `insecure_storage` when others can read it or it belongs to somebody else.
 */
async function readRecords(file: string): Promise<Records> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return {};
    throw error;
  }
  try {
    const { mode, uid, size } = await handle.stat();
    // Windows keeps no such bits; there the folder's own rights decide.
    if (process.platform !== "win32") {
      if ((mode & 0o077) !== 0) {
        throw insecure(`Others can read ${file}: chmod 600 it, and sign out everywhere if they may have`);
      }
      if (uid !== process.getuid?.()) throw insecure(`${file} belongs to another user`);
    }
    if (size > bytesMax) throw unavailable(`${file} is too large to be credentials`);
    const records: unknown = JSON.parse(await handle.readFile("utf8"));
    return typeof records === "object" && records !== null ? (records as Records) : {};
  } catch (error) {
    // The parser's own words would quote the file.
    if (error instanceof SyntaxError) throw unavailable(`${file} is not JSON; remove it to begin anew`);
    throw error;
  } finally {
    await handle.close();
  }
}

/** Durable before it takes the place of the old one: a crash leaves the one or the other, whole. */
async function writeNew(file: string, records: Records): Promise<void> {
  // Made anew, so that mode and owner are ours; what a crash has left here is of no use.
  await rm(file, { force: true });
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(records)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The rename too must be on the disk. Not every system can do that for a folder. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

/**
 * Keeps credentials in a file of mode 0600, which several processes can share. Folders that are missing are made.
 *
 * @throws KeyturnError (when it is used) `insecure_storage` for a file that other users of the machine can read.
 */
export function fileStorage(file: string): CredentialStorage {
  const full = path.resolve(file);
  const folder = path.dirname(full);

  async function change(key: string, expected: string | undefined, next: StoredCredentials | undefined) {
    return withFileLock(`${full}.lock`, async (isHeld) => {
      const { [key]: stored, ...others } = await readRecords(full);
      if (readStored(stored)?.refreshToken !== expected) return false;
      await writeNew(`${full}.new`, next === undefined ? others : { ...others, [key]: next });
      if (!(await isHeld())) throw unavailable(`${full}.lock was taken away`);
      await rename(`${full}.new`, full);
      await syncFolder(folder);
      return true;
    });
  }

  return {
    keepsKeys: false,
    sharedByTabs: false,
    async read(key) {
      return readStored((await readRecords(full))[key]);
    },
    async replace(key, expected, next) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return change(key, expected, next);
    },
  };
}
