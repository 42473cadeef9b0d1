import type { CredentialStorage, StoredCredentials } from "./credential-storage.ts";

/** Keeps credentials as long as the page or the process lives. Clients that are given one object share them. */
export function memoryStorage(): CredentialStorage {
  const records = new Map<string, StoredCredentials>();
  return {
    keepsKeys: true,
    sharedByTabs: false,
    async read(key) {
      return records.get(key);
    },
    async replace(key, expected, next) {
      if (records.get(key)?.refreshToken !== expected) return false;
      if (next) records.set(key, next);
      else records.delete(key);
      return true;
    },
  };
}
