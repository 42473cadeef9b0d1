import { readStored, type StoredCredentials } from "./credential-storage.ts";
import { KeyturnError, unavailable } from "./keyturn-error.ts";
import type { Settings } from "./options.ts";

/** The record of one issuer, in a storage that may fail: what could not be written is kept and written later. */
export interface Vault {
  /** @throws KeyturnError `unavailable` when the storage cannot be read. */
  read(): Promise<StoredCredentials | undefined>;
  /** As `replace` of CredentialStorage; true too when the storage failed and the change is kept here. */
  replace(expected: string | undefined, next: StoredCredentials | undefined): Promise<boolean>;
  /** What was read or written last, for when the storage cannot be read. */
  last(): StoredCredentials | undefined;
}

export function createVault({ storage, issuer: key }: Settings): Vault {
  let last: StoredCredentials | undefined;
  /** While `last` could not be written: the token that the storage holds as far as is known. */
  let unsaved: { readonly over: string | undefined } | undefined;

  return {
    last: () => last,
    async read() {
      const kept = unsaved;
      try {
        // Where others have written since, theirs stays.
        if (kept) await storage.replace(key, kept.over, last);
        if (unsaved === kept) unsaved = undefined;
        const stored = readStored(await storage.read(key));
        if (!unsaved) last = stored;
        return last;
      } catch (cause) {
        if (unsaved) return last;
        throw cause instanceof KeyturnError ? cause : unavailable("The storage cannot be read", cause);
      }
    },
    async replace(expected, next) {
      const over = unsaved && last?.refreshToken === expected ? unsaved.over : expected;
      try {
        const isDone = await storage.replace(key, over, next);
        unsaved = undefined;
        if (isDone) last = next;
        return isDone;
      } catch (error) {
        if (error instanceof KeyturnError) throw error;
        unsaved = { over };
        last = next;
        return true;
      }
    },
  };
}
