import { type CredentialStorage, readStored, type StoredCredentials } from "./credential-storage.ts";
import { KeyturnError, unavailable } from "./keyturn-error.ts";

/** The record of one issuer, in a storage that may fail: what could not be written is kept and written later. */
export interface Vault {
  /** @throws KeyturnError `unavailable` when the storage cannot be read. */
  read(): Promise<StoredCredentials | undefined>;
  /** As {@link CredentialStorage.replace}; true too when the storage failed and the change is kept here. */
  replace(expected: string | undefined, next: StoredCredentials | undefined): Promise<boolean>;
  /** What was read or written last, for when the storage cannot be read. */
  last(): StoredCredentials | undefined;
}

interface Unsaved {
  /** What the storage holds as far as is known. */
  readonly base: string | undefined;
  readonly next: StoredCredentials | undefined;
}

export function createVault(storage: CredentialStorage, key: string): Vault {
  let unsaved: Unsaved | undefined;
  let last: StoredCredentials | undefined;

  const remember = (record: StoredCredentials | undefined) => {
    last = record;
    return record;
  };

  /** Writes what could not be written; whether that failed again. Where others have written since, theirs stays. */
  async function failsAgain(kept: Unsaved): Promise<boolean> {
    try {
      await storage.replace(key, kept.base, kept.next);
      if (unsaved === kept) unsaved = undefined;
      return false;
    } catch {
      return unsaved === kept;
    }
  }

  return {
    last: () => last,
    async read() {
      const kept = unsaved;
      if (kept !== undefined && (await failsAgain(kept))) return remember(kept.next);
      try {
        return remember(readStored(await storage.read(key)));
      } catch (cause) {
        if (cause instanceof KeyturnError) throw cause;
        throw unavailable("The stored credentials cannot be read", cause);
      }
    },
    async replace(expected, next) {
      const base = unsaved !== undefined && unsaved.next?.refreshToken === expected ? unsaved.base : expected;
      try {
        const isDone = await storage.replace(key, base, next);
        unsaved = undefined;
        if (isDone) remember(next);
        return isDone;
      } catch (error) {
        if (error instanceof KeyturnError) throw error;
        unsaved = { base, next };
        remember(next);
        return true;
      }
    },
  };
}
